"""The lease: one run an environment whatever the machine; who is alive is never robbed, who is dead is replaced in
time, and a holder that cannot renew stops before anybody may take its place."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from typing import Any

import pytest

from downstage.app.places import ControlPlace, beating_table
from downstage.aws import session
from downstage.aws.control_table import ControlTable
from downstage.aws.lease import LONGEST_REQUEST, SECONDS, EnvironmentLease
from downstage.errors import JournalError, LeaseLost, RunConflict
from tests.unit.lease_world import LOWER, TABLE, Clock, lease, table
from tests.unit.lease_world import _aws as _aws
from tests.unit.lease_world import clock as clock


def test_a_second_refresh_is_refused_and_told_who_holds_it(clock: Clock) -> None:
    lease(clock, "host-a, process 7").acquire("run-1")
    with pytest.raises(RunConflict, match=r"run-1 \(host-a, process 7, last heard of at 20") as caught:
        lease(clock).acquire("run-2")
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_environments_do_not_wait_for_each_other(clock: Clock) -> None:
    lease(clock).acquire("run-1")
    EnvironmentLease(table(), "staging", clock=clock, who="here").acquire("run-2")


def test_what_was_released_is_free(clock: Clock) -> None:
    first = lease(clock)
    first.acquire("run-1")
    first.release()
    lease(clock).acquire("run-2")
    with pytest.raises(LeaseLost):
        first.check()


def test_a_parked_run_keeps_the_environment_until_it_goes_on(clock: Clock) -> None:
    first = lease(clock)
    first.acquire("run-1")
    first.park()
    clock.time += 40 * 86_400
    with pytest.raises(RunConflict, match="parked"):
        lease(clock).acquire("run-2")
    before = clock.time
    lease(clock, "another machine").acquire("run-1")
    assert clock.time == before  # nobody had to be waited for


def test_a_parked_run_is_replaced_by_command_once_what_it_had_sent_is_over(clock: Clock) -> None:
    """However long ago it was parked by the wall clocks, and though it was parked on this machine: a runner's threads
    live on."""
    said: list[str] = []
    first = lease(clock, "host-a", place="p")
    first.acquire("run-1")
    first.park()
    clock.time += 86_400
    before = clock.time
    lease(clock, place="p", say=said.append).acquire("run-2", take_over=True)
    assert clock.time - before == LONGEST_REQUEST
    assert len(said) == 1
    assert "run-1 of test was parked by host-a: waiting 60 s" in said[0]


def test_a_parked_run_that_goes_on_meanwhile_is_not_replaced(clock: Clock) -> None:
    first = lease(clock)
    first.acquire("run-1")
    first.park()
    again = lease(clock, "host-b")

    def goes_on() -> None:
        clock.each = again.beat
        again.acquire("run-1")

    clock.each = goes_on
    with pytest.raises(RunConflict, match=r"run-1 of test is going on \(host-b\)"):
        lease(clock).acquire("run-2", take_over=True)
    again.check()


def test_nobody_takes_over_from_a_holder_that_beats(clock: Clock) -> None:
    holder = lease(clock, "host-a")
    holder.acquire("run-1")
    clock.each = holder.beat
    for run_id in ("run-1", "run-2"):
        with pytest.raises(RunConflict, match="is going on"):
            lease(clock).acquire(run_id, take_over=True)
    holder.beat()
    assert holder.left() > 0


@pytest.mark.parametrize(("run_id", "silence"), [("run-1", SECONDS), ("run-2", SECONDS + LONGEST_REQUEST)])
def test_a_silent_holder_is_waited_out(clock: Clock, run_id: str, silence: float) -> None:
    said: list[str] = []
    lease(clock, "host-a").acquire("run-1")
    before = clock.time
    lease(clock, "host-b", say=said.append).acquire(run_id, take_over=run_id != "run-1")
    assert silence < clock.time - before < silence + 5
    assert len(said) == 1
    assert "host-a" in said[0]


def test_a_holder_stops_before_anybody_may_take_its_place(clock: Clock) -> None:
    """Whatever moment it was last renewed at, and however far the two wall clocks are apart."""
    holder = lease(clock)
    holder.acquire("run-1")
    stopped: list[float] = []

    def watch() -> None:
        if not stopped and holder.left() <= 0:
            stopped.append(clock.time)

    clock.each = watch
    skewed = Clock()
    skewed.time = clock.time - 4 * 60  # this machine's wall clock is wrong
    skewed.sleep = clock.sleep  # type: ignore[method-assign]
    skewed.monotonic = clock.monotonic  # type: ignore[method-assign]
    lease(skewed).acquire("run-2", take_over=True)
    assert stopped
    assert clock.time - stopped[0] >= LONGEST_REQUEST - 5
    with pytest.raises(LeaseLost):
        holder.check()


def test_a_long_silence_by_the_clock_is_watched_all_the_same(clock: Clock) -> None:
    lease(clock).acquire("run-1")
    clock.time += SECONDS + LONGEST_REQUEST + 86400
    before = clock.time
    lease(clock).acquire("run-2", take_over=True)
    assert clock.time >= before + SECONDS


class Behind:
    """The same time, on a wall clock that is 20 minutes slow."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now() - 1200

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


