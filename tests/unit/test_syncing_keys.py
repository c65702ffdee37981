"""Which keys a sync takes, and under which name: prefixes and patterns, and keys with an e-mail address, which stop
it, are left out, or get the pseudonym of the tables."""

from __future__ import annotations

import base64
import pickle
from dataclasses import replace
from typing import Any

import pytest

from downstage.domain.plan import BucketPair, MaxDelete
from downstage.errors import GuardRefused
from downstage.syncing.keys import PERSONAL
from downstage.syncing.whole import SyncState
from tests.unit.syncing_world import OPTIONS, PAIR, PSEUDONYMS, Sync

ADA = "mail/ada@court.example.org/1.eml"
BASE64 = base64.b64encode(b"ada@court.example.org").decode()


def masking_pair(**options: Any) -> BucketPair:
    return replace(PAIR, options=replace(OPTIONS, on_personal_key="mask", **options))


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
