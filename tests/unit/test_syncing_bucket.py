"""The sync of one pair: it ends with the source's objects wherever it was cut off, deletes no more than was planned,
parks what is slow or changes, and names what it cannot settle."""

from __future__ import annotations

import asyncio
import base64
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from downstage.domain.plan import BucketPair, MaxDelete, SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, GuardRefused, JournalError, VerificationFailed
from downstage.masking.compile import compile_pseudonyms
from downstage.masking.nested import NestedMasker
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, CopyResult, ObjectFacts, ObjectPage, ObjectTransfer
from downstage.syncing.bucket import sync_range
from downstage.syncing.keys import PERSONAL, KeyFilter
from downstage.syncing.listing import KeyRange
from downstage.syncing.merge import ARCHIVED, Action
from downstage.syncing.task import RangeTask
from downstage.syncing.whole import SyncResult, SyncState, sync_whole
from downstage.testing.buckets import MemoryBuckets, MemoryTransfer
from downstage.testing.faults import Killed, Trip, faulty
from downstage.testing.world import KEY, plan_of

OPTIONS = SyncOptions(max_delete=MaxDelete(share=1.0))
PAIR = BucketPair(SourceBucket("1", "from"), TargetBucket("2", "to"), delete=True, options=OPTIONS)
SEALER = KeySealer(KEY)
PSEUDONYMS = compile_pseudonyms(plan_of().masking, KEY)
MASKER = NestedMasker(PSEUDONYMS.replace, PSEUDONYMS.is_kept).text
ADA = "mail/ada@court.example.org/1.eml"


async def at_once(_seconds: float) -> None:
    """Waits for nothing."""


class Sync:
    """Two buckets that differ in every way, and what a sync of them said and saved."""

    def __init__(self, pair: BucketPair = PAIR, page_size: int = 3) -> None:
        self.pair = pair
        self.store = MemoryBuckets([])
        for number in range(7):
            self.store.put("from", f"case/{number}-\U0001f4c4.pdf", b"%d" % number)
        self.store.put("from", "cold", b"cold", "GLACIER")
        self.store.put("to", "case/3-\U0001f4c4.pdf", b"3")
        self.store.put("to", "case/4-\U0001f4c4.pdf", b"stale")
        self.store.put("to", "case/old", b"old")
        self.store.put("to", "zzz", b"old")
        self.transfer = MemoryTransfer(self.store, page_size)
        self.saved: list[Checkpoint] = []
        self.finished: list[tuple[Action, str, str]] = []

    def range(self, transfer: ObjectTransfer | None = None, *, deletes: int = 99, **more: Any) -> Checkpoint:
        """The whole key space as one range."""
        context = more.pop("context", "run-1/sync/to")
        task = RangeTask(context, self.pair, KeyRange(), self.pair.options.compare, deletes)
        return asyncio.run(
            sync_range(
                task,
                self.saved[-1] if self.saved else Checkpoint(0, 1),
                transfer=transfer or self.transfer,
                sealer=SEALER,
                save=self.saved.append,
                chosen=KeyFilter(self.pair.options),
                told=lambda *line: self.finished.append(line),
                sleep=at_once,
                **more,
            )
        )

    def whole(self, transfer: ObjectTransfer | None = None, **more: Any) -> SyncResult:
        """Everything: plan pass, gate, sync."""
        return asyncio.run(
            sync_whole(
                self.pair,
                transfer or self.transfer,
                personal=more.pop("personal", MASKER),
                finished=lambda *line: self.finished.append(line),
                sleep=at_once,
                **more,
            )
        )

    def etags(self, bucket: str) -> dict[str, str]:
        """What a bucket holds, but for what cannot be copied."""
        return {key: entry.etag for key, entry in self.store.buckets.get(bucket, {}).items() if key != "cold"}

    @property
    def arrived(self) -> bool:
        """The target holds what the source holds."""
        return self.etags("from") == self.etags("to")


