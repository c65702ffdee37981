"""Looking without touching: what would go wrong, what a refresh would do, who consumes the streams."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from downstage.app import glue, notifying
from downstage.app.around import look_around
from downstage.app.automation import changes_of
from downstage.app.elsewhere import refuse_journal_of_here
from downstage.app.estimating import sizes_of, workload_of
from downstage.app.object_worker import masker_for
from downstage.app.runs import Project
from downstage.app.wiring import Sides, deployer_for, masking_check, spark_settings
from downstage.aws.exports import ExportControl, ExportObjects
from downstage.aws.opensearch import DomainControl
from downstage.aws.s3 import Buckets
from downstage.aws.streams import MappingControl
from downstage.aws.tables import TableControl
from downstage.domain.export import ExportPlan, export_id
from downstage.domain.plan import BucketPair, RefreshPlan
from downstage.domain.prices import Prices
from downstage.domain.table_schema import Units
from downstage.errors import DownstageError, UsageError
from downstage.masking.compile import compile_pseudonyms
from downstage.masking.sealing import KeySealer
from downstage.planning.consumers import alive
from downstage.planning.estimate import Estimate, estimate
from downstage.planning.preflight import find_problems
from downstage.planning.schedules import Kind
from downstage.planning.wiping import WipePlace, doomed
from downstage.planning.workload import Workload
from downstage.ports import Consumer, TableFacts
from downstage.syncing import inventory
from downstage.syncing.keys import KeyMasker
from downstage.workflow.backfill import mapping_problems
from downstage.workflow.prepare import values_before

_COUNTED = 10_000


def problems(project: Project, environment: str, note: Callable[[str], None]) -> list[DownstageError]:
    """Everything that stands in the way of a refresh, the masking key included. `note` is told what is worth knowing
    besides, and what could not be looked at."""
    sides = Sides.of(project.plan(environment))
    found: list[DownstageError] = []
    for look in (partial(project.plan, environment), sides.key, sides.old_keys):
        try:
            look()
        except DownstageError as error:
            found.append(error)
    found.extend(
        find_problems(
            sides.plan,
            project.environments(),
            source_identity=sides.source,
            target_identity=sides.target,
            source_tables=TableControl(sides.source),
            target_tables=TableControl(sides.target),
            store=Buckets(sides.target, sides.plan.source.region),
            source_domains=DomainControl(sides.source),
            target_domains=DomainControl(sides.target),
            consumers=MappingControl(sides.target, sides.plan.streams) if sides.plan.streams else None,
            check_masking=_masking_check(sides, readable=not found),
            deployer=deployer_for(sides),
            exports=ExportControl(sides.exporter),
            export_files=ExportObjects(sides.exporter),
            masker=_masker(sides) if not found else None,
            around=look_around(sides.source, sides.target, project.state),
            further=sides.further(),
            note=note,
        )
    )
    found.extend(engine_problems(project, sides.plan, note))
    found.extend(_lease_problems(project, environment, note))
    found.extend(notifying.problems(project.config, environment, sides.target))
    _note_schedule(project, environment, note)
    found.extend(mapping_problems(sides.plan))
    return found


def engine_problems(
    project: Project, plan: RefreshPlan, note: Callable[[str], None] = lambda _text: None
) -> list[DownstageError]:
    """What would keep a refresh from running its lanes where the plan says."""
    found: list[DownstageError] = []
    try:
        refuse_journal_of_here(plan, project.kind)
    except DownstageError as error:
        found.append(error)
    try:
        if plan.engine.name == "spark":
            spark_settings(plan)
    except DownstageError as error:
        found.append(error)
    return [*found, *glue.problems(plan, partial(_is_at_work, project, plan.target.name), note)]


def _is_at_work(project: Project, environment: str, run_id: str) -> bool:
    """Whether the run is the environment's and a process is behind it, as far as that can be told from here."""
    with suppress(DownstageError):
        run = project.journal(environment).run(run_id)
        return run is not None and run.environment == environment and project.state_of(run) == "running"
    return False


