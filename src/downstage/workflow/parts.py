"""What the steps are handed: the plan, the journal of this run, and every port they may use.

A step gets a `Step` handle as well: its record in the journal. The handle keeps the rule that makes steps safe to
run twice: the intent is on disk before the first side effect, and a step that is run again finds its old intent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from downstage.domain.environment import Environment
from downstage.domain.events import Event
from downstage.domain.outcome import StepState
from downstage.domain.plan import RefreshPlan
from downstage.planning import guards
from downstage.ports import (
    Clock,
    Deployer,
    Engine,
    EventSink,
    FlagStore,
    Identity,
    Journal,
    Lane,
    ObjectStore,
    RunRecord,
    Sealer,
    SearchDomains,
    StepRecord,
    StreamControl,
    TableAdmin,
    TableFacts,
)
from downstage.verify.canaries import CanaryKey
from downstage.verify.leaks import LeakScanner


@dataclass(frozen=True, slots=True)
class TableWork:
    """One table's lanes, decided before the first item is read and the same in every resumed attempt."""

    source: str
    target: str
    key_names: tuple[str, ...]
    segments: int
    ttl_attribute: str | None
    expired_before: float
    index_key_names: tuple[str, ...] = ()


class LaneWork(Protocol):
    """Makes the picklable function that engines call for each lane of a task: copying, or verifying."""

    def copy(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]: ...
    def verify(self, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the steps of one run may touch."""

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
    flags: FlagStore
    source_domains: SearchDomains
    target_domains: SearchDomains
    consumers: StreamControl | None
    deployer: Deployer | None
    redact: Callable[[str], str]
    canary_key: CanaryKey | None = None

    @property
    def copy_run(self) -> str:
        """The run whose copy is verified: this one, unless `verify` was called alone."""
        return str(self.run.settings.get("copy_run") or self.run.run_id)

    def guard(self) -> None:
        """Stands before every write: the plan is one that may be carried out, and we are who it says we are."""
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

    def save(self, state: StepState, detail: str) -> None:
        """Writes the step's record."""
        seconds = self.parts.clock.monotonic() - self.started
        record = StepRecord(self.name, state.value, seconds, detail, self._intent, self._result)
        self.parts.journal.save_step(self.parts.run.run_id, self.parts.run.epoch, record)
