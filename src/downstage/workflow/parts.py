"""What the steps are handed: the plan, the journal of this run, and every port they may use.

A step gets a `Step` handle as well: its record in the journal. The handle keeps the rule that makes steps safe to
run twice: the intent is on disk before the first side effect, and a step that is run again finds its old intent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from downstage.domain.environment import Environment
from downstage.domain.events import Event
from downstage.domain.export import ExportSource
from downstage.domain.outcome import StepState
from downstage.domain.plan import Backfill, BucketPair, Compare, RefreshPlan
from downstage.planning import guards
from downstage.planning.surroundings import Surroundings
from downstage.planning.wiping import WipePlace
from downstage.ports import (
    Clock,
    Deployer,
    Engine,
    EventSink,
    ExportFiles,
    FlagStore,
    Identity,
    Journal,
    Lane,
    ObjectStore,
    ObjectTransfer,
    Recorded,
    RunRecord,
    Sealer,
    SearchDomains,
    StepRecord,
    StreamControl,
    TableAdmin,
    TableExports,
    TableFacts,
)
from downstage.verify.canaries import CanaryKey
from downstage.verify.item_names import ItemNames
from downstage.verify.leaks import LeakScanner


@dataclass(frozen=True, slots=True)
class TableWork:
    """One table's lanes, decided before the first item is read and the same in every resumed attempt. `segments` are
    those of a Scan; with an `export` the copy reads that."""

    source: str
    target: str
    key_names: tuple[str, ...]
    segments: int
    ttl_attribute: str | None
    expired_before: float
    index_key_names: tuple[str, ...] = ()
    max_quarantine: int | None = None
    export: ExportSource | None = None

    @property
    def read_segments(self) -> int:
        """Into how many segments the copy's source is cut: an export has its own number, of data files."""
        return self.segments if self.export is None else self.export.segments


class LaneWork(Protocol):
    """Makes the picklable function that engines call for each lane of a task: copying, or verifying."""

    def copy(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]: ...
    def verify(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]: ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What the environment has besides this run. `known` gives every journal of its runs that can be read, as one;
    `loading` is told before this run loads; `loaded_by` gives the run that was the last to, or nothing."""

    known: Callable[[], Recorded]
    loading: Callable[[], None]
    loaded_by: Callable[[], str]


def _always_ours() -> None:
    """For a run that shares its environment with nobody."""


@dataclass(frozen=True, slots=True)
class DeepWork:
    """One table's deep comparison: what was copied how, where the spill is, which run copied it."""

    table: TableWork
    spill: Path
    copy_run: str


class IndexLanes(Protocol):
    """Makes the picklable function that engines call for each lane of a backfill. `only` are the indexes asked for
    (None: all); a `dry` one sends nothing. `flags` are the values of the environment's flags for the user's function,
    as `workflow.flag_values` seals them. `version` tells one mapping from another, for a run that is resumed."""

    def backfill(
        self, run: RunRecord, tables: Sequence[TableWork], *, dry: bool, only: Sequence[str] | None, flags: str = ""
    ) -> Callable[[Lane], None]: ...
    def version(self, settings: Backfill) -> str: ...


class DeepLanes(Protocol):
    """Makes the picklable function that engines call for each lane of a deep comparison."""

    def deep(self, run: RunRecord, works: Sequence[DeepWork]) -> Callable[[Lane], None]: ...


@dataclass(frozen=True, slots=True)
class Deep:
    """What a run needs to look at a table item by item: its lanes, the folder of the spills, the names of items."""

    lanes: DeepLanes
    folder: Path
    names: ItemNames


@dataclass(frozen=True, slots=True)
class ObjectWork:
    """One bucket pair's lanes, decided by the plan pass. `ranges` is sealed (its bounds are keys); `context` is what it
    and the cursors are sealed for. `deletes` is what each segment may delete; the last segment, beyond the ranges, is
    of the renamed keys, which the lane reads from the journal. `inventory` is the sorted file that lists the source, if
    it is not listed itself."""

    pair: BucketPair
    compare: Compare
    ranges: str
    context: str
    segments: int
    deletes: tuple[int, ...]
    inventory: Path | None = None


class ObjectLanes(Protocol):
    """Makes the picklable function that engines call for each lane of a sync; while the block lasts, `emit` is told of
    every operation as it ends, in whatever process that is."""

    def sync(
        self,
        run: RunRecord,
        works: Sequence[ObjectWork],
        emit: Callable[[Event], None],
        stop_at: float | None,
    ) -> AbstractContextManager[Callable[[Lane], None]]: ...


