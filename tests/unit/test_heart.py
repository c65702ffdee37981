"""The heart renews the lease, warns its holder in time and ends it; the watch ends a worker before the lease could be
another's."""

from __future__ import annotations

from typing import Any

import pytest

from downstage.aws.control_table import ControlTable
from downstage.aws.heart import Heart, LeaseWatch
from downstage.aws.lease import BEAT, MARGIN, SECONDS, EnvironmentLease
from downstage.errors import JournalError
from tests.unit.lease_world import Clock, lease, table
from tests.unit.lease_world import _aws as _aws
from tests.unit.lease_world import clock as clock

# ---- the heart: what the holder does of its own accord


def heart(holder: EnvironmentLease) -> tuple[Heart, list[str]]:
    said: list[str] = []
    return Heart(holder, losing=lambda: said.append("losing"), lost=lambda: said.append("lost")), said


def test_a_holder_is_warned_in_time_and_then_ended(clock: Clock) -> None:
    holder = lease(clock)
    holder.acquire("run-1")
    beating, said = heart(holder)
    for second in range(int(SECONDS)):
        beating.look()
        if second < SECONDS - MARGIN:
            assert said == []
        clock.time += 1
    assert said[0] == "losing"
    assert said.count("losing") == 1
    assert said[-1] == "lost"
    assert holder.left() >= 0


def test_a_holder_that_is_asked_to_stop_is_told_at_its_next_beat(clock: Clock) -> None:
    holder = lease(clock)
    holder.acquire("run-1")
    lease(clock).ask_to_stop("another run")
    holder.beat()
    assert not holder.stop_wanted
    lease(clock).ask_to_stop("run-1")
    holder.beat()
    beating, said = heart(holder)
    beating.look()
    beating.look()
    assert said == ["losing"]


def test_an_answer_that_does_not_come_is_no_loss_yet(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = lease(clock)
    holder.acquire("run-1")

    def unreachable(*_args: Any, **_named: Any) -> Any:
        raise JournalError("the control table cannot be reached")

    monkeypatch.setattr(ControlTable, "update", unreachable)
    clock.time += BEAT
    with pytest.raises(JournalError):
        holder.beat()
    holder.check()
    assert holder.left() == SECONDS - BEAT


# ---- the watch: what a worker process knows of it


def watching(clock: Clock) -> tuple[LeaseWatch, list[str]]:
    ended: list[str] = []
    return LeaseWatch(table(), "test", "run-1", clock=clock, lost=lambda: ended.append("lost")), ended


def test_a_worker_lives_as_long_as_the_lease_is_renewed(clock: Clock) -> None:
    holder = lease(clock)
    holder.acquire("run-1")
    watch, ended = watching(clock)
    for _ in range(60):
        holder.beat()
        for _ in range(2):
            watch.look()
            watch.check()
            clock.time += BEAT / 2
    assert ended == []


def test_a_worker_of_a_process_that_hangs_ends_before_the_lease_does(clock: Clock) -> None:
    holder = lease(clock)
    holder.acquire("run-1")
    watch, ended = watching(clock)
    holder.beat()
    last = clock.time
    while not ended:
        watch.look()
        watch.check()
        clock.time += 0.5
    assert clock.time - last < SECONDS


@pytest.mark.parametrize("what", ["release", "park", "another run", "the same run again"])
def test_a_worker_whose_lease_is_anothers_ends_at_once(clock: Clock, what: str) -> None:
    holder = lease(clock, place="p")
    holder.acquire("run-1")
    watch, ended = watching(clock)
    watch.look()
    assert ended == []
    if what in ("release", "park"):
        getattr(holder, what)()
    else:
        lease(clock, place="p").acquire("run-1" if "same" in what else "run-2", take_over=True)
    watch.look()
    assert ended == ["lost"]
