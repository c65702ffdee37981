"""The verdict: a table of cases, one change each to a run that is proven."""

from __future__ import annotations

from dataclasses import replace

import pytest

from downstage.domain.bucket_outcome import BucketOutcome, IndexOutcome
from downstage.domain.leak_outcome import LeakOutcome
from downstage.domain.outcome import RefreshOutcome, Result, StepOutcome, StepState, Stop
from downstage.domain.table_outcome import TableOutcome

TABLE = TableOutcome(
    source="prod",
    target="test",
    read=10,
    written=9,
    expired=1,
    in_target=9,
    complete=True,
    digest_written="ab" * 16,
    digest_target="ab" * 16,
)
QUARANTINED = replace(TABLE, written=8, quarantined=1, in_target=8)
BUCKET = BucketOutcome(source="docs-prod", target="docs-test", copied=5, differing=0)
SKIPPED = replace(BUCKET, skipped=1, skipped_reasons=(("archived", 1),))
INDEX = IndexOutcome(index="cases", expected=4, found=4, same_ids=True)
SCANNED = LeakOutcome(scanned_items=9)
LEAK = replace(SCANNED, found=2)
COPY = StepOutcome("copy", StepState.DONE)

PROVEN = RefreshOutcome(
    run_id="r1",
    environment="test",
    source="prod",
    source_account="111111111111",
    target_account="222222222222",
    started="2026-03-01T05:00:00Z",
    ended="2026-03-01T06:00:00Z",
    steps=(COPY,),
    tables=(TABLE,),
    buckets=(BUCKET,),
    search=(INDEX,),
    leaks=SCANNED,
)


@pytest.mark.parametrize(
    ("code", "result", "text"),
    [(75, Result.INCOMPLETE, "the time-box ended"), (3, Result.FAILED, "refused"), (1, Result.FAILED, "lost")],
)
def test_what_stopped_a_run_says_its_exit_code(code: int, result: Result, text: str) -> None:
    pending = (COPY, StepOutcome("index", StepState.PENDING))
    stopped = replace(PROVEN, steps=pending, stop=Stop(code, text))
    assert (stopped.exit_code, stopped.result) == (code, result)
    assert stopped.objections[0].text == f"The run stopped: {text}."
    leaked = replace(stopped, leaks=LEAK)
    assert (leaked.exit_code, leaked.result) == (code, Result.FAILED)  # as the process ended; why is said first
    assert "addresses found" in leaked.objections[0].text
    failed = replace(stopped, steps=(StepOutcome("copy", StepState.FAILED, detail=text, exit_code=code), *pending[1:]))
    assert [one.text for one in failed.objections].count(f"The run stopped: {text}.") == 0
    assert failed.exit_code == code


def steps(*states: StepState) -> tuple[StepOutcome, ...]:
    return tuple(StepOutcome(f"step-{n}", state) for n, state in enumerate(states))


def lacking(index: IndexOutcome, **state: object) -> RefreshOutcome:
    return replace(PROVEN, search=(index,), **state)  # type: ignore[arg-type]


DONE, FAILED, PENDING, RUNNING, LEFT = (
    StepState.DONE,
    StepState.FAILED,
    StepState.PENDING,
    StepState.RUNNING,
    StepState.SKIPPED,
)

