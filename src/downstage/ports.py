"""The seams: one Protocol for each outside thing, as small as it can be. The docstring is the contract.

Implementations live in `aws`, `journals`, `engines`, `durable`, `console`; the fakes that tests use live in
`testing` and must pass the same contract suites. Errors are those of `downstage.errors`; nothing here is retried
by the caller unless the docstring says so.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from downstage.domain.environment import Caller
from downstage.domain.events import Event
from downstage.domain.plan import Flag
from downstage.domain.refs import SourceBucket, TargetBucket

Item = dict[str, Any]
"""One DynamoDB item in typed JSON as on the wire: `{"pk": {"S": "…"}, "b": {"B": "<base64 text>"}}`."""


RawItem = bytes
"""The same item as the bytes it travels in: one JSON object, decoded only by whoever must look into it."""


class Clock(Protocol):
    """Time, injected: `now` is seconds since the epoch (UTC), `monotonic` never goes back."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class EventSink(Protocol):
    """Whoever watches. Called from several threads; must not raise and must not block for long."""

    def emit(self, event: Event) -> None: ...


class KeySource(Protocol):
    """Where the masking key comes from. `read` gives the raw key bytes or raises ConfigError / AwsError."""

    def read(self, reference: str) -> bytes: ...


class Identity(Protocol):
    """Who we are on one side, asked anew on each call."""

    def caller(self) -> Caller: ...


# ---- tables


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan. `cursor` is the key to go on from, None at the segment's end."""

    items: Sequence[RawItem]
    cursor: Item | None


class ItemReader(Protocol):
    """Reads one segment of one table, page by page, from `cursor` (exclusive) on. Throttling is its business.

    It may read ahead: whoever stops early closes the generator, which ends what is under way.
    """

    def pages(self, segment: int, total_segments: int, cursor: Item | None) -> AsyncGenerator[Page, None]: ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that the target refuses for what it is (too large, empty key, …). `reason` holds no item data."""

    item: RawItem
    reason: str


class ItemWriter(Protocol):
    """Puts items. Returns when every one is acknowledged or rejected for good; raises if it cannot tell.

    The items of one call have distinct keys. Throttles and partial batches are its business.
    """

    async def put(self, items: Sequence[RawItem]) -> Sequence[Rejected]: ...


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What is known of a table: its identity survives no re-creation (`table_id`), `items` and `size` lag by hours."""

    name: str
    arn: str
    table_id: str
    status: str
    key_names: tuple[str, ...]
    items: int
    size: int
    ttl_attribute: str | None = None
    stream_arn: str | None = None
    index_key_names: tuple[str, ...] = ()


# ---- the journal


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as the journal knows it. `state` is running, interrupted, finished, failed; `epoch` fences zombies."""

    run_id: str
    environment: str
    kind: str
    state: str
    epoch: int
    started: str
    ended: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a run. `intent` was written before the first side effect, `result` after the last."""

    name: str
    state: str
    seconds: float
    detail: str
    intent: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one segment of one task is: saved only after what it counts was acknowledged.

    `cursor` is sealed (authenticated encryption). `digest` is the sum mod 2**128 over what was written or found.
    """

    segment: int
    total_segments: int
    cursor: str | None = None
    done: bool = False
    digest: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)


class Journal(Protocol):
    """The only truth about runs. Every write is conditional on the run's epoch and is durable when it returns.

    A writer with an old epoch gets `RunConflict`: its successor owns the run. Canaries (keyed digests, no data) are
    kept by task and segment; saving replaces the segment's.
    """

    def create_run(self, record: RunRecord) -> None: ...
    def run(self, run_id: str) -> RunRecord | None: ...
    def runs(self) -> Sequence[RunRecord]: ...
    def take_over(self, run_id: str) -> RunRecord: ...
    def end_run(self, run_id: str, epoch: int, state: str, ended: str) -> None: ...
    def step(self, run_id: str, name: str) -> StepRecord | None: ...
    def steps(self, run_id: str) -> Sequence[StepRecord]: ...
    def save_step(self, run_id: str, epoch: int, step: StepRecord) -> None: ...
    def checkpoints(self, run_id: str, task: str) -> Sequence[Checkpoint]: ...
    def save_checkpoint(self, run_id: str, epoch: int, task: str, checkpoint: Checkpoint) -> None: ...
    def quarantine(self, run_id: str, epoch: int, task: str, key_hash: str, reason: str) -> None: ...
    def quarantined(self, run_id: str, task: str) -> Sequence[tuple[str, str]]: ...
    def add_finding(self, run_id: str, epoch: int, task: str, finding: Mapping[str, Any]) -> None: ...
    def findings(self, run_id: str) -> Sequence[Mapping[str, Any]]: ...
    def save_canaries(self, run_id: str, epoch: int, task: str, segment: int, canaries: Sequence[str]) -> None: ...
    def canaries(self, run_id: str) -> Mapping[tuple[str, int], Sequence[str]]: ...


class Sealer(Protocol):
    """Authenticated encryption for cursors. `context` binds a sealed value to its run, task and segment."""

    def seal(self, plain: bytes, context: str) -> str: ...
    def open(self, sealed: str, context: str) -> bytes: ...


# ---- engines


@dataclass(frozen=True, slots=True)
class Lane:
    """The segments that one worker takes in turn, for one task."""

    task: str
    segments: tuple[int, ...]


class Engine(Protocol):
    """Runs lanes. `work` is picklable and idempotent: a lane whose worker died is run again from its checkpoints.

    Yields each lane as it ends well; raises the first error that `work` raised, after the other lanes have stopped.
    `stop` may be called from another thread: it ends every lane at once (its checkpoints stand), for good.
    """

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]: ...
    def stop(self) -> None: ...


class Durable(Protocol):
    """Carries a workflow's branches through; what is done is known from the journal, not from here."""

    def together(self, *branches: Callable[[], None]) -> None: ...


# ---- everything off the hot path


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


class Deployer(Protocol):
    """Makes the target's tables and domains anew. `check` raises what would make it fail, and touches nothing; `intent`
    is recorded before `deploy` may change anything."""

    def check(self) -> None: ...
    def intent(self) -> Mapping[str, Any]: ...
    def deploy(self, intent: Mapping[str, Any]) -> str: ...


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """One object as a listing shows it. `modified` is seconds since the epoch."""

    key: str
    etag: str
    size: int
    modified: float
    storage_class: str = "STANDARD"


@dataclass(frozen=True, slots=True)
class ObjectDetails:
    """What hangs on an object besides its content: metadata (a person's own, and headers of free text) and tags."""

    metadata: Mapping[str, str]
    tags: Mapping[str, str]


class ObjectStore(Protocol):
    """Buckets, seen with the target's credentials. `list` is in UTF-8 byte order of keys, after `start_after`.

    `details` is None if there is no such object (any more).
    """

    def list(self, bucket: SourceBucket | TargetBucket, start_after: str | None) -> Iterator[ObjectFacts]: ...
    def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts) -> None: ...
    def delete(self, target: TargetBucket, keys: Sequence[str]) -> None: ...
    def details(self, target: TargetBucket, key: str) -> ObjectDetails | None: ...
