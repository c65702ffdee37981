"""From a plan to the parts that carry it out: every adapter is made here and nowhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from downstage.app.worker import LaneWorker
from downstage.aws.clone import CloneDeployer
from downstage.aws.opensearch import DomainControl
from downstage.aws.parameters import FlagWriter
from downstage.aws.s3 import Buckets
from downstage.aws.secrets import KeyReader
from downstage.aws.session import Session
from downstage.aws.streams import MappingControl
from downstage.aws.tables import TableControl
from downstage.console.redaction import redact
from downstage.domain.environment import Environment
from downstage.domain.outcome import MaskingOutcome
from downstage.domain.plan import RefreshPlan
from downstage.engines.local import LocalEngine
from downstage.engines.serial import SerialEngine
from downstage.errors import ConfigError
from downstage.journals.sqlite import SqliteJournal
from downstage.masking.compile import TableShape, compile_masker, compile_pseudonyms, fingerprint
from downstage.masking.email import ALGORITHM, EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Deployer, Engine, EventSink, RunRecord, TableFacts
from downstage.verify.canaries import CanaryKey
from downstage.verify.leaks import LeakScanner
from downstage.workflow.parts import Parts


class SystemClock:
    """Implements `ports.Clock` with the machine's clocks."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a refresh, signed in lazily, and the masking key's pseudonyms, read with the source's role."""

    plan: RefreshPlan
    source: Session
    target: Session

    @classmethod
    def of(cls, plan: RefreshPlan) -> Sides:
        """Sessions for both environments of the plan."""
        return cls(plan, Session(plan.source), Session(plan.target))

    def key(self) -> MaskKey:
        """The masking key."""
        return MaskKey(self._keys().read(self.plan.masking.key))

    def old_keys(self) -> tuple[MaskKey, ...]:
        """The keys of earlier epochs, whose pseudonyms are recognised."""
        return tuple(MaskKey(self._keys().read(reference)) for reference in self.plan.masking.old_keys)

    def _keys(self) -> KeyReader:
        return KeyReader(self.source, os.environ)


def masking_outcome(plan: RefreshPlan, key: MaskKey) -> dict[str, Any]:
    """What the report says of the masking."""
    masking = plan.masking
    outcome = MaskingOutcome(
        masking.sink,
        ALGORITHM,
        key.check,
        len(masking.keep_domains),
        len(masking.keep_addresses),
        tuple(masking.keep_domains),
    )
    return asdict(outcome)


def scanner_for(pseudonyms: EmailPseudonyms) -> LeakScanner:
    """The leak scanner, told what may stand in the target."""
    return LeakScanner(allowed=pseudonyms.allowed, fingerprint=pseudonyms.fingerprint)


def masking_check(plan: RefreshPlan, key: MaskKey, old_keys: Sequence[MaskKey]) -> Callable[[TableFacts], None]:
    """Says, by raising ConfigError, whether the masking policy can stand on a table."""

    def check(facts: TableFacts) -> None:
        compile_masker(plan.masking, key, TableShape(facts.name, facts.key_names, facts.index_key_names), old_keys)

    return check


def engine_for(plan: RefreshPlan) -> Engine:
    """The engine that the plan names. Raises ConfigError if there is none of that name."""
    if plan.engine.name == "serial":
        return SerialEngine()
    if plan.engine.name == "local":
        return LocalEngine(plan.engine.workers)
    raise ConfigError(f"there is no engine '{plan.engine.name}': use serial or local")


def lanes_at_once(plan: RefreshPlan) -> int:
    """How many lanes the plan's engine runs at one time."""
    return 1 if plan.engine.name == "serial" else plan.engine.workers


def deployer_for(sides: Sides) -> Deployer | None:
    """The deployer that the plan names, if any. One that we lack is planned only if its step is left out."""
    plan = sides.plan
    if plan.deploy is None or plan.deploy.kind != "clone":
        return None
    return CloneDeployer(sides.source, sides.target, plan.tables, plan.search, plan.streams)


def parts_for(
    sides: Sides,
    environments: tuple[Environment, ...],
    run: RunRecord,
    journal: SqliteJournal,
    path: Path,
    events: EventSink,
) -> Parts:
    """Every part of one run. `environments` are all of the configuration; `path` is the journal's file."""
    plan = sides.plan
    key, old_keys = sides.key(), sides.old_keys()
    pseudonyms = compile_pseudonyms(plan.masking, key, old_keys)
    mask = fingerprint(plan.masking, key, old_keys)
    return Parts(
        plan=plan,
        environments=environments,
        run=run,
        journal=journal,
        engine=engine_for(plan),
        work=LaneWorker(
            plan.source, plan.target, plan.masking, mask, plan.search, plan.rates.shared(lanes_at_once(plan)), path
        ),
        events=events,
        clock=SystemClock(),
        sealer=KeySealer(key),
        scanner=scanner_for(pseudonyms),
        mask_fingerprint=mask,
        check_masking=masking_check(plan, key, old_keys),
        source_identity=sides.source,
        target_identity=sides.target,
        source_tables=TableControl(sides.source),
        target_tables=TableControl(sides.target),
        store=Buckets(sides.target),
        flags=FlagWriter(sides.target),
        source_domains=DomainControl(sides.source),
        target_domains=DomainControl(sides.target),
        consumers=MappingControl(sides.target, plan.streams) if plan.streams else None,
        deployer=deployer_for(sides),
        redact=redact,
        canary_key=CanaryKey(key.derive(CanaryKey.label(plan.masking.environment))),
    )