CASES: dict[str, tuple[RefreshOutcome, Result, int]] = {
    "everything holds": (PROVEN, Result.PROVEN, 0),
    "only tables": (replace(PROVEN, buckets=(), search=()), Result.PROVEN, 0),
    "only buckets": (
        replace(PROVEN, tables=(), search=(), leaks=LeakOutcome(scanned_keys=5)),
        Result.PROVEN,
        0,
    ),
    # 5: personal data in the target
    "leak": (replace(PROVEN, leaks=LEAK), Result.FAILED, 5),
    "leak and mismatch": (
        replace(PROVEN, leaks=LEAK, tables=(replace(TABLE, digest_target="cd" * 16),)),
        Result.FAILED,
        5,
    ),
    "leak and failed step": (replace(PROVEN, leaks=LEAK, steps=steps(FAILED)), Result.FAILED, 5),
    "leak in an unfinished run": (replace(PROVEN, leaks=LEAK, steps=steps(DONE, PENDING)), Result.FAILED, 5),
    # 4: the proof is contradicted
    "digest differs": (
        replace(PROVEN, tables=(replace(TABLE, digest_target="cd" * 16),)),
        Result.FAILED,
        4,
    ),
    "one of two tables differs": (
        replace(PROVEN, tables=(TABLE, replace(TABLE, digest_target="cd" * 16))),
        Result.FAILED,
        4,
    ),
    "count differs though the digest does not": (
        replace(PROVEN, tables=(replace(TABLE, in_target=10),)),
        Result.FAILED,
        4,
    ),
    "items were lost": (replace(PROVEN, tables=(replace(TABLE, read=11),)), Result.FAILED, 4),
    "bucket differs": (replace(PROVEN, buckets=(replace(BUCKET, differing=1),)), Result.FAILED, 4),
    "index is short": (lacking(replace(INDEX, found=3)), Result.FAILED, 4),
    "index has other ids": (lacking(replace(INDEX, same_ids=False)), Result.FAILED, 4),
    "mismatch and quarantined": (
        replace(PROVEN, tables=(replace(QUARANTINED, digest_target="cd" * 16),)),
        Result.FAILED,
        4,
    ),
    "mismatch and failed step": (
        replace(PROVEN, steps=steps(FAILED), tables=(replace(TABLE, digest_target="cd" * 16),)),
        Result.FAILED,
        4,
    ),
    "mismatch in an unfinished run": (
        replace(PROVEN, steps=steps(DONE, PENDING), tables=(replace(TABLE, digest_target="cd" * 16),)),
        Result.FAILED,
        4,
    ),
    # 1: failed, or not finished
    "failed step": (replace(PROVEN, steps=steps(DONE, FAILED)), Result.FAILED, 1),
    "failed step and quarantined": (
        replace(PROVEN, steps=steps(FAILED), tables=(QUARANTINED,)),
        Result.FAILED,
        1,
    ),
    "pending step": (replace(PROVEN, steps=steps(DONE, PENDING)), Result.INCOMPLETE, 1),
    "running step": (replace(PROVEN, steps=steps(RUNNING)), Result.INCOMPLETE, 1),
    "pending step and quarantined": (
        replace(PROVEN, steps=steps(DONE, PENDING), tables=(QUARANTINED,)),
        Result.INCOMPLETE,
        1,
    ),
    "index still filling": (
        lacking(replace(INDEX, found=3, same_ids=False), steps=steps(DONE, RUNNING)),
        Result.INCOMPLETE,
        1,
    ),
    # 6: finished, something left out or not verified
    "quarantined": (replace(PROVEN, tables=(QUARANTINED,)), Result.INCOMPLETE, 6),
    "object skipped": (replace(PROVEN, buckets=(SKIPPED,)), Result.INCOMPLETE, 6),
    "step skipped on request": (replace(PROVEN, steps=steps(DONE, LEFT)), Result.INCOMPLETE, 6),
    "table not verified": (
        replace(PROVEN, tables=(replace(TABLE, digest_target="", in_target=None),)),
        Result.INCOMPLETE,
        6,
    ),
    "table verified but its writer's digest is not known": (
        replace(PROVEN, tables=(replace(TABLE, digest_written=""),)),
        Result.INCOMPLETE,
        6,
    ),
    "table not complete": (replace(PROVEN, tables=(replace(TABLE, complete=False),)), Result.INCOMPLETE, 6),
    "bucket not compared": (
        replace(PROVEN, buckets=(replace(BUCKET, differing=None),)),
        Result.INCOMPLETE,
        6,
    ),
    "no leak scan": (replace(PROVEN, leaks=LeakOutcome()), Result.INCOMPLETE, 6),
    "nothing copied": (replace(PROVEN, tables=(), buckets=(), search=()), Result.INCOMPLETE, 6),
    "no steps": (replace(PROVEN, steps=()), Result.INCOMPLETE, 6),
}


@pytest.mark.parametrize("case", CASES)
def test_verdict(case: str) -> None:
    outcome, result, exit_code = CASES[case]
    assert (outcome.result, outcome.exit_code) == (result, exit_code)


@pytest.mark.parametrize("case", CASES)
def test_exit_zero_means_proven_and_no_objection(case: str) -> None:
    outcome = CASES[case][0]
    assert (outcome.exit_code == 0) == (outcome.result is Result.PROVEN) == (not outcome.objections)


@pytest.mark.parametrize("case", CASES)
def test_quarantined_or_skipped_is_never_proven(case: str) -> None:
    outcome = CASES[case][0]
    assert replace(outcome, tables=(*outcome.tables, QUARANTINED)).result is not Result.PROVEN
    assert replace(outcome, buckets=(*outcome.buckets, SKIPPED)).result is not Result.PROVEN


@pytest.mark.parametrize("case", CASES)
def test_gravest_objection_comes_first(case: str) -> None:
    codes = [objection.exit_code for objection in CASES[case][0].objections]
    assert codes == sorted(codes, key=[5, 4, 1, 6].index)


def test_objections_say_what_is_wrong_in_a_sentence() -> None:
    outcome = replace(PROVEN, leaks=replace(SCANNED, found=1), tables=(QUARANTINED,))
    assert [objection.text for objection in outcome.objections] == [
        "1 address found in the target: neither kept nor a pseudonym of ours.",
        "1 item of prod quarantined: not in the target.",
    ]
