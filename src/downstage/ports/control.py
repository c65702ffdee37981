"""Everything about tables, consumers and search that is off the hot path."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from downstage.domain.plan import Flag
from downstage.ports.tables import Replica, TableFacts


class FlagStore(Protocol):
    """The target's flags. `write` is idempotent; `read` is strongly consistent and gives None if it is not set."""

    def write(self, flag: Flag) -> None: ...
    def read(self, flag: Flag) -> Mapping[str, Any] | str | None: ...


class TableAdmin(Protocol):
    """Tables of one account and region. `enable_ttl` lets items expire by an attribute; False if they did already.

    `delete` returns once the table is gone; deleting an absent one is fine. Its replicas in other regions go before it,
    and are all in `regions` and of this account: otherwise it raises GuardRefused, and nothing was changed.

    `identity` tells a table from one that is made under its name later, on every machine alike; it is never empty, and
    None if there is no such table.
    """

    def names(self) -> Sequence[str]: ...
    def facts(self, name: str) -> TableFacts: ...
    def identity(self, name: str) -> str | None: ...
    def is_empty(self, name: str) -> bool: ...
    def replicas(self, name: str) -> Sequence[Replica]: ...
    def delete(self, name: str, regions: Collection[str] = ()) -> bool: ...
    def enable_ttl(self, name: str, attribute: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Consumer:
    """One event-source mapping: a Lambda function on a table's stream. `starts` is where it begins on a stream that it
    has not read yet (TRIM_HORIZON, LATEST), `last_result` Lambda's word for how its last batch went."""

    uuid: str
    function: str
    table: str
    stream_arn: str
    state: str
    region: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    starts: str = ""
    last_result: str = ""

    @property
    def enabled(self) -> bool:
        """Whether it delivers, or is about to."""
        return self.state in ("Enabled", "Enabling", "Creating", "Updating")


class StreamControl(Protocol):
    """The consumers of the target tables' streams. `switch` returns once the mapping's real state is reached. `others`
    are those that the configuration does not name: nobody holds them off."""

    def consumers(self, tables: Sequence[str]) -> Sequence[Consumer]: ...
    def others(self, tables: Sequence[str]) -> Sequence[Consumer]: ...
    def switch(self, consumer: Consumer, on: bool) -> None: ...
    def create(self, consumer: Consumer, stream_arn: str) -> str: ...
    def remove(self, consumer: Consumer) -> None: ...


@dataclass(frozen=True, slots=True)
class Document:
    """One document of an index: its id, its `_source`, and its routing if it was given one."""

    document_id: str
    source: Mapping[str, Any]
    routing: str | None = None


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to be made in an index: its id, and the JSON that is sent."""

    index: str
    document_id: str
    source: bytes = field(repr=False)


class Made(NamedTuple):
    """What became of a document: HTTP's status (201 made, 409 there already, 429 and 5xx not now, 413 too much at once,
    else refused), and the class of the error, which holds no data."""

    status: int
    error: str = ""


class SearchIndex(Protocol):
    """The data of one search domain. `indices` are all but the service's own (whose names begin with a dot); `writable`
    are the names of indices and aliases that documents can be put under. `make` asks once for each document to be made
    unless there is one of that id, and says what became of each, in order; it raises Unreachable if nobody answers.
    """

    def indices(self) -> Sequence[str]: ...
    def writable(self) -> Collection[str]: ...
    def count(self, index: str) -> int: ...
    def documents(self, index: str) -> Iterator[Document]: ...
    def definition(self, index: str) -> Mapping[str, Any]: ...
    def create(self, index: str, definition: Mapping[str, Any]) -> None: ...
    def make(self, documents: Sequence[NewDocument]) -> Sequence[Made]: ...
    def delete(self, index: str) -> None: ...


class SearchDomains(Protocol):
    """Search domains of one account. `delete`, `create` and `restore` return once that is really so. `identity` is as
    that of a table.

    `create` makes a domain after the description of another account's; `restore` makes the account's own again from its
    `configuration`, which is plain JSON (None if there is no such domain).
    """

    def names(self) -> Sequence[str]: ...
    def description(self, domain: str) -> Mapping[str, Any] | None: ...
    def identity(self, domain: str) -> str | None: ...
    def configuration(self, domain: str) -> Mapping[str, Any] | None: ...
    def create(self, domain: str, description: Mapping[str, Any]) -> None: ...
    def restore(self, domain: str, configuration: Mapping[str, Any]) -> None: ...
    def delete(self, domain: str) -> bool: ...
    def index(self, domain: str) -> SearchIndex: ...
