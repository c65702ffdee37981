"""Everything about tables, consumers and search that is off the hot path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from downstage.domain.plan import Flag
from downstage.ports.tables import TableFacts


class FlagStore(Protocol):
    """The target's flags. `write` is idempotent; `read` is strongly consistent and gives None if it is not set."""

    def write(self, flag: Flag) -> None: ...
    def read(self, flag: Flag) -> Mapping[str, Any] | str | None: ...


class TableAdmin(Protocol):
    """Tables of one account and region. `delete` returns once the table is gone; deleting an absent one is fine.
    `enable_ttl` lets items expire by an attribute; False if they did already."""

    def names(self) -> Sequence[str]: ...
    def facts(self, name: str) -> TableFacts: ...
    def is_empty(self, name: str) -> bool: ...
    def delete(self, name: str) -> bool: ...
    def enable_ttl(self, name: str, attribute: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Consumer:
    """One event-source mapping: a Lambda function on a table's stream."""

    uuid: str
    function: str
    table: str
    stream_arn: str
    state: str
    region: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def enabled(self) -> bool:
        """Whether it delivers, or is about to."""
        return self.state in ("Enabled", "Enabling", "Creating", "Updating")


class StreamControl(Protocol):
    """The consumers of the target tables' streams. `switch` returns once the mapping's real state is reached."""

    def consumers(self, tables: Sequence[str]) -> Sequence[Consumer]: ...
    def switch(self, consumer: Consumer, on: bool) -> None: ...
    def create(self, consumer: Consumer, stream_arn: str) -> str: ...
    def remove(self, consumer: Consumer) -> None: ...


@dataclass(frozen=True, slots=True)
class Document:
    """One document of an index: its id, its `_source`, and its routing if it was given one."""

    document_id: str
    source: Mapping[str, Any]
    routing: str | None = None


class SearchIndex(Protocol):
    """The data of one search domain. `indices` are all but the service's own (whose names begin with a dot)."""

    def indices(self) -> Sequence[str]: ...
    def count(self, index: str) -> int: ...
    def documents(self, index: str) -> Iterator[Document]: ...
    def definition(self, index: str) -> Mapping[str, Any]: ...
    def create(self, index: str, definition: Mapping[str, Any]) -> None: ...
    def delete(self, index: str) -> None: ...


class SearchDomains(Protocol):
    """Search domains of one account. `delete` and `create` return once that is really so."""

    def names(self) -> Sequence[str]: ...
    def description(self, domain: str) -> Mapping[str, Any] | None: ...
    def create(self, domain: str, description: Mapping[str, Any]) -> None: ...
    def delete(self, domain: str) -> bool: ...
    def index(self, domain: str) -> SearchIndex: ...
