"""Which earlier run a single step builds on; and that nothing is made of tables that another run has loaded since."""

from __future__ import annotations

from typing import Any

import pytest

from downstage.app import entering
from downstage.app.other_journal import Both
from downstage.errors import JournalError, RunConflict
from downstage.journals.memory import MemoryJournal
from downstage.ports import LastLoad, Recorded, RunRecord, StepRecord

NOT_BEGUN = ("skipped", "pending", "failed, refused")


def journal_of(*runs: tuple[str, str, dict[str, str], dict[str, Any]]) -> MemoryJournal:
    """Runs in order: (id, kind, state by step, settings)."""
    journal = MemoryJournal()
    for second, (run_id, kind, steps, settings) in enumerate(runs):
        started = f"2027-01-15T08:00:{second:02}Z"
        environment = run_id.partition("-")[0]
        journal.create_run(RunRecord(run_id, environment, kind, "failed", 1, started, "", settings))
        for name, state in steps.items():
            intent = {"recorded": True} if name == "copy" and state not in NOT_BEGUN else {}
            journal.save_step(run_id, 1, StepRecord(name, state.partition(",")[0], 1.0, "", intent))
    return journal


NONE = LastLoad()


def earlier_run(
    journal: MemoryJournal,
    environment: str,
    kind: str,
    known: Recorded | None = None,
    last: LastLoad = NONE,
) -> dict[str, str]:
    return entering.earlier_run(journal, environment, kind, lambda: known or journal, last)


PROVEN = {"copy": "done", "verify-tables": "done"}


def test_a_backfill_goes_by_the_newest_verified_run() -> None:
    journal = journal_of(
        ("test-1", "refresh", PROVEN, {}),
        ("test-2", "refresh", PROVEN, {}),
        ("mig-1", "refresh", PROVEN, {}),
        ("test-3", "backfill", {"backfill": "failed"}, {}),
    )
    assert earlier_run(journal, "test", "backfill") == {"verified_run": "test-2"}
    with pytest.raises(JournalError, match="no run of uat has done 'verify-tables'"):
        earlier_run(journal, "uat", "backfill")


@pytest.mark.parametrize("kind", ["refresh", "copy"])
@pytest.mark.parametrize(
    ("state", "advice"),
    [("running", "downstage resume test-2"), ("failed", "resume"), ("done", "downstage verify test")],
)
def test_a_backfill_is_refused_while_another_copy_is_proven_by_nobody(kind: str, state: str, advice: str) -> None:
    journal = journal_of(("test-1", "refresh", PROVEN, {}), ("test-2", kind, {"copy": state}, {}))
    with pytest.raises(RunConflict, match=f"test-2 has begun to copy into test after test-1.*{advice}") as caught:
        earlier_run(journal, "test", "backfill")
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert earlier_run(journal, "test", "index") == {"verified_run": "test-1"}  # which only looks


def test_a_verification_of_a_copy_of_before_does_not_prove_the_later_one() -> None:
    journal = journal_of(
        ("test-1", "refresh", PROVEN, {}),
        ("test-2", "copy", {"copy": "failed"}, {}),
        ("test-3", "verify", {"verify-tables": "done"}, {"copy_run": "test-1"}),
    )
    with pytest.raises(RunConflict, match="test-2"):
        earlier_run(journal, "test", "backfill")


def test_a_copy_that_was_verified_by_itself_is_gone_by() -> None:
    journal = journal_of(
        ("test-1", "refresh", PROVEN, {}),
        ("test-2", "copy", {"copy": "done"}, {}),
        ("test-3", "verify", {"verify-tables": "done"}, {"copy_run": "test-2"}),
    )
    assert earlier_run(journal, "test", "backfill") == {"verified_run": "test-3"}


@pytest.mark.parametrize(
    ("run_id", "kind", "steps"),
    [
        ("test-2", "refresh", {"preflight": "failed"}),
        ("test-2", "refresh", {"copy": "skipped"}),
        ("test-2", "refresh", {"copy": "pending"}),
        ("test-2", "copy", {"copy": "failed, refused"}),
        ("test-2", "repair", {"repair-tables": "failed"}),
        ("mig-2", "refresh", {"copy": "running"}),
    ],
)
def test_a_run_that_has_loaded_nothing_there_refuses_nothing(run_id: str, kind: str, steps: dict[str, str]) -> None:
    journal = journal_of(("test-1", "refresh", PROVEN, {}), (run_id, kind, steps, {}))
    assert earlier_run(journal, "test", "backfill") == {"verified_run": "test-1"}


def test_what_another_journal_has_of_copies_since_counts_too() -> None:
    journal = journal_of(("test-1", "refresh", PROVEN, {}))
    there = MemoryJournal()
    there.create_run(RunRecord("test-2", "test", "refresh", "failed", 1, "2027-01-15T09:00:00Z", "", {}))
    there.save_step("test-2", 1, StepRecord("copy", "failed", 1.0, "", {"recorded": True}))
    with pytest.raises(RunConflict, match=r"test-2 has begun to copy into test after test-1.*where that run was begun"):
        earlier_run(journal, "test", "backfill", Both(journal, there))


def test_and_so_does_a_load_of_which_only_the_lease_tells() -> None:
    journal = journal_of(
        ("test-1", "refresh", PROVEN, {"loaded_before": "older", "loads_before": 1}),
        ("test-2", "sync", {"sync": "done"}, {"loaded_before": "far", "loads_before": 3}),
    )
    for last in (LastLoad("far", 3), LastLoad("test-2", 4)):
        with pytest.raises(RunConflict, match="run far, whose journal is not here, has loaded test after test-1"):
            earlier_run(journal, "test", "backfill", last=last)
        assert earlier_run(journal, "test", "index", last=last) == {"verified_run": "test-1"}
    for last in (LastLoad("test-1", 2), LastLoad("older", 1), LastLoad()):
        assert earlier_run(journal, "test", "backfill", last=last) == {"verified_run": "test-1"}
