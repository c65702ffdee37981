"""A whole refresh in memory: production and a lower environment, a plan, and every part of a run.

The copy loop, the masking, the leak scan, the steps and their order are the real ones; only what lies behind the ports
is memory. The lower environment is stale to begin with: old items, old documents, consumers that are on.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from downstage.console.redaction import redact
from downstage.copying.export import ExportReader
from downstage.domain.environment import Environment
from downstage.domain.export import ExportSource
from downstage.domain.outcome import MaskingOutcome, RefreshOutcome
from downstage.domain.plan import (
    BucketPair,
    Deploy,
    EnginePlan,
    IndexExpectation,
    ItemFlag,
    MaskingPlan,
    MaxDelete,
    ParameterFlag,
    RefreshPlan,
    SearchPlan,
    Streams,
    SyncOptions,
    TablePair,
    Wipe,
)
from downstage.domain.refs import SourceBucket, SourceDomain, SourceTable, TargetBucket, TargetDomain, TargetTable
from downstage.engines.serial import SerialEngine
from downstage.indexing.bulk import Limits
from downstage.journals.memory import MemoryJournal
from downstage.masking.compile import TableShape, compile_masker, compile_pseudonyms, fingerprint
from downstage.masking.email import ALGORITHM
from downstage.masking.keys import MaskKey
from downstage.masking.nested import NestedMasker
from downstage.masking.sealing import KeySealer
from downstage.planning.exports import listed_files
from downstage.planning.surroundings import Surroundings
from downstage.planning.wiping import WipePlace
from downstage.ports import (
    Consumer,
    Engine,
    ExportFiles,
    Item,
    ItemGetter,
    ItemMender,
    Journal,
    ObjectTransfer,
    RunRecord,
    TableExports,
    TableFacts,
)
from downstage.testing.buckets import MemoryBuckets, MemoryTransfer
from downstage.testing.deep_lanes import MemoryDeepLanes, MemoryItems
from downstage.testing.exports import MemoryExports
from downstage.testing.faults import Port, Trip, faulty
from downstage.testing.index_lanes import MemoryIndexLanes
from downstage.testing.lanes import MemoryLanes
from downstage.testing.object_lanes import MemoryObjectLanes
from downstage.testing.search import MemoryDomains
from downstage.testing.simple import FixedIdentity, InOrder, JumpingClock, MemoryFlags, Recorder
from downstage.testing.streams import MemoryConsumers
from downstage.testing.tables import MemoryReader, MemoryTables, MemoryWriter
from downstage.verify.canaries import CanaryKey, Exempt
from downstage.verify.item_names import ItemNames
from downstage.verify.leaks import LeakScanner
from downstage.workflow.outcome import outcome_of
from downstage.workflow.parts import Deep, Here, Objects, Parts
from downstage.workflow.refresh import STEPS, run_steps

PROD, TEST, REGION = "111111111111", "222222222222", "us-east-1"
KEY = MaskKey(bytes(range(32)))
SOURCE, TARGET, FLAGS = "app-prod", "app-test", "deploy-test"
DOCUMENTS, COPIES = "documents-prod", "documents-test"
DOMAIN, INDEX, FUNCTION = "search-test", "app-case", "streams_test"
KEYS = ("pk", "sk")

PRODUCTION = Environment("prod", PROD, REGION, protected=True)
LOWER = Environment("test", TEST, REGION)


def case(number: int, address: str, **more: Any) -> Item:
    """One item that an index must hold."""
    item = {"pk": {"S": f"case|{number}"}, "sk": {"S": f"case|{number}"}, "entityName": {"S": "Case"}}
    return item | {"email": {"S": address}, "filed": {"N": str(number)}} | more


def some_items() -> list[Item]:
    """Production's items: cases, people whose key holds an address, one that has expired."""
    people = [
        {"pk": {"S": f"user|{name}@court.example.org"}, "sk": {"S": "profile"}, "visits": {"N": "1.50"}}
        for name in ("ada", "grace", "Ada")
    ]
    expired = {"pk": {"S": "session|1"}, "sk": {"S": "x"}, "expires": {"N": "1799999999"}}
    notes = {"M": {"to": {"L": [{"S": "Mail ada@court.example.org!"}]}}}
    return [*(case(number, f"p{number}@court.example.org", notes=notes) for number in range(5)), *people, expired]


