"""What a wipe deletes, region by region: resolved, guarded, and only then done.

The same names and patterns hold in every region that is wiped, and so do the guards: flags tables, our own names and
what is read are never reached, in no region, for a replica has its table's name. A table is deleted with all of its
replicas or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from downstage.domain.environment import Environment
from downstage.domain.plan import RefreshPlan
from downstage.errors import AwsError, ConfigError
from downstage.planning import guards
from downstage.ports import Identity, SearchDomains, TableAdmin


@dataclass(frozen=True, slots=True)
class WipePlace:
    """One region of the target, and its tables and search domains."""

    region: str
    identity: Identity
    tables: TableAdmin
    domains: SearchDomains


@dataclass(frozen=True, slots=True)
class Doomed:
    """What there is to delete in one region, by name."""

    region: str
    tables: tuple[str, ...]
    domains: tuple[str, ...]


def check_places(plan: RefreshPlan, places: Sequence[WipePlace], environments: Sequence[Environment]) -> None:
    """There is a place for each region of the plan, in its order, and the credentials of each are the target's."""
    if tuple(place.region for place in places) != plan.wiped_regions:
        raise ConfigError("the regions of the plan's wipe are not those that can be reached: plan again")
    for place in places:
        with told(plan, place.region):
            guards.check_identity(plan.target, place.identity.caller(), environments)


def check_wipe(plan: RefreshPlan, places: Sequence[WipePlace]) -> None:
    """No pattern reaches flags, our own names, or what is read, and no table has a replica beyond the regions that are
    wiped; and each search domain can be told from one that is made later. Raises GuardRefused, or AwsError for what
    may not be looked at."""
    if plan.wipe is None:
        return
    shared = plan.source.account == plan.target.account
    tables = [pair.source.name for pair in plan.tables] if shared else []
    domains = [plan.search.source.name] if shared and plan.search is not None and plan.search.source is not None else []
    for place in places:
        with told(plan, place.region):
            existing = place.tables.names()
            guards.check_wipe(existing, plan.wipe.tables, flags_tables=plan.flags_tables, source_names=tables)
            guards.check_wipe(place.domains.names(), plan.wipe.domains, source_names=domains, what="search domain")
            there = replace(plan.target, region=place.region)
            for name in guards.resolve_patterns(plan.wipe.tables, existing):
                guards.check_replicas(name, there, place.tables.replicas(name), plan.wiped_regions)
            for name in guards.resolve_patterns(plan.wipe.domains, place.domains.names()):
                place.domains.identity(name)


def doomed(plan: RefreshPlan, places: Sequence[WipePlace]) -> list[Doomed]:
    """What the patterns match now."""
    if plan.wipe is None:
        return []
    found = []
    for place in places:
        with told(plan, place.region):
            tables = guards.resolve_patterns(plan.wipe.tables, place.tables.names())
            domains = guards.resolve_patterns(plan.wipe.domains, place.domains.names())
            found.append(Doomed(place.region, tables, domains))
    return found


@contextmanager
def told(plan: RefreshPlan, region: str) -> Iterator[None]:
    """What AWS says in a region that is not the target's own is told with the region's name."""
    try:
        yield
    except AwsError as error:
        if region == plan.target.region:
            raise
        raise type(error)(f"in region {region}: {error}", error.code) from None
