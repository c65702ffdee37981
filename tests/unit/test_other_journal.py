"""Whoever switches consumers on from a laptop is told what the control table, CI's journal, knows of it."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from downstage.app import other_journal
from downstage.app.other_journal import Both, refuse_unproven_elsewhere
from downstage.app.runs import Project
from downstage.errors import AwsError, GuardRefused
from downstage.journals.memory import MemoryJournal
from downstage.ports import Journal
from downstage.testing.world import World
from tests.unit.proven_world import PROOFS, ended, leaking, loaded


def asked(
    monkeypatch: pytest.MonkeyPatch,
    here: Journal,
    there: World,
    *accepted: str,
    table: str | None = "downstage-control",
    kind: str = "sqlite",
    journal: str = "sqlite",
) -> None:
    """What `streams on` asks before it begins."""
    config: Any = SimpleNamespace(config=SimpleNamespace(control_table=table, journal=journal), base=None)
    project = SimpleNamespace(kind=kind, config=config, plan=lambda _name: there.plan, journal=lambda _name: here)
    monkeypatch.setattr(other_journal, "environment_of", lambda *_named, **_more: there.plan.target)
    monkeypatch.setattr(other_journal, "open_journal", lambda _place: there.journal)
    refuse_unproven_elsewhere(cast("Project", project), "test", accepted)


def test_a_leak_that_ci_has_found_stops_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ended(leaking(), "cancelled")
    for accepted in ((), ("run-1", "none")):
        with pytest.raises(GuardRefused, match="run-1 found personal data"):
            asked(monkeypatch, MemoryJournal(), there, *accepted)


def test_what_ci_has_proven_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, MemoryJournal(), loaded("finished", *PROOFS))


def test_what_ci_has_loaded_and_not_proven_is_taken_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    there = loaded("cancelled")
    with pytest.raises(GuardRefused, match="run run-1 did in 'copy' is not verified"):
        asked(monkeypatch, MemoryJournal(), there)
    asked(monkeypatch, MemoryJournal(), there, "run-1")


def test_it_is_not_asked_where_there_is_none_or_it_is_the_one_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ended(leaking(), "cancelled")
    asked(monkeypatch, MemoryJournal(), there, table=None)
    asked(monkeypatch, there.journal, there, kind="dynamodb")


@pytest.mark.parametrize("table", [None, "downstage-control"])
def test_one_that_is_only_implied_is_asked_and_passed_over_where_it_cannot_be(
    monkeypatch: pytest.MonkeyPatch, table: str | None
) -> None:
    there = ended(leaking(), "cancelled")
    with pytest.raises(GuardRefused, match="run-1 found personal data"):
        asked(monkeypatch, MemoryJournal(), there, table=table, journal="auto")

    def denied() -> Any:
        raise AwsError("not allowed")

    there.journal.runs = denied  # type: ignore[method-assign]
    with nullcontext() if table is None else pytest.raises(AwsError):
        asked(monkeypatch, MemoryJournal(), there, table=table, journal="auto")


def test_one_that_knows_nothing_of_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, ended(leaking(), "cancelled").journal, World())


def test_both_are_read_as_one_in_the_order_of_their_runs() -> None:
    first, second = loaded("finished", *PROOFS), World()
    run = first.journal.run("run-1")
    assert run is not None
    second.begin("run-0")
    both = Both(first.journal, second.journal)
    assert [each.run_id for each in both.runs()] == ["run-0", "run-1"]
    assert both.steps("run-1") == first.journal.steps("run-1")
    assert both.steps("run-0") == []
    assert both.findings("run-0") == []