def bucket_pair(**options: Any) -> BucketPair:
    """The documents' buckets; whatever the source lacks may be deleted."""
    wanted = SyncOptions(**{"max_delete": MaxDelete(share=1.0), **options})
    return BucketPair(SourceBucket(PROD, DOCUMENTS), TargetBucket(TEST, COPIES), delete=True, options=wanted)


def plan_of(**changes: Any) -> RefreshPlan:
    """The plan of the refresh, with some of its fields replaced."""
    fields: dict[str, Any] = {
        "source": PRODUCTION,
        "target": LOWER,
        "masking": MaskingPlan("env:KEY", "u-{token}@test.example.com", "test"),
        "engine": EnginePlan("serial", 1, 2),
        "flags": (
            ItemFlag(TargetTable(TEST, REGION, FLAGS), {"pk": {"S": "colour"}}, {"current": {"S": "alpha"}}),
            ParameterFlag("/app/test/colour", "alpha"),
        ),
        "wipe": Wipe(("app-test*",), ("search-test*",)),
        "deploy": Deploy("memory", {}),
        "streams": Streams((FUNCTION,)),
        "tables": (TablePair(SourceTable(PROD, REGION, SOURCE), TargetTable(TEST, REGION, TARGET)),),
        "buckets": (bucket_pair(),),
        "search": SearchPlan(
            TargetDomain(TEST, REGION, DOMAIN),
            SourceDomain(PROD, REGION, "search-prod"),
            "{pk}_{sk}",
            (IndexExpectation(INDEX, "entityName.S == 'Case'"),),
            patience=60.0,
        ),
    }
    return RefreshPlan(**(fields | changes))