def _lease_problems(project: Project, environment: str, note: Callable[[str], None]) -> list[DownstageError]:
    """Why the lease cannot be read. Notes who has the environment now."""
    try:
        holder = project.holder(environment)
    except DownstageError as error:
        return [error]
    if holder is not None and holder.state != "free":
        note(
            f"{environment} is run {holder.run_id}'s ({holder.state}; {holder.who}, last heard of at {holder.renewed})"
        )
    return []


def _note_schedule(project: Project, environment: str, note: Callable[[str], None]) -> None:
    """Notes if the environment's schedule cannot be seen (a CI token that is not accepted) or is not as configured. No
    problem: a refresh that is begun by hand needs none."""
    refresh = project.config.config.environments[environment].refresh
    if refresh is None or refresh.schedule is None:
        return
    try:
        changes = [change for place in changes_of(project, [environment]) for change in place.changes]
    except DownstageError as error:
        note(f"schedule: {error}")
        return
    for change in changes:
        if change.kind in (Kind.CREATE, Kind.UPDATE, Kind.REMOVE):
            note(f"schedule {change.name}: not as the configuration says; 'downstage schedule apply' mends it")


def _masker(sides: Sides) -> KeyMasker:
    """What makes an object key free of addresses."""
    return masker_for(compile_pseudonyms(sides.plan.masking, sides.key(), sides.old_keys()))


def _masking_check(sides: Sides, *, readable: bool) -> Callable[[TableFacts], None]:
    """Checks the policy against the tables, if the keys it needs can be read."""
    return masking_check(sides.plan, sides.key(), sides.old_keys()) if readable else lambda _facts: None


def preview(project: Project, environment: str) -> dict[str, list[str]]:
    """What a refresh would do, heading by heading, with the names and sizes that AWS gives now."""
    plan = project.plan(environment)
    sides = Sides.of(plan)
    tables, domains = _doomed(sides)
    return {
        "from": [f"{plan.source.name} (account {plan.source.account})"],
        "to": [f"{plan.target.name} (account {plan.target.account})"],
        "kept to one run at a time by": [project.exclusion(environment)],
        "addresses become": [plan.masking.sink],
        "flags to set": [flag.label for flag in plan.flags],
        "tables to delete": tables,
        "search domains to delete": domains,
        "deploy": [plan.deploy.label] if plan.deploy else [],
        "consumers to switch off and on": [f"{c.function} of {c.table}" for c, _ in consumers(project, environment)],
        "tables to copy": _tables(sides, prices_of(project)),
        "buckets to sync": _buckets(sides),
        "indexes to wait for": [f"{e.index}: {e.condition}" for e in plan.search.expectations] if plan.search else [],
    }


def estimated(project: Project, environment: str) -> tuple[Workload, Estimate]:
    """What a refresh would take, and what that is reckoned from."""
    sides = Sides.of(project.plan(environment))
    sizes = sizes_of(
        TableControl(sides.source),
        TableControl(sides.target),
        Buckets(sides.target, sides.plan.source.region),
        (sides.source, sides.target),
    )
    load = workload_of(sides.plan, prices_of(project), sizes)
    return load, estimate(load)


def prices_of(project: Project) -> Prices:
    """What the configuration says that AWS asks."""
    return Prices(**project.config.config.prices.model_dump())


def consumers(project: Project, environment: str) -> list[tuple[Consumer, bool]]:
    """Each consumer of the target tables, and whether it listens to the stream that its table has now."""
    sides = Sides.of(project.plan(environment))
    if sides.plan.streams is None:
        return []
    tables = [pair.target.name for pair in sides.plan.tables]
    control = TableControl(sides.target)
    found = MappingControl(sides.target, sides.plan.streams).consumers(tables)
    return [(consumer, alive(sides.plan, consumer, control)) for consumer in found]


def other_consumers(project: Project, environment: str) -> list[Consumer]:
    """The consumers of the target tables that the configuration does not name; none if it does not want to know."""
    sides = Sides.of(project.plan(environment))
    streams = sides.plan.streams
    if streams is None or streams.others == "off":
        return []
    return list(MappingControl(sides.target, streams).others([pair.target.name for pair in sides.plan.tables]))