class Odd(MemoryTransfer):
    """A transfer of which a test changes one method."""

    def __init__(self, sync: Sync) -> None:
        super().__init__(sync.store, 3)
        self.on_copy: Callable[[ObjectFacts], CopyResult | None] = lambda item: None
        self.on_page: Callable[[ObjectPage], ObjectPage] = lambda page: page
        self.on_delete: Callable[[Sequence[str]], Mapping[str, str]] = lambda keys: {}
        self.slow: set[str] = set()
        self.open = asyncio.Event()

    async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
        found = self.on_copy(item)
        if found is not None:
            return found
        if item.key in self.slow:
            await self.open.wait()
        return await super().copy(source, target, item, to)

    async def page(self, *where: Any, **how: Any) -> ObjectPage:
        return self.on_page(await super().page(*where, **how))

    async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
        failed = self.on_delete(keys)
        await super().delete(target, [key for key in keys if key not in failed] or ["nothing"])
        return failed


# -- the result


def test_the_target_holds_what_the_source_holds() -> None:
    sync = Sync()
    done = sync.range()
    assert sync.arrived
    assert done == sync.saved[-1]
    assert (done.done, done.cursor) == (True, None)
    assert {name: count for name, count in done.counters.items() if count} == {
        "copied": 6, "deleted": 2, "unchanged": 1, "skipped": 1, "bytes_copied": 6, f"skipped: {ARCHIVED}": 1,
    }  # fmt: skip
    actions = [action for action, _, _ in sync.finished]
    assert {action: actions.count(action) for action in actions} == {Action.COPY: 6, Action.DELETE: 2, Action.SKIP: 1}
    assert sync.transfer.calls == {"page": 5, "copy": 6, "delete": 1}
    assert sync.range(faulty(sync.transfer, Trip(1))) is done, "a finished range is not looked at again"


def test_without_delete_extra_objects_stay() -> None:
    sync = Sync(replace(PAIR, delete=False))
    assert sync.range().counters["deleted"] == 0
    assert sync.saved[-1].counters["extra"] == 2
    assert {"zzz", "case/old"} <= set(sync.etags("to"))


@pytest.mark.parametrize("after", [False, True])
def test_a_sync_cut_off_at_any_call_is_brought_to_its_end(after: bool) -> None:
    calls = Trip()
    Sync().range(faulty(Sync().transfer, calls), clock=Ticking())
    assert calls.calls > 10
    for at in range(1, calls.calls + 1):
        sync = Sync()
        with pytest.raises(Killed):
            sync.range(faulty(sync.transfer, Trip(at, after=after)), clock=Ticking())
        done = sync.range()
        assert sync.arrived, f"call {at}"
        counters = done.counters
        assert counters["copied"] + counters["unchanged"] == 7
        assert counters["skipped"] == 1
        assert counters["deleted"] <= 2


