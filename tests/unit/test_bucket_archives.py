"""Objects in an archive tier that listings do not show, refused at the copy: left out with a reason and exit code 6, no
difference for the proof and never proven equal; and no other object passes for one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from downstage.domain.outcome import Result
from downstage.domain.plan import EnginePlan
from downstage.errors import VerificationFailed
from downstage.ports import CopyResult, ObjectFacts
from downstage.syncing.merge import UNLISTED_ARCHIVE
from downstage.testing.buckets import MemoryTransfer
from downstage.testing.world import COPIES, DOCUMENTS, World, bucket_pair, plan_of
from downstage.workflow.bucket_plans import archived_task
from downstage.workflow.refresh import forget_from

ALONE = {"tables": (), "search": None, "streams": None, "flags": (), "wipe": None, "deploy": None}
STEPS = ("sync", "verify-buckets")
COLD = "deep/1.pdf"
ADA, GRACE = "mail/ada@court.example.org/1.eml", "mail/grace@court.example.org/1.eml"


@pytest.fixture
def archived(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The keys of the source that S3 refuses to copy."""
    keys = {COLD}
    copy = MemoryTransfer.copy

    async def refusing(transfer: MemoryTransfer, source: Any, target: Any, item: ObjectFacts, to: str) -> CopyResult:
        if item.key in keys:
            return CopyResult(refusal="refused", code="InvalidObjectState")
        return await copy(transfer, source, target, item, to)

    monkeypatch.setattr(MemoryTransfer, "copy", refusing)
    return keys


def world_of(*, delete: bool, **options: object) -> World:
    pair = replace(bucket_pair(**options), delete=delete)
    world = World(plan=plan_of(**ALONE, buckets=(pair,), engine=EnginePlan("serial", 1, 3)))
    world.store.put(DOCUMENTS, COLD, b"cold", "INTELLIGENT_TIERING")
    return world


def sync(world: World) -> None:
    world.refresh(world.begin("run-1", "sync"), chosen=STEPS[:1])


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("delete", [False, True])
def test_they_are_left_out_with_a_reason_and_are_no_difference(archived: set[str], delete: bool, older: bool) -> None:
    world = world_of(delete=delete)
    if older:
        world.store.put(COPIES, COLD, b"an older one")
    sync(world)
    world.resume(chosen=STEPS)
    outcome = world.outcome()
    (bucket,) = outcome.buckets
    assert (outcome.exit_code, outcome.result) == (6, Result.INCOMPLETE)
    assert (bucket.differing, bucket.skipped, bucket.failed, bucket.proven) == (0, 1, 0, False)
    assert bucket.skipped_reasons == ((UNLISTED_ARCHIVE, 1),)
    kept = world.journal.quarantined("run-1", archived_task(world.plan.buckets[0]))
    assert [reason for _, reason in kept] == [UNLISTED_ARCHIVE]
    assert "deep" not in repr(kept)


@pytest.mark.parametrize("delete", [False, True])
def test_another_object_does_not_pass_for_one_of_them(archived: set[str], delete: bool) -> None:
    world = world_of(delete=delete)
    sync(world)
    del world.store.buckets[COPIES]["case/1.pdf"]
    with pytest.raises(VerificationFailed):
        world.resume(chosen=STEPS)
    (bucket,) = world.outcome().buckets
    assert (bucket.differing, bucket.names) == (1, ("case/1.pdf",))


def test_nor_does_one_whose_name_is_told_alike(archived: set[str]) -> None:
    world = world_of(delete=False, on_personal_key="mask")
    archived.add(ADA)
    for key in (ADA, GRACE):
        world.store.put(DOCUMENTS, key, b"x")
    sync(world)
    (copied,) = [key for key in world.store.buckets[COPIES] if key.startswith("mail/")]
    world.resume(chosen=STEPS)
    assert world.outcome().buckets[0].skipped_reasons == ((UNLISTED_ARCHIVE, 2),)
    forget_from(world.journal, world.journal.take_over("run-1"), "verify-buckets")
    del world.store.buckets[COPIES][copied]
    with pytest.raises(VerificationFailed, match="objects still differ"):
        world.resume(chosen=STEPS)
    assert world.outcome().buckets[0].differing == 1


def test_one_that_was_restored_arrives_when_the_sync_is_made_again(archived: set[str]) -> None:
    world = world_of(delete=True)
    sync(world)
    archived.clear()
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "sync")
    assert not world.journal.quarantined("run-1", archived_task(world.plan.buckets[0]))
    world.refresh(taken, chosen=STEPS)
    assert world.outcome().buckets[0].proven
    assert COLD in world.store.buckets[COPIES]
