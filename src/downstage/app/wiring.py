"""From a plan to the parts that carry it out: every adapter is made here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from downstage.app import glue, twins
from downstage.app.around import look_around
from downstage.app.clock import SystemClock
from downstage.app.deep_lanes import DeepWorker
from downstage.app.deployers import make_deployer
from downstage.app.elsewhere import refuse_keys_of_here, refuse_launcher_of_here
from downstage.app.index_worker import IndexWorker
from downstage.app.object_worker import ObjectWorker, masker_for, transfer_for
from downstage.app.places import ControlPlace, JournalPlace
from downstage.app.worker import LaneWorker
from downstage.aws.exports import ExportControl, ExportObjects
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
from downstage.domain.plan import SPREAD, RefreshPlan
from downstage.engines.local import LocalEngine
from downstage.engines.serial import SerialEngine
from downstage.engines.spark import SparkEngine
from downstage.engines.spark_session import SparkSettings, is_here
from downstage.errors import ConfigError
from downstage.masking.compile import TableShape, compile_masker, compile_pseudonyms, fingerprint
from downstage.masking.email import ALGORITHM, EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.planning.wiping import WipePlace
from downstage.ports import Clock, Deployer, Engine, EventSink, Journal, RunRecord, TableFacts
from downstage.verify.canaries import CanaryKey
from downstage.verify.item_names import ItemNames
from downstage.verify.leaks import LeakScanner
from downstage.workflow.parts import Deep, Here, Objects, Parts


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a refresh, signed in lazily, and the masking key's pseudonyms, read with the source's role."""

    plan: RefreshPlan
    source: Session
    target: Session
    exporter: Session

    @classmethod
    def of(cls, plan: RefreshPlan) -> Sides:
        """Sessions for both environments of the plan, and one for exports, which may be the source's."""
        source = Session(plan.source)
        return cls(plan, source, Session(plan.target), source if plan.exporter is None else Session(plan.exporter))

    def further(self) -> tuple[WipePlace, ...]:
        """The regions that are wiped besides the target's own, each with a session. Endpoints of single domains are of
        the target's own region: AWS is asked for those of another."""
        places = []
        for region in self.plan.wiped_regions[1:]:
            session = Session(replace(self.plan.target, region=region, search_endpoints=()))
            places.append(WipePlace(region, session, TableControl(session), DomainControl(session)))
        return tuple(places)

    def key(self) -> MaskKey:
        """The masking key."""
        return MaskKey(self._keys().read(self.plan.masking.key))

    def old_keys(self) -> tuple[MaskKey, ...]:
        """The keys of earlier epochs, whose pseudonyms are recognised."""
        return tuple(MaskKey(self._keys().read(reference)) for reference in self.plan.masking.old_keys)

    def _keys(self) -> KeyReader:
        return KeyReader(self.source, os.environ)


@dataclass(frozen=True, slots=True)
class RunPlaces:
    """Where a run keeps what it keeps: its journal, its lease if it has one, and what is only of this machine."""

    journal: JournalPlace
    lease: ControlPlace | None
    state: Path


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
    """The engine that the plan names, but glue, which is of one run. Raises ConfigError if there is no such engine."""
    if plan.engine.name == "serial":
        return SerialEngine()
    if plan.engine.name == "local":
        return LocalEngine(plan.engine.workers)
    if plan.engine.name == "spark":
        return SparkEngine(plan.engine.workers, spark_settings(plan))
    raise ConfigError(f"there is no engine '{plan.engine.name}': use serial, local, spark or glue")


def spark_settings(plan: RefreshPlan) -> SparkSettings:
    """Where Spark is to run. Raises ConfigError if its workers could not read the masking keys or the exports there."""
    if not is_here(plan.engine.master):
        refuse_keys_of_here(plan, f"a worker of {plan.engine.master}")
        refuse_launcher_of_here(plan, f"a worker of {plan.engine.master}")
    return SparkSettings(plan.engine.master, dict(plan.engine.conf))