class World:
    """Both environments and the journal. `writes` lists what was asked of the target, in order."""

    def __init__(self, items: Sequence[Item] | None = None, plan: RefreshPlan | None = None) -> None:
        self.plan = plan or plan_of()
        self.writes: list[str] = []
        self.clock = JumpingClock()
        self.events = Recorder()
        self.journal: Journal = MemoryJournal()
        self.source_identity, self.target_identity = FixedIdentity(PROD), FixedIdentity(TEST)
        self.source_tables, self.target_tables = MemoryTables([]), MemoryTables(self.writes)
        self.source_domains, self.target_domains = MemoryDomains([]), MemoryDomains(self.writes)
        self.consumers = MemoryConsumers(self.target_tables, self.deliver, self.writes)
        self.store = MemoryBuckets(self.writes)
        self.exports = MemoryExports(self.source_tables, PROD, self.writes)
        self.flags = MemoryFlags(self.writes)
        self.deployer = MemoryDeployer(self)
        self.key = KEY
        self.page_size = 3
        self.limits = Limits()
        self.schemas: list[dict[str, Any]] = []
        self.stop_at: float | None = None
        self.around: Surroundings | None = None
        self.elsewhere: Engine | None = None
        self.further: dict[str, tuple[MemoryTables, MemoryDomains]] = {}
        self.source_items: Callable[[str], ItemGetter] = lambda name: MemoryItems(self.source_tables[name])
        self.target_items: Callable[[str], ItemMender] = lambda name: MemoryItems(self.target_tables[name], self.writes)
        self.folder = Path(tempfile.gettempdir()) / f"downstage-world-{uuid.uuid4().hex}"  # made if it is needed
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._fill(some_items() if items is None else items)

    def _fill(self, items: Sequence[Item]) -> None:
        self.source_tables.create(SOURCE, KEYS, "expires").put(items)
        stale = self.target_tables.create(TARGET, KEYS, "expires")
        self.target_tables.create(FLAGS, ("pk",))
        self.target_domains.create(DOMAIN, {})
        self.source_domains.create("search-prod", {})
        self.consumers.add(FUNCTION, TARGET, stale.stream_arn)
        stale.put([case(99, "left.over@court.example.org")])
        for number in range(3):
            self.store.put(DOCUMENTS, f"case/{number}.pdf", b"%d" % number)
        self.store.put(COPIES, "case/1.pdf", b"stale")
        self.store.put(COPIES, "old.pdf", b"old")
        self.writes.clear()

    def deliver(self, item: Item) -> None:
        """What the consumer does: index each case."""
        if item.get("entityName") == {"S": "Case"} and DOMAIN in self.target_domains.domains:
            self.target_domains.index(DOMAIN).put(INDEX, f"{item['pk']['S']}_{item['sk']['S']}", item)

    # -- the life of a run

    def begin(self, run_id: str = "run-1", kind: str = "refresh", **settings: Any) -> RunRecord:
        """Enters a new run in the journal."""
        plan = self.plan
        masking = MaskingOutcome(plan.masking.sink, ALGORITHM, self.key.check)
        record = RunRecord(
            run_id=run_id,
            environment=plan.target.name,
            kind=kind,
            state="running",
            epoch=1,
            started="2027-01-15T08:00:00Z",
            ended="",
            settings={
                "source": plan.source.name,
                "source_account": plan.source.account,
                "target_account": plan.target.account,
                "masking": asdict(masking),
                "buckets": [[pair.source.name, pair.target.name] for pair in plan.buckets],
                "streams": plan.streams is not None,
                **settings,
            },
        )
        self.journal.create_run(record)
        return record

    def refresh(self, run: RunRecord | None = None, *, trip: Trip | None = None, chosen: Sequence[str] = STEPS) -> None:
        """Carries a run (a new one, if none is given) through. Raises what `run_steps` raises."""
        run_steps(self.parts(run or self.begin(), trip), InOrder(), chosen)

    def resume(self, run_id: str = "run-1", *, trip: Trip | None = None, chosen: Sequence[str] = STEPS) -> None:
        """Takes the run over and carries it through."""
        self.refresh(self.journal.take_over(run_id), trip=trip, chosen=chosen)

    def outcome(self, run_id: str = "run-1") -> RefreshOutcome:
        """What the run achieved."""
        run = self.journal.run(run_id)
        assert run is not None
        return outcome_of(self.journal, run, STEPS)

    def parts(self, run: RunRecord, trip: Trip | None = None) -> Parts:
        """Every part of the run, each port behind `trip` if one is given."""

        def port(value: Port) -> Port:
            return faulty(value, trip) if trip is not None else value

        plan = self.plan
        pseudonyms = compile_pseudonyms(plan.masking, self.key)
        scanner = LeakScanner(allowed=pseudonyms.allowed, fingerprint=pseudonyms.fingerprint)
        journal = port(self.journal)
        sealer = KeySealer(self.key)
        canary_key = CanaryKey(self.key.derive(CanaryKey.label(plan.masking.environment)))

        def transfer(_pair: BucketPair) -> ObjectTransfer:
            return port(MemoryTransfer(self.store, self.page_size))

        masker = NestedMasker(pseudonyms.replace, pseudonyms.is_kept).text
        lanes = MemoryLanes(
            source_reader=lambda name: port(MemoryReader(self.source_tables[name], self.page_size)),
            target_reader=lambda name: port(MemoryReader(self.target_tables[name], self.page_size)),
            writer=lambda name: port(MemoryWriter(self.target_tables[name], self.writes)),
            journal=journal,
            mask=compile_masker(plan.masking, self.key, TableShape(SOURCE, KEYS)),
            sealer=sealer,
            scanner=scanner,
            search=plan.search,
            fingerprint=pseudonyms.key_hash,
            canary_key=canary_key,
            exempt=Exempt.of(plan.masking),
            export_reader=lambda export: port(self._export_reader(export)),
        )
        names = ItemNames(self.key.derive(ItemNames.label(plan.masking.environment)))
        deep = MemoryDeepLanes(
            source_reader=lambda name: port(MemoryReader(self.source_tables[name], self.page_size)),
            target_reader=lambda name: port(MemoryReader(self.target_tables[name], self.page_size)),
            source_items=lambda name: port(self.source_items(name)),
            target_items=lambda name: port(self.target_items(name)),
            journal=journal,
            mask=compile_masker(plan.masking, self.key, TableShape(SOURCE, KEYS)),
            sealer=sealer,
            names=names,
            fingerprint=pseudonyms.key_hash,
        )
        object_lanes = MemoryObjectLanes(
            transfer=transfer,
            journal=journal,
            sealer=sealer,
            masker=masker,
            redact=redact,
            clock=self.clock.now,
        )
        return Parts(
            plan=plan,
            environments=(PRODUCTION, LOWER),
            run=run,
            journal=journal,
            engine=self.elsewhere or SerialEngine(),
            work=lanes,
            events=self.events,
            clock=self.clock,
            sealer=sealer,
            scanner=scanner,
            mask_fingerprint=fingerprint(plan.masking, self.key),
            check_masking=lambda facts: _compiles(plan.masking, self.key, facts),
            source_identity=port(self.source_identity),
            target_identity=port(self.target_identity),
            source_tables=port(self.source_tables),
            target_tables=port(self.target_tables),
            store=port(self.store),
            objects=Objects(
                lanes=object_lanes,
                engine=self.elsewhere or SerialEngine(),
                transfer=transfer,
                masker=masker,
                stop_at=self.stop_at,
                inventories=self.folder / "inventories",
            ),
            flags=port(self.flags),
            source_domains=port(self.source_domains),
            target_domains=port(self.target_domains),
            consumers=port(self.consumers) if plan.streams is not None else None,
            deployer=port(self.deployer) if plan.deploy is not None else None,
            redact=redact,
            schemas=lambda: self.schemas,
            canary_key=canary_key,
            deep=Deep(deep, self.folder, names),
            here=None if self.elsewhere is None else Here(SerialEngine(), 1, object_lanes),
            index_lanes=MemoryIndexLanes(
                reader=lambda name: port(MemoryReader(self.target_tables[name], self.page_size)),
                domains=port(self.target_domains),
                search=plan.search,
                journal=journal,
                sealer=sealer,
                clock=self.clock,
                limits=self.limits,
            ),
            exports=port(cast("TableExports", self.exports)),
            export_files=port(cast("ExportFiles", self.exports)),
            around=self.around,
            further=tuple(
                WipePlace(region, port(self.target_identity), port(tables), port(domains))
                for region, (tables, domains) in self.further.items()
            ),
        )

    def _export_reader(self, export: ExportSource) -> ExportReader:
        return ExportReader(export.bucket, listed_files(self.exports, export), self.exports)


