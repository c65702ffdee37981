"""Creates the search domains' indices and documents.

Why: the target's search must start out stale, and production's shows how it has to look afterwards.
Rules: mappings are `dynamic: false`, as an application's are, so that no odd attribute can be refused; documents
are made by the very function that the Lambda uses.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from downstage.errors import SandboxError
from downstage.sandbox.generator import document_id, to_json
from downstage.sandbox.indexer import plain
from downstage.sandbox.layout import INDEX_OF_ENTITY
from downstage.sandbox.ledger import Item

BULK = 500

INDEX_BODY: dict[str, Any] = {
    "settings": {"index": {"number_of_shards": 1, "number_of_replicas": 0, "max_result_window": 20000}},
    "mappings": {
        "dynamic": False,
        "properties": {
            "pk": {"type": "keyword"},
            "sk": {"type": "keyword"},
            "entityName": {"type": "keyword"},
            "docketNumber": {"type": "keyword"},
            "email": {"type": "keyword"},
            "name": {"type": "text"},
            "status": {"type": "keyword"},
            "filingDate": {"type": "date"},
        },
    },
}


class SearchEngine:
    """One domain's engine at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def _call(self, method: str, path: str, body: str | None, kind: str = "application/json") -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - a loopback URL that the supervisor reported
            f"{self._url}{path}",
            data=None if body is None else body.encode(),
            method=method,
            headers={"Content-Type": kind},
        )
        try:
            with self._opener.open(request, timeout=60) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as refused:
            with refused:
                raise SandboxError(f"the search engine refused {method} {path}: HTTP {refused.code}") from None
        except OSError as broken:
            raise SandboxError(f"the search engine did not answer {method} {path}: {broken}") from broken

    def create_indices(self) -> None:
        """Every index that an entity goes to."""
        for index in INDEX_OF_ENTITY.values():
            self._call("PUT", f"/{index}", json.dumps(INDEX_BODY))

    def add(self, by_index: Mapping[str, Sequence[Item]]) -> None:
        """Index the items; SandboxError if one is refused."""
        for index, items in by_index.items():
            for start in range(0, len(items), BULK):
                self._add_some(index, items[start : start + BULK])
        self._call("POST", "/_refresh", "")

    def _add_some(self, index: str, items: Sequence[Item]) -> None:
        lines = []
        for item in items:
            lines.append(json.dumps({"index": {"_index": index, "_id": document_id(item)}}))
            lines.append(to_json({name: plain(value) for name, value in item.items()}))
        answer = self._call("POST", "/_bulk", "".join(line + "\n" for line in lines), "application/x-ndjson")
        if answer["errors"]:
            raise SandboxError(f"the search engine refused documents for {index}; see its log in the sandbox directory")
