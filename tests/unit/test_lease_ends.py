"""A lease that was let go of stays so, whatever was under way; and it says which run was the last to load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from downstage.aws.control_table import ControlTable
from downstage.errors import JournalError, LeaseLost
from tests.unit.lease_world import Clock, lease, table
from tests.unit.lease_world import _aws as _aws
from tests.unit.lease_world import clock as clock

# ---- what was let go of


def in_flight(monkeypatch: pytest.MonkeyPatch, leave: Callable[[], None], *, first: bool) -> None:
    """The next renewal meets the end of the run: it is written `first` and its answer comes last, or it comes last
    altogether."""
    update = ControlTable.update

    def meeting(*args: Any, **named: Any) -> Any:
        monkeypatch.setattr(ControlTable, "update", update)
        answer = update(*args, **named) if first else None
        leave()
        return answer if first else update(*args, **named)

    monkeypatch.setattr(ControlTable, "update", meeting)


@pytest.mark.parametrize("state", ["parked", "free"])
@pytest.mark.parametrize("first", [True, False])
def test_a_beat_that_was_under_way_does_not_revive_what_was_let_go_of(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, state: str, first: bool
) -> None:
    holder = lease(clock)
    holder.acquire("run-1")
    in_flight(monkeypatch, holder.park if state == "parked" else holder.release, first=first)
    with pytest.raises(LeaseLost):
        holder.beat()
    with pytest.raises(LeaseLost):
        holder.check()
    item = table().get("lease", "test")
    assert item is not None
    assert (item["state"], item["beat"]) == ({"S": state}, {"N": str(int(first))})


def test_what_could_not_be_told_that_it_is_let_go_of_is_let_go_of(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = lease(clock)
    holder.acquire("run-1")

    def unreachable(*_args: Any, **_named: Any) -> Any:
        raise JournalError("the control table did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(ControlTable, "update", unreachable)
        with pytest.raises(JournalError):
            holder.park()
    with pytest.raises(LeaseLost):
        holder.check()
    holder.acquire("run-1")  # and it may be had again
    holder.beat()
    holder.check()


# ---- who has loaded


def test_the_lease_knows_who_was_the_last_to_load(clock: Clock) -> None:
    first = lease(clock, place="p")
    first.acquire("run-1")
    assert first.loaded_by == ""
    first.loading()
    first.loading()
    assert first.loaded_by == "run-1"
    first.release()
    second = lease(clock, place="p")
    second.acquire("run-2")
    assert second.loaded_by == "run-1"  # it has only looked so far
    holder = second.holder()
    assert holder is not None
    assert (holder.run_id, holder.loaded_by) == ("run-2", "run-1")
    second.loading()
    second.release()
    third = lease(clock, place="p")
    third.acquire("run-1")
    assert third.loaded_by == "run-2"


def test_who_has_lost_the_lease_loads_nothing(clock: Clock) -> None:
    old = lease(clock, place="p")
    old.acquire("run-1")
    new = lease(clock, place="p")
    new.acquire("run-2", take_over=True)
    with pytest.raises(LeaseLost):
        old.loading()
    assert new.loaded_by == ""


def test_who_is_asked_to_stop_is_told_to_whoever_asks(clock: Clock) -> None:
    holder = lease(clock)
    assert not holder.ask_to_stop("run-1")
    holder.acquire("run-1")
    assert holder.ask_to_stop("run-1")
    assert not holder.ask_to_stop("run-2")
    holder.park()
    assert not holder.ask_to_stop("run-1")
