"""The buckets' steps: planned before the wipe, stopped in time and gone on with, proven from fresh listings, with every
operation told and nobody's address in what is told."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from downstage.app.syncing import show
from downstage.domain.bucket_outcome import BucketOutcome
from downstage.domain.events import Note, ObjectSynced
from downstage.domain.outcome import Result
from downstage.domain.plan import EnginePlan
from downstage.errors import GuardRefused, RunConflict, TimeBoxReached, VerificationFailed
from downstage.ports import BucketFacts, ObjectFacts
from downstage.report.wording import statements
from downstage.testing.world import COPIES, DOCUMENTS, World, bucket_pair, plan_of
from downstage.workflow.prepare import problems_of

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


def test_a_dry_run_knows_the_names_of_renamed_objects_in_any_encoding() -> None:
    hidden = f"mail/{base64.b64encode(b'ada@court.example.org').decode()}/1.eml"
    world = world_of(on_personal_key="mask")
    world.store.put(DOCUMENTS, hidden, b"x")
    world.store.put(DOCUMENTS, ADA, b"x")
    for number, run_id in enumerate(("run-1", "run-2", "run-3")):
        world.events.events.clear()
        if number == 2:
            world.store.put(DOCUMENTS, hidden, b"another")
            world.store.put(COPIES, "left over", b"x")
        show(world.parts(world.begin(f"dry-{number}", "sync")))
        shown = sorted(told(world))
        world.events.events.clear()
        sync(world, run_id)
        done = sorted((f"(dry run) {action}", key) for action, key in told(world))
        assert shown == done
        assert [len(done)] == [[6, 0, 2][number]]
    assert all("ada" not in key for key in world.store.buckets[COPIES])


@pytest.mark.parametrize("prefix", ["mail/ada@court.example.org/", f"x/{base64.b64encode(b'a@b.example').decode()}/"])
def test_a_prefix_that_holds_an_address_is_found_before_anything_is_written(prefix: str) -> None:
    world = world_of(source_prefix="case/", target_prefix=prefix, on_personal_key="mask")
    (problem,) = problems_of(world.parts(world.begin("check")))
    assert "set a 'to_prefix' without an address" in str(problem)
    assert problem.exit_code == 3
    for alone in (True, False):
        with pytest.raises(GuardRefused, match="'to_prefix'") as caught:
            sync(world, f"sync-{alone}") if alone else show(world.parts(world.begin("dry", "sync")))
        assert "ada" not in str(caught.value)
    assert world.writes == []
    world = world_of(source_prefix="mail/ada@court.example.org/", target_prefix="mail/")
    world.store.put(DOCUMENTS, "mail/ada@court.example.org/1.eml", b"x")
    sync(world)
    assert "mail/1.eml" in world.store.buckets[COPIES]


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
    world.plan = plan_of(**ALONE, buckets=(replace(bucket_pair(), delete=False),))
    world.refresh(world.begin("run-1", "sync"), chosen=STEPS[:1])
    del world.store.buckets[COPIES]["case/1.pdf"]
    with pytest.raises(VerificationFailed, match="objects still differ"):
        world.resume(chosen=STEPS)
    assert (world.outcome().buckets[0].differing, world.outcome().exit_code) == (1, 4)


# -- what others write to the target


def synced_world(**options: object) -> World:
    """After its sync, before its proof; a minute later."""
    world = world_of(**options)
    world.refresh(world.begin("run-1", "sync"), chosen=STEPS[:1])
    assert all(entry.modified < world.clock.now() for entry in world.store.buckets[DOCUMENTS].values())
    return world


def put(world: World, bucket: str, key: str, content: bytes) -> None:
    """Puts an object now, that is after the sync began: the store's own clock is years behind."""
    world.store.put(bucket, key, content)
    found = world.store.buckets[bucket][key]
    world.store.buckets[bucket][key] = found._replace(modified=world.clock.now() + 5)


def contradicted(world: World, match: str) -> BucketOutcome:
    with pytest.raises(VerificationFailed, match=match):
        world.resume(chosen=STEPS)
    assert world.outcome().exit_code == 4
    (bucket,) = world.outcome().buckets
    assert bucket.contradicted
    assert bucket.foreign
    assert any("Something else than the sync has written" in text for text in statements(world.outcome()))
    return bucket


@pytest.mark.parametrize("when", ["during the sync", "after it"])
def test_an_object_that_somebody_put_into_the_target_is_an_extra_and_not_a_change_of_the_source(when: str) -> None:
    if when == "during the sync":
        world = world_of()
        take = world.store.take

        def meddled(source: object, target: object, item: ObjectFacts, to: str) -> ObjectFacts | None:
            put(world, COPIES, "a/first.pdf", b"foreign")  # below the key that is copied: it was passed already
            return take(source, target, item, to)  # type: ignore[arg-type]

        world.store.take = meddled  # type: ignore[method-assign]
        world.refresh(world.begin("run-1", "sync"), chosen=STEPS[:1])
    else:
        world = synced_world()
        put(world, COPIES, "a/first.pdf", b"foreign")
    bucket = contradicted(world, "something else than the sync has written to it: 1 object that the source does not")
    assert (bucket.extra, bucket.differing, bucket.changed, bucket.names) == (1, 1, 0, ("a/first.pdf",))


def test_an_object_that_somebody_replaced_in_the_target_is_no_change_of_the_source() -> None:
    world = synced_world()
    put(world, COPIES, "case/1.pdf", b"foreign")
    bucket = contradicted(world, "something else than the sync has written to it: objects were put, replaced")
    assert (bucket.extra, bucket.differing, bucket.changed, bucket.names) == (0, 1, 0, ("case/1.pdf",))


