"""The report of a table that was found wrong, and of one that was mended: every form names what, none says more."""

from __future__ import annotations

import io
from dataclasses import replace

import jsonschema
import pytest

from downstage.console.tables import print_outcome
from downstage.domain.outcome import RefreshOutcome, Result
from downstage.domain.table_outcome import Differences, RepairOutcome
from downstage.report import as_document, render_html, render_markdown, schema
from tests.unit.test_report_outcomes import PROVEN, TABLE

FOUND = Differences(
    missing=1,
    extra=2,
    differing=1,
    source_changed=5,
    names=(("missing", "aaaaaaaaaaaaaaaa"), ("extra", "bbbbbbbbbbbbbbbb")),
)
WRONG = replace(
    PROVEN, tables=(replace(TABLE, in_target=TABLE.written + 1, digest_target="0" * 32, differences=FOUND),)
)
MENDED = replace(
    PROVEN,
    tables=(
        replace(
            TABLE,
            in_target=TABLE.written - 3,
            expected=TABLE.written - 3,
            differences=FOUND,
            repaired=RepairOutcome(put=2, deleted=2),
        ),
    ),
)


def console(outcome: RefreshOutcome) -> str:
    stream = io.StringIO()
    print_outcome(outcome, stream)
    return stream.getvalue()


@pytest.mark.parametrize("outcome", [WRONG, MENDED], ids=["wrong", "mended"])
def test_the_document_keeps_to_its_schema(outcome: RefreshOutcome) -> None:
    document = as_document(outcome)
    jsonschema.validate(document, schema())
    (table,) = document["tables"]
    assert table["differences"]["items"][0] == {"kind": "missing", "item": "aaaaaaaaaaaaaaaa"}
    assert (table["repaired"] is None) == (outcome is WRONG)


def test_a_table_that_is_wrong_says_what_is_wrong_with_it() -> None:
    assert (WRONG.result, WRONG.exit_code) == (Result.FAILED, 4)
    told = "1 item missing, 2 items extra, 1 item differing; 5 items changed in the source since"
    assert told in WRONG.objections[0].text
    for text in (render_markdown(WRONG), render_html(WRONG), console(WRONG)):
        assert told in text
        assert "bbbbbbbbbbbbbbbb" in text
    assert "**wrong**" in render_markdown(WRONG)


def test_a_mended_table_is_proven_against_what_it_must_hold_now() -> None:
    assert (MENDED.result, MENDED.exit_code) == (Result.PROVEN, 0)
    for text in (render_markdown(MENDED), render_html(MENDED)):
        assert "after its repair (2 items put, 2 deleted)" in text
        assert "mended" in text
        assert "5 items of cases-prod changed since the copy" in text
    assert "every item that was read was written" not in render_markdown(MENDED)


def test_a_table_that_holds_another_number_after_its_repair_is_not_proven() -> None:
    (table,) = MENDED.tables
    assert replace(table, in_target=table.written).contradicted
    assert not replace(table, in_target=table.written).proven


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Differences(), "nothing missing, extra or differing"),
        (Differences(untold=1), "1 item that differ and cannot be told from a change of the source"),
        (Differences(unexplained=2), "2 segments whose digest no item explains"),
        (Differences(missing=7, complete=False), "7 items missing (too many to look at each)"),
    ],
)
def test_every_finding_is_worded(found: Differences, told: str) -> None:
    assert found.told == told
