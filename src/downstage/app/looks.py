"""Looking without touching: what would go wrong, what a refresh would do, who consumes the streams."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import islice

from downstage.app.runs import Project
from downstage.app.wiring import Sides, deployer_for, masking_check
from downstage.aws.exports import ExportControl, ExportObjects
from downstage.aws.opensearch import DomainControl
from downstage.aws.s3 import Buckets
from downstage.aws.streams import MappingControl
from downstage.aws.tables import TableControl
from downstage.domain.export import ExportPlan, export_id
from downstage.domain.plan import BucketPair
from downstage.domain.table_schema import Units
from downstage.errors import DownstageError, NotFound
from downstage.planning import guards
from downstage.planning.preflight import find_problems
from downstage.ports import Consumer, TableFacts
from downstage.syncing import inventory

_COUNTED = 10_000

EXPORT_DOLLARS = 0.10
"""What AWS asks for exporting a GB of a table (list price of us-east-1; other regions ask up to half as much again)."""


def problems(project: Project, environment: str) -> list[DownstageError]:
    """Everything that stands in the way of a refresh, the masking key included."""
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
            exports=ExportControl(sides.source),
            export_files=ExportObjects(sides.source),
        )
    )
    return found


def _masking_check(sides: Sides, *, readable: bool) -> Callable[[TableFacts], None]:
    """Checks the policy against the tables, if the keys it needs can be read."""
    return masking_check(sides.plan, sides.key(), sides.old_keys()) if readable else lambda _facts: None


def preview(project: Project, environment: str) -> dict[str, list[str]]:
    """What a refresh would do, heading by heading, with the names and sizes that AWS gives now."""
    plan = project.plan(environment)
    sides = Sides.of(plan)
    return {
        "from": [f"{plan.source.name} (account {plan.source.account})"],
        "to": [f"{plan.target.name} (account {plan.target.account})"],
        "addresses become": [plan.masking.sink],
        "flags to set": [flag.label for flag in plan.flags],
        "tables to delete": _doomed_tables(sides),
        "search domains to delete": _doomed_domains(sides),
        "deploy": [plan.deploy.label] if plan.deploy else [],
        "consumers to switch off and on": [f"{c.function} of {c.table}" for c, _ in consumers(project, environment)],
        "tables to copy": _tables(sides),
        "buckets to sync": _buckets(sides),
        "indexes to wait for": [f"{e.index}: {e.condition}" for e in plan.search.expectations] if plan.search else [],
    }


def consumers(project: Project, environment: str) -> list[tuple[Consumer, bool]]:
    """Each consumer of the target tables, and whether it listens to the stream that its table has now."""
    sides = Sides.of(project.plan(environment))
    if sides.plan.streams is None:
        return []
    tables = [pair.target.name for pair in sides.plan.tables]
    control = TableControl(sides.target)
    found = MappingControl(sides.target, sides.plan.streams).consumers(tables)
    streams = {table: _stream(control, table) for table in {consumer.table for consumer in found}}
    return [(consumer, consumer.stream_arn == streams[consumer.table]) for consumer in found]


def key_check(project: Project, environment: str) -> str:
    """The check value of the environment's masking key."""
    return Sides.of(project.plan(environment)).key().check


def _stream(control: TableControl, table: str) -> str | None:
    try:
        return control.facts(table).stream_arn
    except NotFound:
        return None


def _doomed_tables(sides: Sides) -> list[str]:
    patterns = sides.plan.wipe.tables if sides.plan.wipe else ()
    return list(guards.resolve_patterns(patterns, TableControl(sides.target).names()))


def _doomed_domains(sides: Sides) -> list[str]:
    patterns = sides.plan.wipe.domains if sides.plan.wipe else ()
    return list(guards.resolve_patterns(patterns, DomainControl(sides.target).names()))


def _tables(sides: Sides) -> list[str]:
    lines = []
    for pair in sides.plan.tables:
        facts = TableControl(sides.source).facts(pair.source.name)
        size = f"about {facts.items:,} items, {facts.size / 1e6:,.1f} MB{read_from(pair.export, facts.size)}"
        size += warmed(pair.terms.warm) + f"; at most {sides.plan.max_quarantine.of(facts.items):,} may be left out"
        lines.append(f"{pair.source.name} → {pair.target.name} ({size})")
    return lines


def warmed(warm: Units | None) -> str:
    """What a target table is warmed to when it is made: it is charged for."""
    if warm is None:
        return ""
    units = [f"{units:,} {way}" for units, way in ((warm.read, "reads"), (warm.write, "writes")) if units is not None]
    return f"; made warm for {' and '.join(units)} a second" if units else ""


def read_from(export: ExportPlan | None, size: int) -> str:
    """Where a table is read from, if not alive, what that costs, and what becomes of it."""
    if export is None:
        return ""
    after = "kept afterwards" if export.keep else "deleted once verified"
    if export.arn is not None:
        return f"; read from export {export_id(export.arn)} in s3://{export.bucket.name}, {after}"
    place = "/".join(filter(None, (export.bucket.name, export.prefix)))
    cost = f"${size / 2**30 * EXPORT_DOLLARS:,.2f} at ${EXPORT_DOLLARS:.2f} a GB"
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
    files = ExportObjects(sides.source)
    found = inventory.read(files, plan, pair.source, inventory.find(files, plan, pair.source))
    age = inventory.check_age(found, plan, pair.source, time.time())
    return f"listed by the inventory {found.key}, {inventory.aged(age)} old"