@pytest.mark.parametrize("compare", ["aws", "size"])
def test_what_the_listings_call_equal_and_the_sync_did_not_write_fails_the_proof(compare: str) -> None:
    world = synced_world(compare=compare)
    put(world, COPIES, "case/1.pdf", b"X")  # as large, and newer than the source's
    world.store.contents[COPIES, "case/1.pdf"] = b"1"  # nor does the sample show it
    bucket = contradicted(world, "something else than the sync has written to it")
    assert (bucket.extra, bucket.differing, bucket.altered) == (0, 1, 0)


def test_a_replaced_object_whose_source_changed_as_well_does_not_pass_for_a_change_of_the_source() -> None:
    world = synced_world()
    put(world, DOCUMENTS, "case/1.pdf", b"new")
    put(world, COPIES, "case/1.pdf", b"foreign")
    assert contradicted(world, "something else").changed == 1


@pytest.mark.parametrize("copied", ["case/0.pdf", "case/1.pdf"])
def test_what_the_source_deleted_since_is_named_and_contradicts_nothing(copied: str) -> None:
    world = synced_world()
    sync(world, "run-0")  # so that some objects are unchanged in the next run, and old
    put(world, DOCUMENTS, "case/1.pdf", b"another")
    world.refresh(world.begin("run-2", "sync"), chosen=STEPS[:1])
    del world.store.buckets[DOCUMENTS][copied]
    world.resume("run-2", chosen=STEPS)
    (bucket,) = world.outcome("run-2").buckets
    assert (bucket.changed, bucket.extra, bucket.differing, bucket.names, bucket.proven) == (1, 0, 0, (copied,), True)


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [("sync", "run 'downstage sync test' again"), ("refresh", "run 'downstage resume run-1 --from sync'")],
)
def test_a_proof_that_failed_says_what_to_do_and_holds_when_that_is_done(kind: str, remedy: str) -> None:
    world = world_of()
    world.refresh(world.begin("run-1", kind), chosen=STEPS[:1])
    put(world, COPIES, "a/first.pdf", b"foreign")
    contradicted(world, remedy)
    if kind == "sync":
        sync(world, "run-2")
        assert world.outcome("run-2").exit_code == 0
    else:
        del world.store.buckets[COPIES]["a/first.pdf"]  # see test_bucket_again for the other way
        world.resume(chosen=STEPS)
    assert world.outcome("run-2" if kind == "sync" else "run-1").buckets[0].proven


def test_without_delete_others_may_put_objects_beside_the_copies() -> None:
    world = world_of()
    world.plan = plan_of(**ALONE, buckets=(replace(bucket_pair(), delete=False),))
    world.refresh(world.begin("run-1", "sync"), chosen=STEPS[:1])
    put(world, COPIES, "a/first.pdf", b"the environment's own")
    world.resume(chosen=STEPS)
    assert world.outcome().buckets[0].proven


def test_every_way_to_an_object_is_in_what_the_sync_left() -> None:
    """Copied, found equal, skipped, deleted, renamed, encrypted with another ETag, parked: the digest agrees."""
    world = world_of(on_personal_key="mask")
    world.store.kms.add(COPIES)
    world.store.put(DOCUMENTS, "cold", b"x", "GLACIER")
    world.store.put(COPIES, "cold", b"an older one")
    world.store.put(DOCUMENTS, ADA, b"x")
    refused = ["case/2.pdf"]
    take = world.store.take

    def once(source: object, target: object, item: ObjectFacts, to: str) -> ObjectFacts | None:
        return None if item.key in refused and not refused.clear() else take(source, target, item, to)  # type: ignore[arg-type, func-returns-value]

    world.store.take = once  # type: ignore[method-assign]
    sync(world)
    sync(world, "run-2")
    for run_id in ("run-1", "run-2"):
        (bucket,) = world.outcome(run_id).buckets
        assert (bucket.differing, bucket.foreign, bucket.extra) == (0, False, 0)


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


def test_objects_that_kms_encrypts_far_down_the_listing_are_not_copied_for_ever() -> None:
    world = world_of()
    world.page_size = 3
    for number in range(50):
        world.store.put(DOCUMENTS, f"a/{number:05d}", b"%d" % number)
    sync(world)
    world.store.kms.add(COPIES)
    world.store.put(DOCUMENTS, "zzz", b"new")
    sync(world, "run-2")
    assert world.outcome("run-2").buckets[0].copied == 1
    sync(world, "run-3")
    bucket = world.outcome("run-3").buckets[0]
    assert (bucket.copied, bucket.compared_by, bucket.proven) == (0, "aws", True)


@pytest.mark.parametrize(("aborts", "size", "told"), [(False, 6, 1), (False, 4, 0), (True, 6, 0), (None, 6, 0)])
def test_large_copies_tell_of_a_rule_for_what_uploads_leave_behind(
    monkeypatch: pytest.MonkeyPatch, aborts: bool | None, size: int, told: int
) -> None:
    monkeypatch.setattr("downstage.syncing.results.LARGEST_COPY", 5)
    world = world_of()
    world.store.buckets[DOCUMENTS].clear()
    for name in ("large", "another"):  # two of 4 bytes are not one of more than 5
        world.store.put(DOCUMENTS, name, b"x" * size)
    world.store.settings = BucketFacts(versioned=False, expires_versions=None, aborts_uploads=aborts)
    sync(world, yes=True)
    assert sum("AbortIncompleteMultipartUpload" in note for note in notes(world)) == told


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
