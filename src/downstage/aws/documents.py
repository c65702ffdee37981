"""The documents of a search domain, through OpenSearch's own API, each request signed with the side's role.

A request that only looks is repeated by the client; one that makes documents never is: whoever asks for it keeps the
pace, and must hear of every refusal. The client logs requests with their bodies, which are items: that is cut off here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import orjson
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth, Urllib3HttpConnection
from opensearchpy import exceptions as faults
from opensearchpy.helpers import ScanError, scan

from downstage.aws.session import Session
from downstage.errors import AwsError, CredentialsError, NotFound, Unreachable
from downstage.ports import Document, Made, NewDocument

_OWN_SETTINGS = (
    "blocks",
    "creation_date",
    "history",
    "provided_name",
    "resize",
    "routing",
    "uuid",
    "verified_before_close",
    "version",
)
"""What an index says of itself that cannot be set when one is made."""

_OF_ALL = (413, 429, 502, 503, 504)
"""Answers to a whole request that are about its size or about the moment: they are each document's answer."""

_CLASS = re.compile("[a-z_]{1,80}")
_CLOSED, _THERE = "index_closed_exception", "resource_already_exists_exception"

for _name in ("opensearch", "opensearchpy.trace"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class Documents:
    """Implements `ports.SearchIndex` on one domain."""

    def __init__(self, session: Session, domain: str, url: str) -> None:
        self._domain = domain
        self._session = session
        self._url = url

    @cached_property
    def _client(self) -> OpenSearch:
        return self._connect(max_retries=5, retry_on_timeout=True, retry_on_status=(429, 502, 503, 504))

    @cached_property
    def _once(self) -> OpenSearch:
        """A client that asks once."""
        return self._connect(max_retries=0)

    def _connect(self, **patience: Any) -> OpenSearch:
        return OpenSearch(
            hosts=[self._url],
            http_auth=Urllib3AWSV4SignerAuth(_Credentials(self._session), self._session.environment.region, "es"),
            connection_class=Urllib3HttpConnection,
            verify_certs=True,
            timeout=30,
            **patience,
        )

    def indices(self) -> Sequence[str]:
        """The names of the indices, without the service's own."""
        with self._asking("list the indices"):
            names = self._client.indices.get(index="*", params={"expand_wildcards": "open,closed"})
        return sorted(name for name in names if not name.startswith("."))

    def writable(self) -> Collection[str]:
        """Names that documents can be put under: indices, and aliases of them."""
        with self._asking("list the indices and aliases"):
            found = self._client.indices.get(index="*", params={"expand_wildcards": "open"})
        own = {name: index for name, index in found.items() if not name.startswith(".")}
        return own.keys() | {alias for index in own.values() for alias in index.get("aliases", {})}

    def count(self, index: str) -> int:
        """How many documents the index holds and shows; 0 if there is no such index."""
        try:
            with self._asking(f"count {_named(index)}"):
                self._client.indices.refresh(index=index)
                return int(self._client.count(index=index)["count"])
        except NotFound:
            return 0

    def documents(self, index: str) -> Iterator[Document]:
        """Every document, in no order; none if there is no such index. Raises AwsError if one has no `_source`."""
        with self._asking(f"read {_named(index)}"):
            if self._client.indices.exists(index=index):
                self._client.indices.refresh(index=index)
                for hit in scan(self._client, index=index, size=1000, preserve_order=False):
                    if "_source" not in hit:
                        raise AwsError(f"{_named(index)} keeps no _source: what is in its documents cannot be proven")
                    yield Document(hit["_id"], hit["_source"], hit.get("_routing"))

    def definition(self, index: str) -> Mapping[str, Any]:
        """The index's settings, mappings and aliases, as `create` takes them."""
        with self._asking(f"read the definition of {_named(index)}"):
            found = self._client.indices.get(index=index)[index]
        settings = {
            name: value
            for name, value in found.get("settings", {}).get("index", {}).items()
            if name not in _OWN_SETTINGS
        }
        return {"settings": {"index": settings}, "mappings": found["mappings"], "aliases": found.get("aliases", {})}

    def create(self, index: str, definition: Mapping[str, Any]) -> None:
        """Makes the index; one that is there already is fine. Raises AwsError of code 400 if it may not be so."""
        with self._asking(f"create {_named(index)}"):
            if not self._client.indices.exists(index=index):
                try:
                    self._client.indices.create(index=index, body=dict(definition))
                except faults.RequestError as error:
                    if _kind(error) != _THERE:  # the answer to a call of our own was lost
                        raise

    def make(self, documents: Sequence[NewDocument]) -> Sequence[Made]:
        """Asks once, in one request, for each document to be made unless there is one of that id."""
        lines = []
        for document in documents:
            place = {"create": {"_index": document.index, "_id": document.document_id}}
            lines += [orjson.dumps(place), document.source]
        with self._asking("make documents"):
            try:
                answer = self._once.bulk(body=b"\n".join([*lines, b""]))
            except (faults.ConnectionError, faults.ConnectionTimeout):
                raise
            except faults.TransportError as error:
                if error.status_code not in _OF_ALL:
                    raise
                return [Made(error.status_code)] * len(documents)
        return [_made(entry["create"]) for entry in answer["items"]]

    def delete(self, index: str) -> None:
        """Deletes the index with all its documents; an absent one is fine."""
        with self._asking(f"delete {_named(index)}"):
            self._client.indices.delete(index=index, params={"ignore_unavailable": "true"})

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        where = f"search domain {self._domain}: could not {what}"
        try:
            yield
        except faults.NotFoundError:
            raise NotFound(f"{where}: it does not exist") from None
        except (faults.AuthenticationException, faults.AuthorizationException):
            raise CredentialsError(f"{where}: access denied; allow the role in the domain's access policy") from None
        except (faults.ConnectionError, faults.ConnectionTimeout):
            raise Unreachable(f"{where}: the endpoint does not answer") from None
        except ScanError:
            raise AwsError(f"{where}: OpenSearch did not give all documents; resume the run") from None
        except faults.TransportError as error:
            code, kind = str(error.status_code), _kind(error)
            if kind == _CLOSED:
                raise AwsError(
                    f"{where}: it is closed, so nobody can tell what it holds; open it or delete it, then resume the "
                    "run",
                    code,
                ) from None
            said = f"{code} ({kind})" if kind else code
            raise AwsError(f"{where}: OpenSearch answered {said}", code) from None


def _named(index: str) -> str:
    """An index as an error may name it: not by a name that may hold an address."""
    return "an index whose name may hold an address" if "@" in index or "%" in index else f"index {index}"


def _made(outcome: Mapping[str, Any]) -> Made:
    """What became of one document. Of an error only its class is kept: its reason quotes the document."""
    return Made(int(outcome["status"]), _class(outcome.get("error")))


def _kind(error: faults.TransportError) -> str:
    return _class(error.info.get("error") if isinstance(error.info, Mapping) else None)


def _class(error: object) -> str:
    """The class of an error, if it is one."""
    kind = error.get("type") if isinstance(error, Mapping) else None
    return kind if isinstance(kind, str) and _CLASS.fullmatch(kind) else ""


class _Credentials:
    """What opensearch-py's signer asks for; renewed by the session behind it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_frozen_credentials(self) -> Any:
        return self._session.credentials()
