"""The report as one self-contained HTML page: no network, no script, readable in light, dark and on paper.

The page's content security policy allows inline style and nothing else, so a browser would refuse what the
template must not contain anyway. Everything that comes from the outcome is escaped by Jinja.
"""

from __future__ import annotations

from typing import NamedTuple

import jinja2

from downstage.domain.counted import counted
from downstage.domain.outcome import RefreshOutcome, StepOutcome
from downstage.report import figures
from downstage.report.wording import MEANING, cut_off, kept, limits, proven, why


class _Key(NamedTuple):
    """One key number: the figure, what it counts, and whether it should worry the reader."""

    figure: str
    label: str
    alarming: bool = False


def render_html(outcome: RefreshOutcome) -> str:
    """The whole report as one HTML document; sections with nothing in them are left out."""
    seconds = figures.elapsed(outcome.started, outcome.ended)
    return _TEMPLATE.render(
        run=outcome,
        why=why(outcome),
        meaning=MEANING[outcome.result],
        key_numbers=_key_numbers(outcome),
        objections=[objection.text for objection in outcome.objections[1:]],
        wrong_items=[
            (table.target, kind, name, table.proven)
            for table in outcome.tables
            if table.differences is not None
            for kind, name in table.differences.names
        ],
        proven=proven(outcome),
        limits=limits(outcome),
        kept=kept(outcome),
        shares=_shares(outcome.steps),
        cut_off=[cut_off(outcome, step) for step in outcome.steps],
        when=figures.period(outcome.started, outcome.ended),
        took="" if seconds is None else figures.duration(seconds),
    )


def _key_numbers(outcome: RefreshOutcome) -> list[_Key]:
    """What the reader looks for first; what the run had nothing of is not shown."""
    keys = []
    if outcome.tables:
        keys.append(_Key(figures.number(sum(t.written for t in outcome.tables)), "items written"))
        keys.append(_Key(figures.number(sum(t.addresses for t in outcome.tables)), "addresses replaced"))
    quarantined = sum(t.quarantined for t in outcome.tables)
    if quarantined:
        keys.append(_Key(figures.number(quarantined), "items quarantined", alarming=True))
    if outcome.buckets:
        in_place = sum(b.copied + b.unchanged for b in outcome.buckets)
        keys.append(_Key(figures.number(in_place), "objects in place"))
    if outcome.search:
        keys.append(_Key(figures.number(sum(i.found for i in outcome.search)), "documents indexed"))
    if outcome.leaks.scanned:
        found = outcome.leaks.found
        keys.append(_Key(figures.number(found), "leak found" if found == 1 else "leaks found", bool(found)))
    else:
        keys.append(_Key("–", "leaks: not scanned", alarming=True))
    return keys


def _shares(steps: tuple[StepOutcome, ...]) -> list[float]:
    """Each step's bar in percent of the longest step's."""
    longest = max((step.seconds for step in steps), default=0.0)
    return [round(100 * step.seconds / longest, 1) if longest else 0.0 for step in steps]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("downstage.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = figures.number
    environment.filters["size"] = figures.size
    environment.filters["duration"] = figures.duration
    environment.filters["counted"] = counted
    return environment


_TEMPLATE = _environment().get_template("report.html")