def flags_before(project: Project, environment: str) -> tuple[str, list[tuple[str, Any]]]:
    """The newest run that set the flags, and what each was before it (None: it was not set). Raises UsageError if no
    run has set any, JournalError if the masking key is another one now."""
    journal = project.journal(environment)
    sealer = KeySealer(Sides.of(project.plan(environment)).key())
    for run in reversed(journal.runs()):
        found = values_before(journal, run, sealer) if run.environment == environment else []
        if found:
            return run.run_id, found
    raise UsageError(f"no run has set the flags of {environment} yet: there is nothing that they were before")


def key_check(project: Project, environment: str) -> str:
    """The check value of the environment's masking key."""
    return Sides.of(project.plan(environment)).key().check


def _doomed(sides: Sides) -> tuple[list[str], list[str]]:
    """Tables and search domains that a wipe would delete, with their region where there are several."""
    own = WipePlace(sides.plan.target.region, sides.target, TableControl(sides.target), DomainControl(sides.target))
    found = doomed(sides.plan, (own, *sides.further()))
    where = {there.region: f" in {there.region}" if len(found) > 1 else "" for there in found}
    tables = [f"{name}{where[there.region]}" for there in found for name in there.tables]
    return tables, [f"{name}{where[there.region]}" for there in found for name in there.domains]


def _tables(sides: Sides, prices: Prices) -> list[str]:
    lines = []
    for pair in sides.plan.tables:
        facts = TableControl(sides.source).facts(pair.source.name)
        size = f"about {facts.items:,} items, {facts.size / 1e6:,.1f} MB"
        size += read_from(pair.export, facts.size, prices.export)
        size += warmed(pair.terms.warm) + f"; at most {sides.plan.max_quarantine.of(facts.items):,} may be left out"
        lines.append(f"{pair.source.name} → {pair.target.name} ({size})")
    return lines


def warmed(warm: Units | None) -> str:
    """What a target table is warmed to when it is made: it is charged for."""
    if warm is None:
        return ""
    units = [f"{units:,} {way}" for units, way in ((warm.read, "reads"), (warm.write, "writes")) if units is not None]
    return f"; made warm for {' and '.join(units)} a second" if units else ""


def read_from(export: ExportPlan | None, size: int, dollars: float = Prices().export) -> str:
    """Where a table is read from, if not alive, what that costs at so many dollars a GB, and what becomes of it."""
    if export is None:
        return ""
    after = "kept afterwards" if export.keep else "deleted once verified"
    if export.arn is not None:
        return f"; read from export {export_id(export.arn)} in s3://{export.bucket.name}, {after}"
    place = "/".join(filter(None, (export.bucket.name, export.prefix)))
    cost = f"${size / 2**30 * dollars:,.2f} at ${dollars:.2f} a GB"
    return f"; read from an export to s3://{place}, about {cost}, {after}"


def _buckets(sides: Sides) -> list[str]:
    lines = []
    for pair in sides.plan.buckets:
        objects = len(
            list(
                islice(
                    Buckets(sides.target, sides.plan.source.region).list(pair.source, None, pair.options.source_prefix),
                    _COUNTED,
                )
            )
        )
        size = f"{objects:,} objects" if objects < _COUNTED else f"{_COUNTED:,} objects or more"
        extra = ", what only the target has is deleted" if pair.delete else ""
        if pair.options.inventory is not None:
            extra += f", {_listed(sides, pair)}"
        lines.append(f"{pair.source.name} → {pair.target.name} ({size}{extra})")
    return lines


def _listed(sides: Sides, pair: BucketPair) -> str:
    """Which inventory would list the source now. Raises GuardRefused where a sync would."""
    plan = pair.options.inventory
    assert plan is not None
    files = ExportObjects(sides.exporter)
    found = inventory.read(files, plan, pair.source, inventory.find(files, plan, pair.source))
    age = inventory.check_age(found, plan, pair.source, time.time())
    return f"listed by the inventory {found.key}, {inventory.aged(age)} old"
