"""The sinks: plain lines are few, JSON lines are whole, the live display survives threads, nothing ever raises."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TextIO

import pytest

from downstage.console.lines import printable
from downstage.console.live import ConsoleSink
from downstage.console.meter import Meter
from downstage.console.progress import JsonSink, PlainSink, Sink, sink_for
from downstage.console.stream import SteadyStream
from downstage.domain.events import (
    Event,
    Note,
    ObjectSynced,
    Progress,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)

EVERY_KIND: list[Event] = [
    RunStarted("r1", "test", resumed=True),
    StepStarted("copy"),
    Progress("copy", "cases", 10, 100, "items", estimated=True),
    ObjectSynced("docs", "copy", "a/‹address›.pdf"),
    Note("look here"),
    StepFinished("copy", "done", 12.3, "100 items"),
    StepFinished("flags", "skipped", 0.0, ""),
    RunFinished("r1", "incomplete", 6),
]


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise OSError(5, "input/output error")

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_plain_lines(clock: FakeClock) -> None:
    out = io.StringIO()
    with PlainSink(out, clock) as sink:
        for event in EVERY_KIND:
            sink.emit(event)
    assert out.getvalue().splitlines() == [
        "test: run r1 goes on",
        "copy: started",
        "copy: cases: 10 of ~100 items, 10%",
        "copy: s3://docs/a/‹address›.pdf",
        "look here",
        "copy: done after 12 s: 100 items",
        "flags: skipped",
        "run r1: incomplete (exit code 6)",
    ]


def test_plain_progress_is_paced_by_subject_and_always_says_the_end(clock: FakeClock) -> None:
    out = io.StringIO()
    sink = PlainSink(out, clock)
    for done in range(0, 121, 10):
        sink.emit(Progress("copy", "cases", done, 120, "items"))
        sink.emit(Progress("sync", "docs", done, None, "objects"))
        clock.now += 1
    sink.emit(Progress("copy", "cases", 120, 120, "items"))
    assert out.getvalue().splitlines() == [
        "copy: cases: 0 of 120 items, 0%",
        "sync: docs: 0 objects",
        "copy: cases: 50 of 120 items, 41%, 10 items/s, 7.0 s left",
        "sync: docs: 50 objects, 10 objects/s",
        "copy: cases: 100 of 120 items, 83%, 10 items/s, 2.0 s left",
        "sync: docs: 100 objects, 10 objects/s",
        "copy: cases: 120 of 120 items, 100%",
    ]


def test_json_lines_are_whole_and_named(clock: FakeClock) -> None:
    out = io.StringIO()
    with JsonSink(out, clock) as sink:
        for event in EVERY_KIND:
            sink.emit(event)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "run_started",
        "step_started",
        "progress",
        "object_synced",
        "note",
        "step_finished",
        "step_finished",
        "run_finished",
    ]
    assert lines[2] == {
        "time": "1970-01-01T00:16:40.000Z",
        "event": "progress",
        "step": "copy",
        "subject": "cases",
        "done": 10,
        "total": 100,
        "unit": "items",
        "estimated": True,
    }


def test_json_lines_from_many_threads_do_not_mix() -> None:
    out = io.StringIO()
    sink = JsonSink(out)
    _from_threads(sink)
    assert len([json.loads(line) for line in out.getvalue().splitlines()]) == 4 * 200


def _from_threads(sink: Sink) -> None:
    def work(n: int) -> None:
        for done in range(100):
            sink.emit(Progress(f"step-{n}", "part", done, 100, "items"))
            sink.emit(Note(f"{n}: {done}"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_live_display_shows_what_runs_and_keeps_what_ended(clock: FakeClock) -> None:
    out = Terminal()
    sink = ConsoleSink(out, clock)
    with sink:
        for event in EVERY_KIND[:4]:
            sink.emit(event)
        sink._live.refresh()
        running = out.getvalue()
        for event in EVERY_KIND[4:]:
            sink.emit(event)
        out.truncate(0)
        sink._live.refresh()
        rest = out.getvalue()
    assert "copy" in running
    assert "10 of ~100 items" in running
    assert "docs: 1 copied" in running
    assert "s3://" not in running
    assert "cases" not in rest
    assert "docs" not in rest


def test_live_display_is_verbose_on_request(clock: FakeClock) -> None:
    out = Terminal()
    with ConsoleSink(out, clock, verbose=True) as sink:
        sink.emit(EVERY_KIND[3])
    assert "copy: s3://docs/a/‹address›.pdf" in out.getvalue()


def test_live_display_survives_threads() -> None:
    out = Terminal()
    with ConsoleSink(out) as sink:
        _from_threads(sink)
    assert all(f"{n}: 99" in out.getvalue() for n in range(4))


@pytest.mark.parametrize("make", [PlainSink, JsonSink, ConsoleSink])
def test_a_terminal_that_is_gone_stops_nothing(make: Callable[[TextIO], Sink]) -> None:
    with make(Gone()) as sink:
        for event in EVERY_KIND:
            sink.emit(event)


@pytest.mark.parametrize("make", [PlainSink, JsonSink, ConsoleSink])
def test_what_the_encoding_lacks_is_escaped(make: Callable[[TextIO], Sink]) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    with make(out) as sink:
        sink.emit(Note("‹address› \udc80"))
        sink.emit(Note("after"))
    assert b"\\u2039address\\u203a" in raw.getvalue()
    assert b"after" in raw.getvalue()


def test_control_characters_are_shown_not_obeyed() -> None:
    assert printable("a\x1b[31m\r\nb\u202ec") == "a\\x1b[31m\\r b\\u202ec"
    for make in (PlainSink, ConsoleSink):
        out = io.StringIO()
        with make(out) as sink:
            sink.emit(Note("\x1b[2Jgone [bold]markup[/bold]"))
        assert "\x1b[2J" not in out.getvalue()
        assert "[bold]markup[/bold]" in out.getvalue()


def test_sink_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERM", raising=False)
    assert isinstance(sink_for(Terminal(), json=True), JsonSink)
    assert isinstance(sink_for(io.StringIO(), json=False), PlainSink)
    assert isinstance(sink_for(Terminal(), json=False), ConsoleSink)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(sink_for(Terminal(), json=False), PlainSink)


def test_rich_is_not_imported_without_a_terminal() -> None:
    code = (
        "import io, sys; from downstage.console import progress, redaction; "
        "progress.sink_for(io.StringIO(), json=False); "
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_stream_that_is_closed_while_we_write() -> None:
    out = io.StringIO()
    steady = SteadyStream(out)
    out.close()
    steady.line("nothing")
    assert steady.isatty() is False


# ---- the meter


def test_rate_and_time_left_over_the_last_half_minute() -> None:
    meter = Meter()
    for second in range(100):
        meter.update(second * 10 if second < 60 else 600 + (second - 60) * 100, 10_000, False, float(second))
    assert meter.rate(99.0) == pytest.approx(100)
    assert meter.left(99.0) == pytest.approx(55)


def test_rate_falls_while_nothing_comes() -> None:
    meter = Meter()
    meter.update(0, 100, False, 0.0)
    meter.update(50, 100, False, 5.0)
    assert meter.rate(5.0) == 10
    assert meter.rate(50.0) == 1


def test_going_back_is_not_speed() -> None:
    meter = Meter()
    meter.update(0, 1000, False, 0.0)
    meter.update(500, 1000, False, 10.0)
    meter.update(400, 1000, False, 11.0)
    assert meter.rate(11.0) is None
    meter.update(500, 1000, False, 21.0)
    assert meter.rate(21.0) == 10
    assert meter.left(21.0) == 50


def test_a_resumed_run_does_not_count_what_was_done_before() -> None:
    meter = Meter()
    meter.update(1_000_000, 2_000_000, False, 0.0)
    meter.update(1_000_100, 2_000_000, False, 10.0)
    assert meter.rate(10.0) == 10


def test_an_estimate_that_was_too_low_says_nothing_of_the_rest() -> None:
    meter = Meter()
    meter.update(0, 100, True, 0.0)
    meter.update(150, 100, True, 10.0)
    assert (meter.fraction, meter.left(10.0), meter.complete) == (None, None, False)


def test_many_reports_keep_few_samples() -> None:
    meter = Meter()
    for n in range(100_000):
        meter.update(n, None, False, n / 1000)
    assert len(meter._samples) < 100
    assert meter.rate(100.0) == pytest.approx(1000, rel=0.01)


def test_nothing_to_do_is_complete() -> None:
    meter = Meter()
    meter.update(0, 0, False, 0.0)
    assert (meter.fraction, meter.complete) == (1.0, True)
