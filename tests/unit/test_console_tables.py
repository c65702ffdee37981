"""The proof on the terminal: the same facts wide, narrow and in a pipe."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from downstage.console.tables import print_outcome
from downstage.domain.outcome import StepOutcome, StepState
from tests.unit.test_report_outcomes import ALL, FAILED, INCOMPLETE, PROVEN, STARTED


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", ALL)
def test_pipe_gets_plain_text_with_verdict_and_reasons(name: str) -> None:
    outcome = ALL[name]
    out = io.StringIO()
    print_outcome(outcome, out)
    text = out.getvalue()
    assert "\x1b" not in text
    assert f"{outcome.result.value.upper()}  test from prod, run {outcome.run_id}\n" in text
    assert all(f"{objection.text}\n" in text for objection in outcome.objections)


def test_pipe_has_one_line_a_table() -> None:
    out = io.StringIO()
    print_outcome(FAILED, out)
    lines = [re.sub(" {2,}", "|", line.strip()) for line in out.getvalue().splitlines()]
    assert "cases-prod → cases-test|1,402,118|12|0|1,402,106|1,402,105|388,214|3f2a9c0d != 00000000|differs" in lines
    assert "cases-test|body.*.contact|json, base64|9c1f44d02e5a" in lines
    assert "Leak scan: 41 found in 2,804,212 items, 1,204 keys, 118,204 documents" in lines


@pytest.mark.parametrize("width", [40, 80, 140])
def test_terminal_lines_fit(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    print_outcome(INCOMPLETE, out)
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert text != out.getvalue()
    assert max(len(line) for line in text.splitlines()) <= width
    assert "1,402,106" in text
    assert ("Quarantined" in text) == (width >= 130)


def test_empty_sections_are_not_shown() -> None:
    out = io.StringIO()
    print_outcome(STARTED, out)
    assert not re.search("Table|Bucket|Index|Leak|Consumers", out.getvalue())


def test_long_lists_are_cut_and_say_so() -> None:
    steps = tuple(StepOutcome(f"s{n}", StepState.SKIPPED) for n in range(14))
    out = io.StringIO()
    print_outcome(replace(PROVEN, steps=steps), out)
    assert "and 4 more; see the report" in out.getvalue()


def test_ascii_and_control_characters() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    print_outcome(replace(PROVEN, environment="te\x1b[31mst"), out)
    assert b"cases-prod -> cases-test" in raw.getvalue()
    assert b"te\\x1b[31mst" in raw.getvalue()