@dataclass(frozen=True, slots=True)
class Here:
    """This machine's own `workers`, where the run's engine is on other machines: for lanes that share a file with
    us."""

    engine: Engine
    workers: int
    objects: ObjectLanes


@dataclass(frozen=True, slots=True)
class Objects:
    """What the buckets' steps need besides: their lanes, an engine of their own (the tables' is busy at that time), the
    hot calls on one pair, what makes a key free of addresses. From `stop_at` (seconds since the epoch) on nothing new
    is begun. `inventories` is the folder for sorted inventories, on this machine's disk."""

    lanes: ObjectLanes
    engine: Engine
    transfer: Callable[[BucketPair], ObjectTransfer]
    masker: Callable[[str], str]
    stop_at: float | None = None
    inventories: Path | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the steps of one run may touch. `further` are the regions that are wiped besides the target's own."""

    plan: RefreshPlan
    environments: tuple[Environment, ...]
    run: RunRecord
    journal: Journal
    engine: Engine
    work: LaneWork
    events: EventSink
    clock: Clock
    sealer: Sealer
    scanner: LeakScanner
    mask_fingerprint: str
    check_masking: Callable[[TableFacts], None]
    source_identity: Identity
    target_identity: Identity
    source_tables: TableAdmin
    target_tables: TableAdmin
    store: ObjectStore
    objects: Objects
    flags: FlagStore
    source_domains: SearchDomains
    target_domains: SearchDomains
    consumers: StreamControl | None
    deployer: Deployer | None
    redact: Callable[[str], str]
    deep: Deep
    canary_key: CanaryKey | None = None
    schemas: Callable[[], Sequence[Mapping[str, Any]]] | None = None
    here: Here | None = None
    index_lanes: IndexLanes | None = None
    exports: TableExports | None = None
    export_files: ExportFiles | None = None
    around: Surroundings | None = None
    further: tuple[WipePlace, ...] = ()
    still_ours: Callable[[], None] = _always_ours
    shared: Shared | None = None

    @property
    def known(self) -> Recorded:
        """What is known here of all runs of the environment: read anew at each call."""
        return self.journal if self.shared is None else self.shared.known()

    @property
    def copy_run(self) -> str:
        """The run whose copy is verified: this one, unless `verify` was called alone."""
        return str(self.run.settings.get("copy_run") or self.run.run_id)

    @property
    def engine_here(self) -> Engine:
        """What runs lanes that share a file with this process."""
        return self.engine if self.here is None else self.here.engine

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Whatever may run lanes of this run."""
        return self.engine, self.objects.engine, *(() if self.here is None else (self.here.engine,))

    def with_engines(self, made: Callable[[Engine], Engine]) -> Parts:
        """The same parts, with what is made of each engine in its place."""
        return replace(
            self,
            engine=made(self.engine),
            objects=replace(self.objects, engine=made(self.objects.engine)),
            here=None if self.here is None else replace(self.here, engine=made(self.here.engine)),
        )

    def guard(self) -> None:
        """Stands before every write: the environment is still this run's, the plan is one that may be carried out, and
        we are who it says we are."""
        self.still_ours()
        guards.check_accounts(self.plan, self.environments)
        guards.check_identity(self.plan.target, self.target_identity.caller(), self.environments)

    def emit(self, event: Event) -> None:
        """Tells whoever watches."""
        self.events.emit(event)

    def facts(self, source: str, target: str) -> tuple[TableFacts, TableFacts]:
        """Both tables of a pair."""
        return self.source_tables.facts(source), self.target_tables.facts(target)


@dataclass(slots=True)
class Step:
    """The handle of one running step."""

    parts: Parts
    name: str
    started: float
    _intent: Mapping[str, Any] = field(default_factory=dict)
    _result: Mapping[str, Any] = field(default_factory=dict)

    def intent(self, look: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What this step set out to do: recorded by an earlier attempt, or found by `look` and recorded now."""
        if not self._intent:
            self._intent = dict(look()) | {"recorded": True}
            self.save(StepState.RUNNING, "")
        return self._intent

    def result(self, **values: Any) -> None:
        """Facts about the outcome, for later steps and the report; on disk with the step's completion."""
        self._result = {**self._result, **values}

    def recall(self, name: str) -> Any:
        """A fact that an attempt of before, or this one, has entered; None if there is none of that name."""
        return self._result.get(name)

    def save(self, state: StepState, detail: str) -> None:
        """Writes the step's record."""
        seconds = self.parts.clock.monotonic() - self.started
        record = StepRecord(self.name, state.value, seconds, detail, self._intent, self._result)
        self.parts.journal.save_step(self.parts.run.run_id, self.parts.run.epoch, record)
