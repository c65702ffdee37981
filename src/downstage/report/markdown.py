"""The report as Markdown (GitHub's dialect) for a pull request comment or the summary of a CI job.

Text from outside (names, details, paths) can neither start markup, break a table row, nor mention a user:
names stand in code spans, sentences are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from downstage.domain.bucket_outcome import BucketOutcome
from downstage.domain.counted import counted
from downstage.domain.leak_outcome import LeakPlace
from downstage.domain.outcome import RefreshOutcome, Result, StepOutcome, StepState
from downstage.domain.table_outcome import TableOutcome
from downstage.report.figures import duration, elapsed, number, period, size
from downstage.report.wording import cut_off, limits, proven, why

_MARK = {Result.PROVEN: "✅", Result.INCOMPLETE: "⚠️", Result.FAILED: "❌"}
_STEP_MARK = {
    StepState.DONE: "done",
    StepState.SKIPPED: "skipped",
    StepState.FAILED: "**failed**",
    StepState.RUNNING: "running",
    StepState.PENDING: "to do",
}
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&#$])")
_SHOWN_PLACES = 20
_TABLE_HEAD = (
    "Table",
    "Read",
    "Expired",
    "Quarantined",
    "Written",
    "In target",
    "Addresses",
    "Digest",
    "Proof",
)


def render_markdown(outcome: RefreshOutcome) -> str:
    """The whole report; sections with nothing in them are left out. Ends in a newline."""
    return "\n\n".join(section for section in _sections(outcome) if section) + "\n"


def _sections(outcome: RefreshOutcome) -> Iterator[str]:
    yield f"## {_MARK[outcome.result]} {_text(outcome.environment)}: {outcome.result.value}"
    yield _text(why(outcome))
    yield _header(outcome)
    if outcome.tables:
        yield _section(
            "Tables",
            _TABLE_HEAD,
            [_table_row(table) for table in outcome.tables],
        )
    if outcome.buckets:
        yield _section(
            "Buckets",
            ("Bucket", "Copied", "Deleted", "Unchanged", "Skipped", "Size", "Differing", "Proof"),
            [_bucket_row(bucket) for bucket in outcome.buckets],
        )
    if outcome.search:
        yield _section(
            "Search indexes",
            ("Index", "Expected", "Found", "Proof"),
            [
                (_code(i.index), number(i.expected), number(i.found), _proof(i.proven, not i.proven))
                for i in outcome.search
            ],
        )
    wrong = [
        (_code(table.target), kind, _code(name), "mended" if table.proven else "**wrong**")
        for table in outcome.tables
        if table.differences is not None
        for kind, name in table.differences.names
    ]
    if wrong:
        first = wrong[:_SHOWN_PLACES]
        yield _section(f"Items found wrong, the first {len(first)}", ("Table", "What", "Item", "Now"), first)
    if outcome.leaks.places:
        shown = outcome.leaks.places[:_SHOWN_PLACES]
        rows = [_place_row(place) for place in shown]
        yield _section(
            f"Addresses found: {number(outcome.leaks.found)}, the first {len(shown)} shown",
            ("Where", "Path", "Encoding", "Fingerprint"),
            rows,
        )
    yield _list("What speaks against it", [objection.text for objection in outcome.objections[1:]])
    yield _list("What is proven", proven(outcome))
    yield _list("What is not, and what stays true", limits(outcome))
    if outcome.steps:
        rows = [_step_row(step, cut_off(outcome, step)) for step in outcome.steps]
        table = _grid(("Step", "State", "Time", "What it did"), rows)
        yield f"<details>\n<summary>{counted(len(rows), 'step')}</summary>\n\n{table}\n\n</details>"


def _header(outcome: RefreshOutcome) -> str:
    seconds = elapsed(outcome.started, outcome.ended)
    took = f", {duration(seconds)}" if seconds is not None else ""
    when = period(outcome.started, outcome.ended) + took
    lines = [
        f"{_code(outcome.source)} ({_code(outcome.source_account)}) → "
        f"{_code(outcome.environment)} ({_code(outcome.target_account)})",
        f"run {_code(outcome.run_id)}, {_text(when)}",
    ]
    if outcome.consumers:
        lines.append(f"consumers: {_text(outcome.consumers)}")
    return "  \n".join(lines)


def _table_row(table: TableOutcome) -> tuple[str, ...]:
    return (
        f"{_code(table.source)} → {_code(table.target)}",
        number(table.read),
        number(table.expired),
        number(table.quarantined),
        number(table.written),
        "not read" if table.in_target is None else number(table.in_target),
        number(table.addresses),
        _digests(table),
        _proof(table.proven, table.contradicted),
    )


def _digests(table: TableOutcome) -> str:
    written, target = table.digest_written, table.digest_target
    if written == target:
        return _code(written) if written else "not known"
    return f"{_code(written) if written else 'not known'} / {_code(target) if target else 'not known'}"


def _bucket_row(bucket: BucketOutcome) -> tuple[str, ...]:
    return (
        f"{_code(bucket.source)} → {_code(bucket.target)}",
        number(bucket.copied),
        number(bucket.deleted),
        number(bucket.unchanged),
        number(bucket.skipped),
        size(bucket.bytes_copied),
        "not compared" if bucket.differing is None else number(bucket.differing),
        _proof(bucket.proven, bucket.contradicted),
    )


def _place_row(place: LeakPlace) -> tuple[str, ...]:
    return _code(place.where), _code(place.path), _text(" › ".join(place.layers)), _code(place.fingerprint)


def _step_row(step: StepOutcome, is_cut_off: bool) -> tuple[str, ...]:
    state = "cut off" if is_cut_off else _STEP_MARK[step.state]
    return _text(step.name), state, duration(step.seconds), _text(step.detail)


def _proof(is_proven: bool, is_contradicted: bool) -> str:
    if is_contradicted:
        return "**differs**"
    return "proven" if is_proven else "incomplete"


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"### {title}\n\n{_grid(head, rows)}"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(title: str, sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    return f"### {title}\n\n" + "\n".join(f"- {_text(sentence)}" for sentence in sentences)


def _text(text: str) -> str:
    """One line of prose: no markup, no mention."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split())).replace("@", "@\u2060")


def _code(text: str) -> str:
    """A name in a code span; a pipe would end the table's cell, a backtick the span."""
    plain = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`" if plain else ""
