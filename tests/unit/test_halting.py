"""A run is stopped where it stands, once, and never while it is being ended."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

from downstage.app.halting import Brake, Halted
from downstage.errors import DownstageError, LeaseLost, TimeBoxReached

OVER = TimeBoxReached("over")
LOST = LeaseLost("lost")


def reason_of(brake: Brake, time_box: float | None, run: Callable[[], object]) -> DownstageError:
    """Why `run` was halted."""

    def carried() -> None:
        with brake.ready(time_box, OVER):
            run()

    with pytest.raises(Halted) as caught:
        carried()
    return caught.value.reason


def test_the_time_box_interrupts_the_main_thread() -> None:
    def run() -> None:
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 3000
        signal.raise_signal(signal.SIGALRM)

    before = signal.getsignal(signal.SIGALRM)
    assert reason_of(Brake(), 3600.0, run) is OVER
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is before


def test_another_thread_interrupts_the_main_one_where_it_waits() -> None:
    brake = Brake()

    def run() -> None:
        threading.Thread(target=brake.pull, args=(LOST,)).start()
        assert not threading.Event().wait(30), "nobody interrupted it"
        raise AssertionError("it waited to the end")

    assert reason_of(brake, None, run) is LOST


def test_the_first_reason_is_the_one_that_is_told() -> None:
    brake = Brake()

    def run() -> None:
        try:
            brake.pull(LOST)
        finally:
            brake.pull(LeaseLost("again"))

    assert reason_of(brake, 3600.0, run) is LOST


def test_what_ends_the_run_is_not_interrupted() -> None:
    brake = Brake()
    with brake.ready(3600.0, OVER):
        brake.release()
        signal.raise_signal(signal.SIGALRM)
        brake.pull(LOST)
        brake.check()


def test_after_the_block_nobody_is_interrupted() -> None:
    """SIGUSR1 is somebody else's again: without a handler it would end the process."""
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        brake = Brake()
        with brake.ready(None, OVER):
            pass
        brake.pull(LOST)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == []


@pytest.mark.parametrize("time_box", [None, 3600.0])
def test_what_was_pulled_before_it_begins_stops_it_at_once(time_box: float | None) -> None:
    brake = Brake()
    brake.pull(LOST)
    before = signal.getsignal(signal.SIGUSR1)
    assert reason_of(brake, time_box, lambda: pytest.fail("it began")) is LOST
    assert signal.getsignal(signal.SIGUSR1) is before


def test_without_a_time_box_the_alarm_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with Brake().ready(None, OVER):
        assert signal.getsignal(signal.SIGALRM) is before


def test_a_run_in_another_thread_stops_at_its_next_check() -> None:
    brake = Brake()
    seen: list[object] = []

    def run() -> None:
        with brake.ready(None, OVER):
            brake.check()
            brake.pull(LOST)
            try:
                brake.check()
            except Halted as halted:
                seen.append(halted.reason)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [LOST]


def test_no_handler_of_errors_swallows_it() -> None:
    assert not issubclass(Halted, Exception)
