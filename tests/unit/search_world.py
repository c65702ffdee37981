"""What the tests of search in a refresh share: a plan that may make documents from the tables, a domain with one index,
streams that forget, and what a run has said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from downstage.domain.events import Note
from downstage.domain.plan import Backfill, RefreshPlan
from downstage.testing.world import DOMAIN, TARGET, World, plan_of
from downstage.workflow.refresh import STEPS

DAY = 24 * 3600.0
ATTRIBUTES = Backfill(attributes=("*",))
DEFINITION = {"settings": {}, "mappings": {"properties": {"filed": {"type": "date"}}}, "aliases": {"cases": {}}}


def with_backfill(backfill: Backfill | None = ATTRIBUTES, **changes: Any) -> RefreshPlan:
    plan = plan_of(**changes)
    assert plan.search is not None
    return replace(plan, search=replace(plan.search, backfill=backfill))


def given(world: World, index: str, definition: Any = DEFINITION) -> None:
    """The target's domain has that index alone, made so."""
    documents = world.target_domains.index(DOMAIN)
    for name in documents.indices():
        documents.delete(name)
    documents.create(index, definition)


def notes(world: World) -> str:
    return "\n".join(event.text for event in world.events.events if isinstance(event, Note))


def detail(world: World, step: str, run_id: str = "run-1") -> str:
    record = world.journal.step(run_id, step)
    return "" if record is None else record.detail


def up_to(step: str) -> Sequence[str]:
    return STEPS[: STEPS.index(step) + 1]


def lossy(world: World) -> World:
    """The streams forget: whoever is switched on finds no record of before."""
    switch = world.consumers.switch

    def forget(consumer: Any, on: bool) -> None:
        if on:
            world.target_tables[TARGET].records.clear()
        switch(consumer, on)

    world.consumers.switch = forget  # type: ignore[method-assign]
    return world


def a_day_after_the_copy(world: World) -> World:
    """What is copied is verified a day later, when the stream has forgotten it."""
    world.refresh(chosen=up_to("verify-tables"))
    world.clock.time += DAY
    return lossy(world)