def _compiles(plan: MaskingPlan, key: MaskKey, facts: TableFacts) -> None:
    """Raises ConfigError if the masking policy cannot stand on the table."""
    compile_masker(plan, key, TableShape(facts.name, facts.key_names, facts.index_key_names))


class MemoryDeployer:
    """Implements `ports.Deployer`: the target's table and domain, and its consumers (off) on the new stream."""

    def __init__(self, world: World) -> None:
        self._world = world

    def check(self) -> None:
        """Nothing could stand in the way here."""

    def intent(self) -> Mapping[str, Any]:
        """The consumers that must exist afterwards."""
        return {"consumers": [asdict(consumer) for consumer in self._world.consumers.consumers([TARGET])]}

    def deploy(self, intent: Mapping[str, Any]) -> str:
        """Makes what is missing."""
        world = self._world
        world.writes.append("deploy")
        if TARGET not in world.target_tables.tables:
            world.target_tables.create(TARGET, KEYS)
        world.target_domains.create(DOMAIN, {})
        world.target_domains.index(DOMAIN).create(INDEX, {})
        stream = world.target_tables[TARGET].stream_arn
        present = list(world.consumers.consumers([TARGET]))
        for consumer in present:
            if consumer.stream_arn != stream:
                world.consumers.remove(consumer)
        there = {consumer.function for consumer in present if consumer.stream_arn == stream}
        for record in intent["consumers"]:
            if record["function"] not in there:
                world.consumers.create(Consumer(**record), stream)
        return "1 table, 1 domain"
