"""The buckets' steps: planned before the wipe, stopped in time and gone on with, proven from fresh listings, with every
operation told and nobody's address in what is told."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import pytest

from downstage.app.object_lines import Teller, listening
from downstage.app.syncing import show
from downstage.domain.events import Event, Note, ObjectSynced
from downstage.domain.outcome import Result
from downstage.domain.plan import EnginePlan
from downstage.errors import RunConflict, TimeBoxReached, VerificationFailed
from downstage.ports import BucketFacts, ObjectFacts
from downstage.testing.world import COPIES, DOCUMENTS, World, bucket_pair, plan_of

ALONE = {"tables": (), "search": None, "streams": None, "flags": (), "wipe": None, "deploy": None}
STEPS = ("sync", "verify-buckets")
ADA = "mail/ada@court.example.org/1.eml"


def world_of(**options: object) -> World:
    return World(plan=plan_of(**ALONE, buckets=(bucket_pair(**options),), engine=EnginePlan("serial", 1, 3)))


def sync(world: World, run_id: str = "run-1", **settings: object) -> None:
    world.refresh(world.begin(run_id, "sync", **settings), chosen=STEPS)


def told(world: World) -> list[tuple[str, str]]:
    return [(event.action, event.key) for event in world.events.events if isinstance(event, ObjectSynced)]


def notes(world: World) -> list[str]:
    return [event.text for event in world.events.events if isinstance(event, Note)]


def test_every_operation_is_told_as_it_ends() -> None:
    world = world_of()
    world.store.put(DOCUMENTS, "cold", b"x", "GLACIER")
    sync(world)
    assert sorted(told(world)) == [
        ("copy", "case/0.pdf"), ("copy", "case/1.pdf"), ("copy", "case/2.pdf"), ("delete", "old.pdf"), ("skip", "cold"),
    ]  # fmt: skip
    outcome = world.outcome()
    assert (outcome.buckets[0].copied, outcome.buckets[0].deleted, outcome.buckets[0].contents) == (3, 1, 3)
    assert (outcome.exit_code, outcome.result) == (6, Result.INCOMPLETE), "one was skipped"


def test_a_dry_run_tells_what_a_run_then_does_and_writes_nothing() -> None:
    world = world_of()
    show(world.parts(world.begin("dry", "sync")))
    assert world.writes == []
    shown = sorted(told(world))
    world.events.events.clear()
    sync(world)
    assert shown == sorted((f"(dry run) {action}", key) for action, key in told(world))


def test_a_dry_run_tells_of_renamed_objects_too_and_deletes_none_of_them() -> None:
    world = world_of(on_personal_key="mask")
    world.store.put(DOCUMENTS, ADA, b"x")
    show(world.parts(world.begin("dry-1", "sync")))
    assert [action for action, key in told(world) if key.startswith("mail/")] == ["(dry run) copy"]
    sync(world)
    world.events.events.clear()
    world.store.put(COPIES, "left@over", b"x")
    show(world.parts(world.begin("dry-2", "sync")))
    assert [action for action, _ in told(world)] == ["(dry run) delete"]


def test_stopped_in_time_the_run_is_gone_on_with() -> None:
    world = world_of()
    world.stop_at = world.clock.now() - 1
    with pytest.raises(TimeBoxReached, match="the time was up"):
        sync(world)
    assert world.writes == []
    world.stop_at = None
    world.resume(chosen=STEPS)
    assert world.outcome().buckets[0].proven


def test_a_sync_that_was_begun_with_other_options_is_not_gone_on_with() -> None:
    world = world_of()
    world.stop_at = world.clock.now() - 1
    with pytest.raises(TimeBoxReached):
        sync(world)
    world.stop_at = None
    world.plan = plan_of(**ALONE, buckets=(bucket_pair(exclude=("case/*",)),))
    with pytest.raises(RunConflict, match="other buckets, prefixes or options"):
        world.resume(chosen=STEPS)
    assert world.writes == []


def test_masked_keys_arrive_and_no_address_is_told() -> None:
    world = world_of(on_personal_key="mask")
    world.store.put(DOCUMENTS, ADA, b"x")
    sync(world)
    assert world.outcome().buckets[0].renamed == 1
    assert world.outcome().buckets[0].proven
    assert "ada@court" not in repr(world.events.events) + "".join(world.store.buckets[COPIES])
    sync(world, "run-2")
    assert world.outcome("run-2").buckets[0].copied == 0
    assert world.outcome("run-2").buckets[0].proven


def test_objects_that_changed_in_the_source_since_are_named_redacted_and_contradict_nothing() -> None:
    world = world_of(on_personal_key="mask")
    world.store.put(DOCUMENTS, ADA, b"x")
    world.refresh(world.begin("run-1", "sync"), chosen=STEPS[:1])
    for key in ("case/1.pdf", "new.pdf", ADA):
        world.store.put(DOCUMENTS, key, b"another")
        entry = world.store.buckets[DOCUMENTS][key]
        world.store.buckets[DOCUMENTS][key] = entry._replace(modified=world.clock.now() + 5)
    world.resume(chosen=STEPS)
    (bucket,) = world.outcome().buckets
    assert (bucket.changed, bucket.differing, bucket.proven) == (3, 0, True)
    assert {"case/1.pdf", "new.pdf"} < set(bucket.names)
    assert "ada@court" not in repr(bucket)


def test_an_object_that_differs_for_no_such_reason_fails_the_proof() -> None:
    world = world_of()
    world.refresh(world.begin("run-1", "sync"), chosen=STEPS[:1])
    del world.store.buckets[COPIES]["case/1.pdf"]
    with pytest.raises(VerificationFailed, match="objects still differ"):
        world.resume(chosen=STEPS)
    assert (world.outcome().buckets[0].differing, world.outcome().exit_code) == (1, 4)


def test_other_contents_behind_equal_listings_fail_the_proof() -> None:
    world = world_of()
    world.refresh(world.begin("run-1", "sync"), chosen=STEPS[:1])
    world.store.contents[COPIES, "case/1.pdf"] = b"altered"
    with pytest.raises(VerificationFailed, match="other contents than the source's"):
        world.resume(chosen=STEPS)
    assert world.outcome().buckets[0].altered == 1


def test_objects_that_kms_encrypts_are_not_copied_for_ever() -> None:
    world = world_of()
    world.store.kms.add(COPIES)
    sync(world)
    assert world.outcome().buckets[0].proven, "the copies' ETags are known to be others"
    sync(world, "run-2")
    bucket = world.outcome("run-2").buckets[0]
    assert (bucket.copied, bucket.compared_by, bucket.proven) == (0, "aws", True)
    assert any("not by ETag: objects are encrypted with a key of KMS" in note for note in notes(world))


def test_a_target_that_keeps_versions_is_told_of_its_markers() -> None:
    world = world_of()
    world.store.settings = BucketFacts(versioned=True, expires_versions=False)
    sync(world)
    assert any("1 deletes left markers" in note and "NoncurrentVersionExpiration" in note for note in notes(world))


def test_an_object_that_cannot_be_settled_is_named_and_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of()
    take = world.store.take

    def refuse(source: object, target: object, item: ObjectFacts, to: str) -> ObjectFacts | None:
        return None if item.key == "case/2.pdf" else take(source, target, item, to)  # type: ignore[arg-type]

    monkeypatch.setattr("downstage.syncing.parked._ROUNDS", 1)
    monkeypatch.setattr(world.store, "take", refuse)
    sync(world)
    (bucket,) = world.outcome().buckets
    assert (bucket.failed, bucket.differing, bucket.names) == (1, 0, ("case/2.pdf",))
    assert bucket.failed_reasons == (("it kept changing", 1),)
    assert world.outcome().exit_code == 6


def test_lines_of_other_processes_are_told_each_once() -> None:
    found: list[Event] = []
    with listening(found.append) as place:

        def tell(first: int) -> None:
            teller = Teller(place)
            for number in range(first, first + 5000):
                teller.emit(ObjectSynced("b", "copy", f"k\n{number}", ""))
            teller.close()

        threads = [threading.Thread(target=tell, args=(first,)) for first in (0, 5000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {event.key for event in found if isinstance(event, ObjectSynced)} == {f"k\n{n}" for n in range(10_000)}
    assert len(found) == 10_000


def test_a_worker_that_nobody_listens_to_goes_on() -> None:
    with tempfile.TemporaryDirectory() as folder:
        teller = Teller(str(Path(folder) / "nobody"))
        teller.emit(ObjectSynced("b", "copy", "k"))
        teller.close()