def lanes_at_once(plan: RefreshPlan) -> int:
    """How many lanes the plan's engine runs at one time."""
    return 1 if plan.engine.name == "serial" else plan.engine.workers


def worker_for(plan: RefreshPlan, mask: str, places: RunPlaces, lanes: int) -> LaneWorker:
    """What tells workers what to do, of whom `lanes` are at work at one time."""
    return LaneWorker(
        plan.source,
        plan.target,
        plan.masking,
        mask,
        plan.search,
        plan.rates.shared(lanes),
        lanes,
        places.journal,
        places.lease,
        plan.exporter,
    )


def deployer_for(sides: Sides, clock: Clock | None = None, run_id: str = "") -> Deployer | None:
    """The deployer that the plan names, if any; without a run one that is only to check."""
    return make_deployer(
        sides.plan,
        sides.source,
        sides.target,
        clock or SystemClock(),
        os.environ,
        sealer=lambda: KeySealer(sides.key()),
        run_id=run_id,
    )


def parts_for(
    sides: Sides,
    environments: tuple[Environment, ...],
    run: RunRecord,
    journal: Journal,
    places: RunPlaces,
    events: EventSink,
    still_ours: Callable[[], None],
    stop_at: float | None = None,
    clock: Clock | None = None,
) -> Parts:
    """Every part of one run. `environments` are all of the configuration; `still_ours` stands before every write; from
    `stop_at` (seconds since the epoch) on a bucket sync begins nothing new."""
    plan, clock = sides.plan, clock or SystemClock()
    key, old_keys = sides.key(), sides.old_keys()
    pseudonyms = compile_pseudonyms(plan.masking, key, old_keys)
    mask = fingerprint(plan.masking, key, old_keys)
    worker = worker_for(plan, mask, places, lanes_at_once(plan))
    ours, here = worker, None
    if plan.engine.name in SPREAD:
        cores = os.cpu_count() or 1
        ours = worker_for(plan, mask, places, cores)
        here = Here(LocalEngine(cores), cores, ObjectWorker(ours))
    engine: Callable[[], Engine] = partial(engine_for, plan)
    if plan.engine.name == "glue":
        worker, engine = glue.travelling(worker), glue.engine_of(plan, run, journal, KeySealer(key), clock)
    names = ItemNames(key.derive(ItemNames.label(plan.masking.environment)))
    return Parts(
        plan=plan,
        environments=environments,
        run=run,
        journal=journal,
        engine=engine(),
        work=worker,
        events=events,
        clock=clock,
        sealer=KeySealer(key),
        scanner=scanner_for(pseudonyms),
        mask_fingerprint=mask,
        check_masking=masking_check(plan, key, old_keys),
        source_identity=sides.source,
        target_identity=sides.target,
        source_tables=TableControl(sides.source),
        target_tables=TableControl(sides.target),
        store=Buckets(sides.target, plan.source.region),
        objects=Objects(
            lanes=ObjectWorker(worker),
            engine=engine(),
            transfer=partial(transfer_for, sides.target, plan.source.region),
            masker=masker_for(pseudonyms),
            stop_at=stop_at,
            inventories=places.state / "inventories",
        ),
        flags=FlagWriter(sides.target),
        source_domains=DomainControl(sides.source),
        target_domains=DomainControl(sides.target),
        consumers=MappingControl(sides.target, plan.streams) if plan.streams else None,
        deployer=deployer_for(sides, clock, run.run_id),
        redact=redact,
        canary_key=CanaryKey(key.derive(CanaryKey.label(plan.masking.environment))),
        schemas=lambda: [twins.record(one) for one in twins.compared(sides.source, sides.target, twins.pairs_of(plan))],
        deep=Deep(DeepWorker(ours), places.state / "deep", names),
        here=here,
        index_lanes=IndexWorker(worker),
        exports=ExportControl(sides.exporter),
        export_files=ExportObjects(sides.exporter),
        around=look_around(sides.source, sides.target, places.state),
        further=sides.further(),
        still_ours=still_ours,
    )
