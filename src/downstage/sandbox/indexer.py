"""The Lambda function of the test account: indexes stream records into the test domain's search engine.

Why: a refresh ends when the environment's own consumer has filled its search; so the sandbox has a real one.
Rules: this file alone is the deployment package, so it uses the standard library only. A bulk error raises, so that
the batch is delivered again. An entity without an index is ignored. SEARCH_URL and INDEX_OF_ENTITY (JSON object)
come from the function's environment.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping
from typing import Any


def plain(value: Mapping[str, Any]) -> Any:
    """One typed DynamoDB value as plain JSON. Numbers stay text (38 digits fit no float), bytes stay base64."""
    kind, content = next(iter(value.items()))
    if kind == "NULL":
        return None
    if kind == "M":
        return {name: plain(member) for name, member in content.items()}
    if kind == "L":
        return [plain(member) for member in content]
    return content


def document_id(image: Mapping[str, Any]) -> str:
    """`{pk}_{sk}` of an item or of a record's Keys."""
    return f"{image['pk']['S']}_{image['sk']['S']}"


def bulk_lines(record: Mapping[str, Any], index_of_entity: Mapping[str, str]) -> list[str]:
    """The `_bulk` lines for one stream record: index with a document, delete without, or none."""
    change = record["dynamodb"]
    image = change.get("NewImage") or change.get("OldImage") or {}
    index = index_of_entity.get(image.get("entityName", {}).get("S", ""))
    if index is None:
        return []
    target = {"_index": index, "_id": document_id(change["Keys"])}
    if record["eventName"] == "REMOVE":
        return [json.dumps({"delete": target})]
    return [json.dumps({"index": target}), json.dumps({name: plain(value) for name, value in image.items()})]


def send(search_url: str, lines: list[str]) -> None:
    """POST the lines to `_bulk`; raises RuntimeError if any of them failed (a missing document to delete is fine)."""
    body = "".join(line + "\n" for line in lines).encode()
    request = urllib.request.Request(  # noqa: S310 - the URL is the function's own setting
        f"{search_url}/_bulk", data=body, headers={"Content-Type": "application/x-ndjson"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        answer = json.load(response)
    failed = [
        outcome
        for item in answer["items"]
        for outcome in item.values()
        if outcome["status"] >= 300 and outcome["status"] != 404
    ]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(answer['items'])} bulk actions failed")


def handler(event: Mapping[str, Any], context: object) -> dict[str, int]:
    """Entry point: one batch of DynamoDB stream records."""
    index_of_entity = json.loads(os.environ["INDEX_OF_ENTITY"])
    lines = [line for record in event["Records"] for line in bulk_lines(record, index_of_entity)]
    if lines:
        send(os.environ["SEARCH_URL"], lines)
    print(f"indexed {len(event['Records'])} records")  # noqa: T201 - a Lambda's log is its standard output
    return {"records": len(event["Records"])}
