"""Outcomes that the tests of the report and of the console are made from: one proven, one incomplete, one failed."""

from __future__ import annotations

from dataclasses import replace

from downstage.domain.bucket_outcome import BucketOutcome, IndexOutcome
from downstage.domain.leak_outcome import DetailsSample, LeakOutcome, LeakPlace
from downstage.domain.outcome import MaskingOutcome, RefreshOutcome, Result, StepOutcome, StepState
from downstage.domain.table_outcome import TableOutcome

DIGEST = "3f2a9c0d5b1e47a88c6d0f9e2b7a4c19"

TABLE = TableOutcome(
    source="cases-prod",
    target="cases-test",
    read=1_402_118,
    written=1_402_106,
    expired=12,
    addresses=388_214,
    in_target=1_402_106,
    complete=True,
    digest_written=DIGEST,
    digest_target=DIGEST,
    read_from="2026-03-01T05:24:10Z",
    read_to="2026-03-01T06:13:02Z",
    kept=21,
)
BUCKET = BucketOutcome(
    source="docs-prod", target="docs-test", copied=204, unchanged=1_000, bytes_copied=81_234_567_890, differing=0
)
PROVEN = RefreshOutcome(
    run_id="test-20260301",
    environment="test",
    source="prod",
    source_account="111111111111",
    target_account="222222222222",
    started="2026-03-01T05:00:00Z",
    ended="2026-03-01T07:58:31Z",
    steps=(
        StepOutcome("wipe", StepState.DONE, 41.7, "2 tables deleted"),
        StepOutcome("copy", StepState.DONE, 2951.0, "1,402,106 items"),
    ),
    tables=(
        TABLE,
        replace(TABLE, source="users-prod", target="users-test", read_from="2026-03-01T05:20:00+00:00", opaque=7),
    ),
    buckets=(BUCKET,),
    search=(IndexOutcome("cases", 118_204, 118_204, True),),
    leaks=LeakOutcome(
        scanned_items=2_804_212,
        scanned_keys=1_204,
        scanned_documents=118_204,
        scanned_indexes=3,
        details=(DetailsSample("docs-test", 1_000, 1_204),),
        looked_for=512,
    ),
    masking=MaskingOutcome(
        "u-{token}@test.example.com", "HMAC-SHA-256", "b41f90ac", 2, 1, ("ourco.com", "partner.example")
    ),
    consumers="2 of 2 enabled",
)
INCOMPLETE = replace(
    PROVEN,
    tables=(replace(TABLE, quarantined=14, read=1_402_132), PROVEN.tables[1]),
    buckets=(replace(BUCKET, skipped=3, skipped_reasons=(("archived", 2), ("too large", 1))),),
    steps=(*PROVEN.steps, StepOutcome("flags", StepState.SKIPPED)),
)
FAILED = replace(
    PROVEN,
    tables=(replace(TABLE, digest_target="0" * 32, in_target=1_402_105), PROVEN.tables[1]),
    search=(),
    masking=None,
    leaks=replace(
        PROVEN.leaks,
        found=41,
        places=(LeakPlace("cases-test", "body.*.contact", ("json", "base64"), "9c1f44d02e5a"),),
    ),
    steps=(
        *PROVEN.steps,
        StepOutcome("verify", StepState.FAILED, 707.0, "1 table differs"),
        StepOutcome("consumers on", StepState.PENDING),
    ),
)
STARTED = RefreshOutcome(
    run_id="r",
    environment="test",
    source="prod",
    source_account="1",
    target_account="2",
    started="2026-03-01T05:00:00Z",
    ended="",
    steps=(StepOutcome("copy", StepState.RUNNING),),
)
ALL = {"proven": PROVEN, "incomplete": INCOMPLETE, "failed": FAILED, "started": STARTED}


def test_they_are_what_they_are_called() -> None:
    assert {name: (outcome.result, outcome.exit_code) for name, outcome in ALL.items()} == {
        "proven": (Result.PROVEN, 0),
        "incomplete": (Result.INCOMPLETE, 6),
        "failed": (Result.FAILED, 5),
        "started": (Result.INCOMPLETE, 1),
    }
