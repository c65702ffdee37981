"""Schema parity: how the target's tables differ from the source's, making them alike, and the check after a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from downstage.app import twins
from downstage.app.runs import Project
from downstage.app.twins import pairs_of
from downstage.app.wiring import Sides
from downstage.aws.table_clone import Comparison, TableCloner
from downstage.config.checks import nearest
from downstage.domain.environment import Environment
from downstage.domain.plan import RefreshPlan, TablePair
from downstage.errors import UsageError
from downstage.planning import guards


def compare(project: Project, environment: str, tables: Sequence[str] = ()) -> list[Comparison]:
    """Every configured pair (or those of which `tables` names one side) compared. Touches nothing."""
    sides = Sides.of(project.plan(environment))
    return compared(sides, _chosen(sides.plan, tables))


def compared(sides: Sides, pairs: Iterable[TablePair] | None = None) -> list[Comparison]:
    """The pairs (all of the plan, if none are given) compared: also the check after a run. Touches nothing."""
    return twins.compared(sides.source, sides.target, pairs_of(sides.plan) if pairs is None else pairs)


def clone(
    project: Project,
    environment: str,
    tables: Sequence[str] = (),
    *,
    ttl: bool = False,
    agreed: Callable[[Sequence[Comparison]], bool] = lambda _found: True,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Comparison]:
    """Makes the target's tables what the source's are, as far as that may be done, and compares again.

    `agreed` is shown what was found before anything is written; if it says no, that is returned. Nothing is begun if
    one of the tables could not be cloned. Raises GuardRefused, ConfigError, RunConflict (a run is going on).
    """
    sides = Sides.of(project.plan(environment))
    guard = guard_of(sides, project.environments())
    pairs = _chosen(sides.plan, tables)
    guard()
    cloner = TableCloner(sides.source, sides.target, guard=guard, sleep=sleep)
    found = _checked(cloner, pairs)
    todo = [one.pair for one in found if one.mendable or (ttl and any(d.remedy == "later" for d in one.demanded))]
    if not todo or not agreed(found):
        return found
    with project.exclusive(environment):
        current = _checked(cloner, todo)  # whoever had to agree took their time
        after = {one.pair.target: cloner.clone(one, ttl=ttl) for one in current}
    return [after.get(one.pair.target, one) for one in found]


def _checked(cloner: TableCloner, pairs: Iterable[TablePair]) -> list[Comparison]:
    """The pairs compared. Raises if one of them could not be cloned."""
    found = [cloner.compare(pair) for pair in pairs]
    for one in found:
        cloner.check(one)
    return found


def guard_of(sides: Sides, environments: tuple[Environment, ...]) -> Callable[[], None]:
    """Stands before every write: the plan may be carried out, and we are who it says we are."""

    def guard() -> None:
        guards.check_accounts(sides.plan, environments)
        guards.check_identity(sides.plan.target, sides.target.caller(), environments)

    return guard


def _chosen(plan: RefreshPlan, names: Sequence[str]) -> list[TablePair]:
    pairs = pairs_of(plan)
    known = {name: pair for pair in pairs for name in (pair.source.name, pair.target.name)}
    for name in names:
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean '{close}'?" if close else f"known: {', '.join(known)}"
            raise UsageError(f"there is no table '{name}' under 'tables' of '{plan.target.name}': {hint}")
    wanted = {known[name].target.name for name in names}
    return [pair for pair in pairs if not names or pair.target.name in wanted]
