"""A lease that was let go of stays so, whatever was under way; and it says which run was the last to load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from downstage.aws.control_table import ControlTable
from downstage.aws.lease import LONGEST_REQUEST, SECONDS
from downstage.errors import JournalError, LeaseLost
from downstage.ports import LastLoad
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
    assert first.last_load == LastLoad()
    first.loading()
    first.loading()
    assert first.last_load == LastLoad("run-1", 1)
    first.release()
    second = lease(clock, place="p")
    second.acquire("run-2")
    assert second.last_load == LastLoad("run-1", 1)  # it has only looked so far
    holder = second.holder()
    assert holder is not None
    assert (holder.run_id, holder.last_load) == ("run-2", LastLoad("run-1", 1))
    second.loading()
    second.release()
    third = lease(clock, place="p")
    third.acquire("run-1")
    assert third.last_load == LastLoad("run-2", 2)


def test_a_run_that_loads_again_after_it_was_resumed_is_told_apart(clock: Clock) -> None:
    loads = []
    for _ in range(2):
        one = lease(clock, place="p")
        one.acquire("run-1")
        one.loading()
        one.loading()  # each step that loads says so
        one.beat()
        loads.append(one.last_load)
        one.park()
    assert loads == [LastLoad("run-1", 1), LastLoad("run-1", 2)]


def test_a_call_whose_answer_was_lost_hides_no_load(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told by the next renewal, and said again before anything is loaded."""
    one = lease(clock)
    one.acquire("run-1")
    update = ControlTable.update

    def lost(*args: Any, **named: Any) -> Any:
        update(*args, **named)
        raise JournalError("the control table did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(ControlTable, "update", lost)
        with pytest.raises(JournalError):
            one.loading()
    one.beat()
    assert one.last_load == LastLoad("run-1", 1)
    one.loading()
    assert one.last_load.run_id == "run-1"


# ---- what a run that is given up had under way


@pytest.mark.parametrize("place", ["", "p"])
def test_what_a_parked_run_had_under_way_is_waited_out_if_it_is_to_be_settled(clock: Clock, place: str) -> None:
    said: list[str] = []
    first = lease(clock, place=place)
    first.acquire("run-1")
    first.park()
    began = clock.time
    last = lease(clock, place=place, say=said.append)
    last.acquire("run-1", settle=True)
    assert clock.time - began == LONGEST_REQUEST
    assert len(said) == 1
    last.release()
    lease(clock, place=place).acquire("run-2")  # whoever comes next need not
    assert clock.time - began == LONGEST_REQUEST


def test_and_so_is_what_a_silent_one_had(clock: Clock) -> None:
    lease(clock).acquire("run-1")
    began = clock.time
    lease(clock).acquire("run-1", settle=True)
    assert clock.time - began > SECONDS + LONGEST_REQUEST


def test_who_has_lost_the_lease_loads_nothing(clock: Clock) -> None:
    old = lease(clock, place="p")
    old.acquire("run-1")
    new = lease(clock, place="p")
    new.acquire("run-2", take_over=True)
    with pytest.raises(LeaseLost):
        old.loading()
    assert new.last_load == LastLoad()


def test_who_is_asked_to_stop_is_told_to_whoever_asks(clock: Clock) -> None:
    holder = lease(clock)
    assert not holder.ask_to_stop("run-1")
    holder.acquire("run-1")
    assert holder.ask_to_stop("run-1")
    assert not holder.ask_to_stop("run-2")
    holder.park()
    assert not holder.ask_to_stop("run-1")
