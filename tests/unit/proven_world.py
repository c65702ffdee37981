"""What the tests of what is proven share: refreshes that came so far, leaks, and who asks for consumers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from downstage.errors import GuardRefused, LeakFound
from downstage.journals.memory import MemoryJournal
from downstage.planning.consumers import alive
from downstage.ports import Item
from downstage.testing.world import DOMAIN, TARGET, World, case
from downstage.workflow.proven import ACCEPT
from downstage.workflow.put_back import put_back
from downstage.workflow.refresh import LEAK_SCAN, forget_from
from tests.unit.search_world import up_to

LEAK = "ada@court.example.org"
PROOFS = ("verify-tables", "verify-buckets")


def ended(world: World, state: str, run_id: str = "run-1") -> World:
    run = world.journal.run(run_id)
    assert run is not None
    world.journal.end_run(run_id, run.epoch, state, "now")
    return world


def loaded(state: str, *steps: str) -> World:
    """A refresh that came as far as its copy, and `steps` after it."""
    world = World()
    world.refresh(chosen=(*up_to("sync"), *steps))
    return ended(world, state)


def emptied(world: World) -> None:
    """Nothing is left in the target of what stood there."""
    world.target_tables[TARGET].items.clear()
    for name in world.target_domains.index(DOMAIN).indices():
        world.target_domains.index(DOMAIN).delete(name)


def leaking() -> World:
    """A refresh that has found personal data."""
    world = loaded("parked")
    world.target_tables[TARGET].put([case(7, LEAK)])
    with pytest.raises(LeakFound):
        world.resume()
    return ended(world, "failed")


def renamed(world: World, run_id: str) -> World:
    """The same, of a run of another id than that of the world beside it."""
    journal = world.journal
    assert isinstance(journal, MemoryJournal)
    journal._runs[run_id] = replace(journal._runs.pop("run-1"), run_id=run_id)
    journal._steps[run_id] = journal._steps.pop("run-1")
    journal._findings[run_id] = journal._findings.pop("run-1")
    return world


def streams_on(world: World, run_id: str = "run-8", accept: str | Sequence[str] | None = None) -> None:
    """What `downstage streams on` does."""
    settings = {} if accept is None else {ACCEPT: accept}
    world.refresh(world.begin(run_id, "streams", **settings), chosen=("consumers-on",))


def refused(world: World, *parts: str, accept: str | Sequence[str] | None = None, run_id: str = "run-8") -> str:
    before = len(world.writes)
    with pytest.raises(GuardRefused) as caught:
        streams_on(world, run_id, accept)
    said = str(caught.value)
    assert caught.value.exit_code == 3
    assert "\n" not in said
    for part in parts:
        assert part in said
    assert not world.consumers.enabled
    assert not world.writes[before:]
    return said


def verified(world: World, run_id: str, kind: str = "verify", steps: Sequence[str] = PROOFS) -> None:
    world.refresh(world.begin(run_id, kind, copy_run="run-1"), chosen=steps)


def later(world: World) -> World:
    """An hour has passed."""
    world.clock.sleep(3600.0)
    return world


def leak(world: World, table: str = TARGET) -> dict[Any, Item]:
    """Personal data stand in a table; gives what stood there before."""
    before = dict(world.target_tables[table].items)
    world.target_tables[table].put([case(7, LEAK)])
    return before


def scanned(world: World, run_id: str) -> None:
    world.refresh(world.begin(run_id, "leaks"), chosen=(LEAK_SCAN,))


def again(world: World, step: str, to: str, run_id: str = "run-1") -> None:
    """`resume --from STEP`, as far as `to`."""
    taken = world.journal.take_over(run_id)
    forget_from(world.journal, taken, step)
    world.refresh(taken, chosen=up_to(to))


def give_up(world: World, run_id: str = "run-1") -> str:
    taken = world.journal.take_over(run_id)
    parts = world.parts(taken)
    said = put_back(
        world.journal,
        taken,
        parts.consumers,
        world.plan,
        parts.guard,
        lambda one: alive(world.plan, one, world.target_tables),
        world.journal,
        "",
    )
    world.journal.end_run(run_id, taken.epoch, "cancelled", "now")
    return said