def test_a_living_holder_with_a_slow_clock_is_not_robbed(clock: Clock) -> None:
    holder = EnvironmentLease(table(), "test", clock=Behind(clock), who="a")
    holder.acquire("run-1")
    clock.time += 10
    holder.beat()
    before = clock.time
    lease(clock, "b").acquire("run-1")
    assert clock.time >= before + SECONDS  # it was watched, and did not beat meanwhile


def test_a_process_that_has_the_same_place_knows_that_its_predecessor_is_dead(clock: Clock) -> None:
    lease(clock, place="this machine and lock").acquire("run-1")
    before = clock.time
    lease(clock, place="this machine and lock").acquire("run-1")
    assert clock.time == before


def test_whoever_was_replaced_is_lost_for_good(clock: Clock) -> None:
    old = lease(clock, place="p")
    old.acquire("run-1")
    new = lease(clock, place="p")
    new.acquire("run-1")
    with pytest.raises(LeaseLost):
        old.beat()
    old.release()  # changes nothing
    old.park()
    new.beat()
    holder = new.holder()
    assert holder is not None
    assert holder.state == "held"


def test_each_acquisition_has_a_higher_epoch(clock: Clock) -> None:
    epochs = []
    for _ in range(3):
        one = lease(clock, place="p")
        one.acquire("run-1")
        item = table().get("lease", "test")
        assert item is not None
        epochs.append(int(item["epoch"]["N"]))
    assert epochs == [1, 2, 3]


def test_the_lease_counts_from_before_the_renewal_was_sent(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = lease(clock)
    holder.acquire("run-1")
    update = ControlTable.update

    def slow(*args: Any, **named: Any) -> Any:
        answer = update(*args, **named)
        clock.time += 20  # the answer took its time
        return answer

    monkeypatch.setattr(ControlTable, "update", slow)
    holder.beat()
    assert holder.left() == SECONDS - 20


def test_the_item_says_nothing_of_anybody(clock: Clock) -> None:
    lease(clock, "host-a, process 7").acquire("run-1")
    item = table().get("lease", "test")
    assert item is not None
    names = {"pk", "sk", "run_id", "who", "place", "state", "renewed", "beat", "epoch", "mark"}
    assert set(item) == names


# ---- answers that are lost


def lost_after(monkeypatch: pytest.MonkeyPatch, name: str, *, retried: bool, clock: Clock) -> None:
    """The next call of that name is carried out, and then either its answer is lost, or the client has sent it again
    20 seconds later and tells of the second time, which found that the condition no longer holds."""
    original = getattr(ControlTable, name)

    def once(*args: Any, **named: Any) -> Any:
        monkeypatch.setattr(ControlTable, name, original)
        original(*args, **named)
        clock.time += 20
        if not retried:
            raise JournalError("the control table did not answer")
        return None if name == "update" else False

    monkeypatch.setattr(ControlTable, name, once)


@pytest.mark.parametrize("retried", [False, True])
@pytest.mark.parametrize("name", ["create", "update"])
def test_a_holder_whose_answer_was_lost_recognises_itself(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str, retried: bool
) -> None:
    if name == "update":
        before = lease(clock)
        before.acquire("run-1")
        before.park()
    holder = lease(clock)
    began = clock.time
    lost_after(monkeypatch, name, retried=retried, clock=clock)
    holder.acquire("run-1")
    assert clock.time - began == 20  # it did not wait to see whether it is alive itself
    item = table().get("lease", "test")
    assert item is not None
    assert item["beat"] == {"N": "1"}  # renewed: nobody knows when the lost call was written
    assert holder.left() == SECONDS
    holder.beat()


def test_a_call_that_was_lost_before_it_was_written_is_an_error(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lease(clock)
    first.acquire("run-1")
    first.park()

    def lost(*_args: Any, **_named: Any) -> Any:
        raise JournalError("the control table did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(ControlTable, "update", lost)
        with pytest.raises(JournalError, match="did not answer"):
            lease(clock).acquire("run-1")
    lease(clock).acquire("run-1")


def test_a_beat_gives_up_within_seconds_and_asks_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the call and never answers: 60 seconds of patience, six times over, would lose the lease."""
    monkeypatch.setattr(session, "IMPATIENCE", 0.2)
    calls: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = ControlPlace(replace(LOWER, endpoint=f"http://127.0.0.1:{server.getsockname()[1]}"), TABLE)
        stalled = beating_table.__wrapped__(place)
        monkeypatch.setattr(stalled, "_may_write", True)
        holder = lease(clock, beats=stalled)
        holder.acquire("run-1")
        threading.Thread(target=_accept, args=(server, calls), daemon=True).start()
        with pytest.raises(JournalError, match="does not answer"):
            holder.beat()
    assert len(calls) == 1
    holder.check()


def _accept(server: socket.socket, calls: list[socket.socket]) -> None:
    while True:
        try:
            calls.append(server.accept()[0])
        except OSError:
            return