class Ticking:
    """A clock that goes on by a second a look, so that every chance to save is taken."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


# -- resuming


def test_the_cursor_is_sealed_and_fits_its_own_run_buckets_and_options_only() -> None:
    sync = Sync()
    sync.range(stop_at=9.0, clock=Ticking())
    cursor = sync.saved[-1].cursor
    assert cursor is not None
    assert b"case" not in base64.b64decode(cursor)
    with pytest.raises(JournalError):
        sync.range(context="run-1/sync/other")


def test_stopped_in_time_it_goes_on_where_it_stopped_and_copies_nothing_twice() -> None:
    sync = Sync()
    state = SyncState()
    pieces = 0
    clock = Ticking()
    while True:
        result = sync.whole(state=state, stop_at=clock.now + 16, clock=clock, copies_at_once=1)
        pieces += 1
        assert pieces < 100
        if result.complete:
            break
        state = pickle.loads(pickle.dumps(state))
    assert pieces > 2
    assert sync.arrived
    assert sync.transfer.calls["copy"] == 6
    assert (result.counters["copied"], result.counters["deleted"], result.counters["unchanged"]) == (6, 2, 1)


def test_a_slow_copy_is_parked_and_holds_up_neither_the_others_nor_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downstage.syncing.bucket._WINDOW", 4)
    sync = Sync()
    for number in range(40):
        sync.store.put("from", f"d/{number:02}", b"x")
    odd = Odd(sync)
    odd.slow = {"case/0-\U0001f4c4.pdf"}
    cursors: list[str | None] = []

    def save(checkpoint: Checkpoint) -> None:
        sync.saved.append(checkpoint)
        if len(odd.store.buckets["to"]) > 40 and not odd.open.is_set():
            cursors.append(checkpoint.cursor)
            odd.open.set()

    sync.saved = []
    task = RangeTask("c", PAIR, KeyRange(), "etag", 99)
    done = asyncio.run(
        sync_range(
            task, Checkpoint(0, 1), transfer=odd, sealer=SEALER, save=save, chosen=KeyFilter(OPTIONS), clock=Ticking()
        )
    )
    assert cursors
    assert cursors[0] is not None
    state = SEALER.open(cursors[0], "c").decode()
    assert '"parked":["case/0-' in state
    assert '"after":"d/' in state
    assert done.done
    assert sync.arrived
    assert done.counters["copied"] == 46


# -- what goes wrong with one object


def test_an_object_that_changes_under_our_hands_is_listed_anew_and_copied() -> None:
    sync = Sync()
    odd = Odd(sync)
    key = "case/2-\U0001f4c4.pdf"

    def change(item: ObjectFacts) -> CopyResult | None:
        if item.key == key and item.size == 1:
            sync.store.put("from", key, b"changed meanwhile")
        return None

    odd.on_copy = change
    done = sync.range(odd)
    assert done.done
    assert sync.arrived
    assert (done.counters["copied"], done.counters["failed"]) == (6, 0)


def test_an_object_that_goes_under_our_hands_goes_from_the_target_too() -> None:
    sync = Sync()
    odd = Odd(sync)
    key = "case/4-\U0001f4c4.pdf"

    def vanish(item: ObjectFacts) -> CopyResult | None:
        if item.key == key:
            sync.store.buckets["from"].pop(key, None)
        return None

    odd.on_copy = vanish
    done = sync.range(odd)
    assert sync.arrived
    assert key not in sync.etags("to")
    assert (done.counters["copied"], done.counters["deleted"], done.counters["failed"]) == (5, 3, 0)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (CopyResult(refusal="refused", code="AccessDenied"), "S3 refuses it (AccessDenied)"),
        (CopyResult(refusal="changed", code="PreconditionFailed"), "it kept changing"),
    ],
)
def test_what_cannot_be_settled_is_named_and_the_rest_is_done(result: CopyResult, reason: str) -> None:
    sync = Sync()
    odd = Odd(sync)
    key = "case/2-\U0001f4c4.pdf"
    odd.on_copy = lambda item: result if item.key == key else None
    done = sync.range(odd)
    assert done.done
    assert (done.counters["failed"], done.counters[f"failed: {reason}"], done.counters["copied"]) == (1, 1, 5)
    assert (Action.FAIL, key, reason) in sync.finished


def test_an_archived_tier_that_the_listing_does_not_tell_is_skipped() -> None:
    sync = Sync()
    odd = Odd(sync)
    odd.on_copy = lambda item: CopyResult(refusal="refused", code="InvalidObjectState")
    assert sync.range(odd).counters["skipped"] == 7


def test_copies_that_are_refused_one_after_the_other_end_the_sync() -> None:
    sync = Sync()
    for number in range(200):
        sync.store.put("from", f"d/{number:03}", b"x")
    odd = Odd(sync)
    odd.on_copy = lambda item: CopyResult(refusal="refused", code="AccessDenied")
    with pytest.raises(AwsError, match=r"one copy after the other \(AccessDenied\); allow it .* or set 'tags: skip'"):
        sync.range(odd)
    assert not sync.saved[-1].done


def test_a_key_that_was_not_deleted_is_tried_again_and_then_named() -> None:
    sync = Sync()
    odd = Odd(sync)
    tries: list[str] = []

    def refuse(keys: Sequence[str]) -> Mapping[str, str]:
        tries.extend(key for key in keys if key == "zzz")
        return {"zzz": "AccessDenied"} if "zzz" in keys else {}

    odd.on_delete = refuse
    done = sync.range(odd)
    assert len(tries) == 4
    assert (done.counters["deleted"], done.counters["failed"]) == (1, 1)
    assert (Action.FAIL, "zzz", "S3 refuses it (AccessDenied)") in sync.finished


# -- deletes that cannot hurt


def test_no_more_is_deleted_than_was_planned() -> None:
    sync = Sync()
    with pytest.raises(GuardRefused, match="more objects of bucket 'to' than were planned"):
        sync.range(deletes=1)
    assert {"zzz", "case/old"} & set(sync.etags("to"))


def test_a_source_that_empties_after_the_plan_takes_nothing_with_it() -> None:
    planned = Sync()
    planned.pair = replace(PAIR, options=replace(OPTIONS, max_delete=MaxDelete(share=0.6)))
    odd = Odd(planned)
    pages = 0

    def page(found: ObjectPage) -> ObjectPage:
        nonlocal pages
        pages += 1
        if pages == 10:
            planned.store.buckets["from"].clear()
        return found

    odd.on_page = page
    with pytest.raises(GuardRefused, match="than were planned"):
        planned.whole(odd)
    assert len(planned.etags("to")) >= 1


@pytest.mark.parametrize(
    ("limit", "refused"),
    [
        (MaxDelete(), True),
        (MaxDelete(share=0.5), False),
        (MaxDelete(objects=1, share=1.0), True),
        (MaxDelete(objects=2, share=1.0), False),
    ],
)
def test_too_many_deletes_are_refused_before_anything_is_written(limit: MaxDelete, refused: bool) -> None:
    sync = Sync(replace(PAIR, options=SyncOptions(max_delete=limit)))
    if refused:
        with pytest.raises(GuardRefused, match="deleting 2 of 4 objects of bucket 'to'"):
            sync.whole()
        assert sync.store.writes == []
        assert sync.whole(yes=True).complete
    else:
        assert sync.whole().complete
    assert sync.arrived


def test_an_empty_source_deletes_nothing_even_if_deletes_are_allowed() -> None:
    sync = Sync(replace(PAIR, options=replace(OPTIONS, include=("nothing*", "case/old", "zzz"))))
    with pytest.raises(GuardRefused, match="the source bucket 'from' is empty"):
        sync.whole(yes=True)
    assert sync.store.writes == []


@pytest.mark.parametrize("bucket", ["from", "to"])
def test_a_listing_out_of_order_ends_the_sync(bucket: str) -> None:
    sync = Sync()
    odd = Odd(sync)

    def shuffle(page: ObjectPage) -> ObjectPage:
        mine = {entry.key for entry in sync.store.buckets[bucket].values()}
        disorder = len(page.entries) > 1 and all(entry.key in mine for entry in page.entries)
        return ObjectPage(list(reversed(page.entries)), page.more) if disorder else page

    odd.on_page = shuffle
    with pytest.raises(VerificationFailed, match="not in key order"):
        sync.range(odd)
    assert "remove objects of to" not in sync.store.writes


# -- which keys, and under which name


def test_prefixes_are_exchanged_and_nothing_outside_them_is_touched() -> None:
    pair = replace(PAIR, options=replace(OPTIONS, source_prefix="case/", target_prefix="copy/of/"))
    sync = Sync(pair)
    sync.store.put("to", "copy/of/old", b"old")
    before = {key for key in sync.etags("to") if not key.startswith("copy/")}
    assert sync.whole().complete
    copies = {key.removeprefix("copy/of/") for key in sync.etags("to") if key.startswith("copy/")}
    assert copies == {f"{number}-\U0001f4c4.pdf" for number in range(7)}
    assert {key for key in sync.etags("to") if not key.startswith("copy/")} == before


def test_what_the_patterns_leave_out_is_neither_copied_nor_deleted() -> None:
    sync = Sync(replace(PAIR, options=replace(OPTIONS, include=("case/*", "zzz"), exclude=("*/5*", "*old"))))
    result = sync.whole()
    assert "case/5-\U0001f4c4.pdf" not in sync.etags("to")
    assert "case/old" in sync.etags("to")
    assert "zzz" not in sync.etags("to")
    assert "skipped" not in {name for name, count in result.counters.items() if count}


def test_a_key_with_an_address_stops_the_sync_before_anything_is_written() -> None:
    sync = Sync()
    sync.store.put("from", ADA, b"x")
    with pytest.raises(GuardRefused, match="1 object keys of bucket from hold e-mail addresses") as caught:
        sync.whole()
    assert sync.store.writes == []
    assert "ada" not in str(caught.value)


def test_a_key_with_an_address_can_be_left_out_and_goes_from_the_target() -> None:
    sync = Sync(replace(PAIR, options=replace(OPTIONS, on_personal_key="skip")))
    sync.store.put("from", ADA, b"x")
    sync.store.put("to", ADA, b"x")
    result = sync.whole()
    assert ADA not in sync.etags("to")
    assert result.counters[f"skipped: {PERSONAL}"] == 1


def test_a_key_with_an_address_gets_the_pseudonym_of_the_tables_and_stays_in_later_syncs() -> None:
    sync = Sync(replace(PAIR, options=replace(OPTIONS, on_personal_key="mask", max_delete=MaxDelete(share=0.5))))
    sync.store.put("from", ADA, b"x")
    sync.store.put("from", ADA.replace("ada", "Ada"), b"y")
    assert sync.whole().counters["masked_keys"] == 2
    renamed = f"mail/{PSEUDONYMS.replace('ada@court.example.org')}/1.eml"
    held = sync.etags("to")
    assert held[renamed] == sync.store.buckets["from"][ADA].etag
    assert len([key for key in held if key.startswith("mail/")]) == 2
    again = sync.whole()
    assert (again.counters.get("copied", 0), sync.etags("to")) == (0, held)
    sync.store.put("from", ADA, b"another")
    sync.whole()
    assert sync.etags("to")[renamed] == sync.store.buckets["from"][ADA].etag
    del sync.store.buckets["from"][ADA]
    sync.whole()
    assert renamed not in sync.etags("to")


def test_a_name_that_is_taken_already_is_refused() -> None:
    sync = Sync(replace(PAIR, options=replace(OPTIONS, on_personal_key="mask")))
    sync.store.put("from", ADA, b"x")
    sync.store.put("from", f"mail/{PSEUDONYMS.replace('ada@court.example.org')}/1.eml", b"y")
    with pytest.raises(GuardRefused, match="the very name that another gets"):
        sync.whole()


BASE64 = base64.b64encode(b"ada@court.example.org").decode()


def masking_pair(**options: Any) -> BucketPair:
    return replace(PAIR, options=replace(OPTIONS, on_personal_key="mask", **options))


def test_a_name_in_any_encoding_is_known_before_the_plan_and_not_taken_for_one_to_delete() -> None:
    sync = Sync(masking_pair())
    sync.store.put("from", f"mail/{BASE64}/1.eml", b"x")
    first = sync.whole()
    held = sync.etags("to")
    (renamed,) = (key for key in held if key.startswith("mail/"))
    assert "@" not in renamed
    assert "%" not in renamed
    sync.pair = masking_pair(max_delete=MaxDelete(objects=0))
    again = sync.whole()
    assert (first.counters["copied"], again.planned["delete"], again.counters.get("copied", 0)) == (7, 0, 0)
    assert sync.etags("to") == held


def test_what_is_carried_for_masked_keys_does_not_grow_with_what_the_target_holds() -> None:
    sync = Sync(masking_pair(), page_size=1000)
    sync.store.put("from", ADA, b"x")
    for number in range(3000):
        sync.store.put("to", f"mail/u-{number:04d}@test.example.com", b"left over")
    state = SyncState()
    result = sync.whole(state=state)
    assert result.counters["deleted"] == 3002
    assert sync.arrived is False, "the key with the address has another name"
    carried = [*state.personal.values(), *state.surveys.values(), *state.syncs.values()]
    assert max(len(checkpoint.cursor or "") for checkpoint in carried) < 200


@pytest.mark.parametrize("ranges", [1, 4])
def test_more_personal_keys_than_can_be_carried_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, ranges: int
) -> None:
    monkeypatch.setattr("downstage.syncing.keys.MOST_PERSONAL", 20)
    sync = Sync(masking_pair(), page_size=5)
    for number in range(21):
        sync.store.put("from", f"mail/{number:02d}/p{number}@court.example.org", b"x")
    state = SyncState()
    with pytest.raises(GuardRefused, match="more than 20 object keys of bucket 'from' hold e-mail addresses") as caught:
        sync.whole(ranges=ranges, smallest=5, state=state)
    assert "\n" not in str(caught.value)
    assert "court" not in str(caught.value)
    assert sync.store.writes == []
    assert len(state.ranges) >= min(ranges, 2)
    del sync.store.buckets["from"]["mail/20/p20@court.example.org"]
    assert sync.whole(ranges=ranges, smallest=5).counters["masked_keys"] == 20


def test_a_search_for_personal_keys_that_is_stopped_in_time_is_gone_on_with() -> None:
    sync = Sync(masking_pair(), page_size=1)
    sync.store.put("from", ADA, b"x")
    sync.store.put("from", f"zz/{BASE64}", b"x")
    state, pieces, calls = SyncState(), 0, sync.transfer.calls
    while not sync.whole(state=state, stop_at=calls["page"] + 8.0, clock=lambda: float(calls["page"])).complete:
        state, pieces = pickle.loads(pickle.dumps(state)), pieces + 1
        assert pieces < 100
    assert pieces >= 3
    assert len(sync.etags("to")) == 9
    assert sync.transfer.calls["copy"] == 8


@pytest.mark.parametrize("wanted", ["fail", "mask"])
def test_an_address_that_begins_in_the_prefix_and_ends_in_the_key_is_an_address(wanted: Any) -> None:
    sync = Sync(masking_pair(source_prefix="in/", target_prefix="mail/ada@"))
    sync.pair = replace(sync.pair, options=replace(sync.pair.options, on_personal_key=wanted))
    sync.store.put("from", "in/court.example.org/1.eml", b"x")
    with pytest.raises(GuardRefused, match=r"hold e-mail addresses|begun in 'to_prefix'"):
        sync.whole()
    assert sync.store.writes == []


def test_an_object_that_would_have_no_key_in_the_target_is_refused_before_anything_is_written() -> None:
    options = replace(OPTIONS, source_prefix="in/", target_prefix="")
    sync = Sync(replace(PAIR, delete=False, options=options))
    sync.store.put("from", "in/", b"")
    sync.store.put("from", "in/a", b"x")
    with pytest.raises(GuardRefused, match="its key would be empty"):
        sync.whole()
    assert sync.store.writes == []
    del sync.store.buckets["from"]["in/"]
    assert sync.whole().counters["copied"] == 1


@pytest.mark.parametrize("ranges", [1, 2, 5])
def test_ranges_together_are_one_sync(ranges: int) -> None:
    sync = Sync()
    for number in range(300):
        sync.store.put("from", f"d/{number * 7919 % 1000:03}", b"%d" % number)
    result = sync.whole(MemoryTransfer(sync.store, 20), ranges=ranges, smallest=10)
    assert sync.arrived
    assert (result.counters["copied"], result.counters["deleted"]) == (306, 2)
    again = MemoryTransfer(sync.store, 20)
    assert sync.whole(again, ranges=ranges, smallest=10).counters["unchanged"] == 307
    assert (again.calls["copy"], again.calls["delete"]) == (0, 0)


def test_deletes_that_wait_for_a_full_batch_do_not_hold_the_sync_up() -> None:
    store = MemoryBuckets([])
    store.buckets["to"] = {}
    for number in range(999):
        store.put("to", f"a/{number:05d}", b"x")
    for number in range(6000):
        store.put("from", f"b/{number:05d}", b"y")

    class Refusing(MemoryTransfer):
        async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
            if item.key in ("b/00000", "b/00001") and self.calls["copy"] < 3000:
                self.calls["copy"] += 1
                await asyncio.sleep(0)
                return CopyResult(refusal="changed", code="PreconditionFailed")
            return await super().copy(source, target, item, to)

    async def sync() -> Checkpoint:
        task = RangeTask("c", PAIR, KeyRange(), "etag", 99_999)
        async with asyncio.timeout(60):
            return await sync_range(
                task,
                Checkpoint(0, 1),
                transfer=Refusing(store),
                sealer=SEALER,
                save=lambda _: None,
                chosen=KeyFilter(OPTIONS),
                sleep=at_once,
            )

    done = asyncio.run(sync())
    assert done.done
    assert sorted(store.buckets["to"]) == sorted(store.buckets["from"])


def test_the_allowance_of_deletes_outlives_a_kill() -> None:
    store = MemoryBuckets([])
    store.put("from", "a/slow", b"new")
    for number in range(1000):
        store.put("to", f"b/{number:05d}", b"x")
    for number in range(2000):
        store.put("from", f"c/{number:05d}", b"y")
        store.put("to", f"c/{number:05d}", b"y")
    saved: list[Checkpoint] = []

    class Slow(MemoryTransfer):
        async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
            if item.key == "a/slow":
                while not self.calls["delete"]:
                    await asyncio.sleep(0)
                raise Killed
            return await super().copy(source, target, item, to)

    def sync() -> None:
        asyncio.run(
            sync_range(
                RangeTask("c", PAIR, KeyRange(), "etag", 1000),
                saved[-1] if saved else Checkpoint(0, 1),
                transfer=Slow(store),
                sealer=SEALER,
                save=saved.append,
                chosen=KeyFilter(OPTIONS),
                sleep=at_once,
            )
        )

    with pytest.raises(Killed):
        sync()
    for number in range(1000):
        del store.buckets["from"][f"c/{number:05d}"]
    with pytest.raises((Killed, GuardRefused)):
        sync()
    assert len(store.buckets["to"]) >= 2000, "no more than the thousand that were planned"


def test_what_was_deleted_above_the_cursor_is_counted_once() -> None:
    store = MemoryBuckets([])
    store.put("from", "a/slow", b"new")
    for number in range(1000):
        store.put("to", f"b/{number:05d}", b"x")
    saved: list[Checkpoint] = []
    held = True

    class Slow(MemoryTransfer):
        async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
            while held and store.buckets["to"]:
                await asyncio.sleep(0)
            if held:
                for _ in range(10):
                    await asyncio.sleep(0)  # the answer to the delete has arrived
                raise Killed
            return await super().copy(source, target, item, to)

    def sync() -> Checkpoint:
        return asyncio.run(
            sync_range(
                RangeTask("c", PAIR, KeyRange(), "etag", 1000),
                saved[-1] if saved else Checkpoint(0, 1),
                transfer=Slow(store),
                sealer=SEALER,
                save=saved.append,
                chosen=KeyFilter(OPTIONS),
                sleep=at_once,
            )
        )

    with pytest.raises(Killed):
        sync()
    assert saved[-1].counters["deleted"] == 1000
    held = False
    assert sync().counters["deleted"] == 1000
    assert sorted(store.buckets["to"]) == ["a/slow"]


@pytest.mark.parametrize(("ending", "parked"), [("the time is up", False), ("a kill", False), ("a kill", True)])
def test_a_delete_of_which_no_answer_was_heard_is_counted_by_the_next_call(
    monkeypatch: pytest.MonkeyPatch, ending: str, parked: bool
) -> None:
    """S3 carries out what was sent, and the answer comes too late: the object is gone, and was deleted by us."""
    monkeypatch.setattr("downstage.syncing.bucket._DRAIN_SECONDS", 0.0)
    store = MemoryBuckets([])
    for number in range(5):
        store.put("from", f"a/{number}", b"same")
        store.put("to", f"a/{number}", b"same")
    for name in ("a/05", "b", "z/1", "z/2"):
        store.put("to", name, b"x")
    saved: list[Checkpoint] = []
    told: list[str] = []
    now = 0.0
    deaf, refusals = True, int(parked)

    class Deaf(MemoryTransfer):
        async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
            nonlocal now, refusals
            if refusals:
                refusals -= 1
                return dict.fromkeys(keys, "AccessDenied")
            await super().delete(target, keys)
            if deaf:
                now = 100.0
                if ending == "a kill":
                    raise Killed
                await asyncio.Event().wait()
            return {}

    def sync(stop_at: float | None) -> Checkpoint:
        async def bounded() -> Checkpoint:
            async with asyncio.timeout(60):
                return await sync_range(
                    RangeTask("c", PAIR, KeyRange(), "etag", 4),
                    saved[-1] if saved else Checkpoint(0, 1),
                    transfer=Deaf(store, 3),
                    sealer=SEALER,
                    save=saved.append,
                    chosen=KeyFilter(OPTIONS),
                    told=lambda action, key, _: told.append(f"{action} {key}"),
                    sleep=at_once,
                    stop_at=stop_at,
                    clock=lambda: now,
                )

        return asyncio.run(bounded())

    if ending == "a kill":
        with pytest.raises(Killed):
            sync(None)
    else:
        assert not sync(50.0).done
    assert saved[-1].counters["deleted"] == 0
    deaf = False
    done = sync(None)
    assert done.done
    assert (done.counters["deleted"], done.counters["unchanged"], done.counters["failed"]) == (4, 5, 0)
    assert sorted(told) == [f"delete {key}" for key in ("a/05", "b", "z/1", "z/2")]
    assert sorted(store.buckets["to"]) == sorted(store.buckets["from"])
    assert len(saved[-1].cursor or "") == 0
