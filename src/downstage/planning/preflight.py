"""Everything that would make a refresh fail later, found at once and before anything is touched.

Each look is independent: one that fails becomes a problem in the list, and the next is made all the same, so that a
person mends the configuration in one go. It only reads, with both sides' credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import islice

from downstage.domain.environment import Environment
from downstage.domain.export import ExportPlan
from downstage.domain.plan import BucketPair, RefreshPlan, TablePair
from downstage.errors import AwsError, ConfigError, DownstageError, NotFound, Unreachable
from downstage.planning import guards, surroundings
from downstage.planning.consumers import check_others, concerns
from downstage.planning.exports import check_facts, check_window
from downstage.planning.wiping import WipePlace, check_places, check_wipe
from downstage.ports import (
    Deployer,
    ExportFiles,
    Identity,
    ObjectStore,
    SearchDomains,
    StreamControl,
    TableAdmin,
    TableExports,
    TableFacts,
)


def _unheard(_text: str) -> None:
    """Where nobody listens."""


def find_problems(
    plan: RefreshPlan,
    environments: Sequence[Environment],
    *,
    source_identity: Identity,
    target_identity: Identity,
    source_tables: TableAdmin,
    target_tables: TableAdmin,
    store: ObjectStore,
    source_domains: SearchDomains,
    target_domains: SearchDomains,
    consumers: StreamControl | None,
    check_masking: Callable[[TableFacts], None],
    deployer: Deployer | None,
    steps: Collection[str] | None = None,
    exports: TableExports | None = None,
    export_files: ExportFiles | None = None,
    masker: Callable[[str], str] | None = None,
    around: surroundings.Surroundings | None = None,
    further: Sequence[WipePlace] = (),
    note: Callable[[str], None] = _unheard,
) -> list[DownstageError]:
    """All problems, worst side first; an empty list means that nothing stands in the way.

    `check_masking` raises ConfigError if the masking policy cannot stand on a source table; `masker` pseudonymises the
    addresses in a text.
    `steps` are those that will run; None means all of them. `further` are the regions that are wiped besides. `around`
    is what is looked at besides; `note` is told what is worth knowing and no problem, and what could not be looked at.
    """
    problems: list[DownstageError] = []
    sources: list[TableFacts] = []

    def runs(step: str) -> bool:
        return steps is None or step in steps

    def look(check: Callable[[], object]) -> bool:
        try:
            check()
        except DownstageError as error:
            if str(error) not in map(str, problems):
                problems.append(error)
            return False
        return True

    look(lambda: guards.check_accounts(plan, environments))
    look(lambda: guards.check_exports(plan))
    if masker is not None:
        for bucket in plan.buckets:
            look(partial(guards.check_prefix, bucket, masker))
    source_there = look(lambda: guards.check_identity(plan.source, source_identity.caller(), environments))
    target_there = look(lambda: guards.check_identity(plan.target, target_identity.caller(), environments))
    if around is not None and not any(isinstance(problem, Unreachable) for problem in problems):
        look(lambda: surroundings.check_clock(around, note))
    if source_there:
        for pair in plan.tables:
            look(partial(_source_table, source_tables, pair.source.name, check_masking, sources))
            if pair.export is not None and exports is not None and export_files is not None:
                look(partial(export_files.check, pair.export.bucket))
                look(partial(_export, pair, pair.export, exports))
        if plan.search is not None and plan.search.source is not None:
            look(partial(_domain, source_domains, plan.search.source.name, "source", "search.from"))
        if around is not None:
            look(lambda: surroundings.check_source_role(plan, around.source_role, note))
    if target_there:
        if plan.wipe is not None:
            places = (WipePlace(plan.target.region, target_identity, target_tables, target_domains), *further)
            if look(lambda: check_places(plan, places, environments)):
                look(lambda: check_wipe(plan, places))
        for bucket in plan.buckets:
            look(partial(_bucket, store, bucket))
            if around is not None:
                look(partial(surroundings.check_bucket, bucket, store, around.bucket_keys, note))
        if around is not None:
            look(lambda: surroundings.check_masking_key(plan, around.key_probe, note))
        if consumers is not None:
            look(lambda: _consumers(plan, consumers))
            look(lambda: check_others(plan, consumers, target_tables))
            if around is not None:
                look(lambda: surroundings.name_consumers(plan, consumers, note))
        if source_there and deployer is not None and runs("deploy"):
            look(deployer.check)
        if plan.deploy is None or not runs("deploy"):
            for pair in plan.tables:
                look(partial(_table, target_tables, pair.target.name))
            if plan.search is not None:
                look(partial(_domain, target_domains, plan.search.target.name, "target", "search.domain"))
        if runs("copy") and (plan.wipe is None or not runs("wipe")):
            for pair in plan.tables:
                look(partial(_empty_target, target_tables, pair))
    if around is not None:
        look(lambda: surroundings.check_disk(around, sources, note))
    if source_there and target_there:
        for concern in concerns(plan, consumers=consumers, source_tables=source_tables, target_tables=target_tables):
            note(concern)
    return problems


def _table(tables: TableAdmin, name: str) -> None:
    tables.facts(name)


def _source_table(
    tables: TableAdmin, name: str, check_masking: Callable[[TableFacts], None], found: list[TableFacts]
) -> None:
    found.append(tables.facts(name))
    check_masking(found[-1])


def _export(pair: TablePair, export: ExportPlan, exports: TableExports) -> None:
    """The table can be exported, or the export that is given can be read as it."""
    if export.arn is None:
        check_window(pair, exports.window(pair.source.name))
        return
    facts = exports.facts(export.arn)
    check_facts(pair, export, facts)


def _domain(domains: SearchDomains, name: str, side: str, setting: str) -> None:
    if domains.description(name) is None:
        raise NotFound(f"there is no search domain {name} in the {side}: correct {setting} in the configuration")


def check_source(store: ObjectStore, pair: BucketPair) -> None:
    """Looks whether the source's listing begins, and with anything. Raises GuardRefused if a sync that deletes could
    not rely on it."""
    try:
        empty = not any(True for _ in islice(store.list(pair.source, None, pair.options.source_prefix), 1))
    except (NotFound, Unreachable):
        raise
    except AwsError as error:
        if pair.delete:
            guards.check_sync(pair, source_is_empty=None, delete=True, reason=str(error))
        raise
    guards.check_sync(pair, source_is_empty=empty, delete=pair.delete)


def _bucket(store: ObjectStore, pair: BucketPair) -> None:
    check_source(store, pair)
    any(True for _ in islice(store.list(pair.target, None, pair.options.target_prefix), 1))


def _empty_target(tables: TableAdmin, pair: TablePair) -> None:
    """A table that nothing will wipe must be empty; one that is not there yet is."""
    try:
        empty = tables.is_empty(pair.target.name)
    except NotFound:
        return
    guards.check_copy_target(pair.target, empty=empty, resumes_own_run=False)


def _consumers(plan: RefreshPlan, consumers: StreamControl) -> None:
    configured = plan.streams is None or bool(plan.streams.functions)
    if configured and not consumers.consumers([pair.target.name for pair in plan.tables]):
        raise ConfigError(
            "streams.functions: no event-source mapping of the target tables belongs to a function of that name; "
            "correct the names, or remove 'streams'"
        )
