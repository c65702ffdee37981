"""The parts of a sync: ranges that are whole whatever is guessed, a cursor that agrees with its counters, a gate, and
places for requests that grow and shrink."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstage.domain.plan import BucketPair, MaxDelete, SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import GuardRefused
from downstage.syncing.flow import Flow
from downstage.syncing.gate import allowances, check_plan
from downstage.syncing.keys import KeyFilter, masked_keys
from downstage.syncing.listing import KeyRange
from downstage.syncing.ranges import midpoint, split
from downstage.syncing.window import Window, packed, unpacked
from downstage.testing.buckets import MemoryBuckets, MemoryTransfer

SOURCE, TARGET = SourceBucket("1", "from"), TargetBucket("2", "to")


# -- ranges


def ranges_of(keys: set[str], wanted: int, page: int = 10) -> tuple[list[KeyRange], int]:
    store = MemoryBuckets([])
    store.buckets["from"] = {}
    for key in keys:
        store.put("from", key, b"")
    transfer = MemoryTransfer(store, page)
    return asyncio.run(split(transfer, SOURCE, "", wanted, smallest=page)), transfer.calls["page"]


@settings(max_examples=150, deadline=None)
@given(
    st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), max_size=120), st.integers(1, 9)
)
def test_ranges_are_the_whole_key_space_in_order_whatever_the_keys(keys: set[str], wanted: int) -> None:
    found, probes = ranges_of(keys, wanted)
    assert found[0].after is None
    assert found[-1].until is None
    assert [each.until for each in found[:-1]] == [each.after for each in found[1:]]
    bounds = [each.after for each in found[1:] if each.after is not None]
    assert bounds == sorted(set(bounds))
    assert len(found) <= max(wanted, 1)
    assert probes <= 1 + wanted * 6 * 9 + 9


@pytest.mark.parametrize(
    "keys",
    [
        {f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(2000)},
        {f"documents/2024/{number:08d}.pdf" for number in range(2000)},
    ],
    ids=["hashes", "one deep folder"],
)
def test_ranges_are_of_about_equal_size(keys: set[str]) -> None:
    found, probes = ranges_of(keys, 8)
    sizes = [
        sum((each.after is None or key > each.after) and (each.until is None or key <= each.until) for key in keys)
        for each in found
    ]
    assert sum(sizes) == 2000
    assert len(found) == 8
    assert max(sizes) <= 2000 // 3
    assert probes < 80


def test_a_small_bucket_is_one_range_and_one_probe() -> None:
    assert ranges_of({"a", "b"}, 8) == ([KeyRange()], 1)


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_midpoint_lies_between(low: str, high: str) -> None:
    middle = midpoint(min(low, high), max(low, high))
    assert middle is None or min(low, high) < middle < max(low, high)


# -- the window


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.randoms())
def test_cursor_and_counters_agree_at_every_moment(gaps: list[int], dice: object) -> None:
    counted: Counter[str] = Counter()
    window = Window(None, [], counted.update)
    keys = [f"{place:03}" for place in range(len(gaps))]
    places = [window.begin(key, {"unchanged": gap}) for key, gap in zip(keys, gaps, strict=True)]
    order = list(range(len(keys)))
    dice.shuffle(order)  # type: ignore[attr-defined]
    ended: set[int] = set()
    for place in order:
        if place % 5 == 0:
            window.park(places[place])
        window.end(places[place], {"copied": 1})
        ended.add(place)
        below = 0
        while below in ended:
            below += 1
        assert window.cursor == (keys[below - 1] if below else None)
        assert counted["unchanged"] == sum(gaps[:below])
        parked_done = sum(1 for other in ended if other % 5 == 0 and other >= below)
        assert counted["copied"] == below + parked_done
    assert window.parked == {}


def test_a_parked_operation_lets_the_cursor_pass_and_is_kept_by_name() -> None:
    counted: Counter[str] = Counter()
    window = Window("a", ["z"], counted.update)
    slow, quick = window.begin("b", {}), window.begin("c", {})
    window.end(quick, {"copied": 1})
    assert window.cursor == "a"
    window.park_first()
    assert (window.cursor, list(window.parked), counted["copied"]) == ("c", ["z", "b"], 1)
    window.end(slow, {"copied": 1})
    assert (list(window.parked), counted["copied"]) == (["z"], 2)
    assert unpacked(packed(after="é\n", parked=["b"])) == {"after": "é\n", "parked": ["b"]}


# -- the gate


def pair(**options: object) -> BucketPair:
    return BucketPair(SOURCE, TARGET, delete=True, options=SyncOptions(**options))  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8),
    st.integers(0, 100),
    st.one_of(st.none(), st.integers(0, 60)),
)
def test_what_ranges_may_delete_is_together_never_more_than_the_limit(
    ranges: list[tuple[int, int]], percent: int, objects: int | None
) -> None:
    limits = MaxDelete(objects, percent / 100)
    counters = [{"objects": 9, "held": kept + doomed, "delete": doomed} for kept, doomed in ranges]
    planned, held = sum(doomed for _, doomed in ranges), sum(map(sum, ranges))
    allowed = allowances(pair(max_delete=limits), counters)
    assert len(allowed) == len(ranges) + 1
    assert all(may >= each["delete"] for may, each in zip(allowed, counters, strict=False))
    try:
        check_plan(pair(max_delete=limits), counters, yes=False)
    except GuardRefused:
        assert planned > limits.of(held)
        assert sum(allowed) <= planned + limits.of(held)
    else:
        assert sum(allowed) <= limits.of(held)


# -- keys


def test_patterns_choose_and_exclude_has_the_last_word() -> None:
    chosen = KeyFilter(SyncOptions(include=("a/*", "b?.pdf"), exclude=("*.tmp",)))
    assert [key for key in ("a/x/y", "a/x.tmp", "b1.pdf", "b12.pdf", "c") if chosen.chosen(key)] == ["a/x/y", "b1.pdf"]
    assert KeyFilter(SyncOptions()).takes_all


def test_two_keys_that_would_get_one_name_are_refused() -> None:
    with pytest.raises(GuardRefused, match="the same name"):
        masked_keys(["a@x", "b@x"], lambda key: "same", BucketPair(SOURCE, TARGET))


# -- the flow


def test_places_are_given_in_the_order_of_coming_and_halved_when_s3_is_slow() -> None:
    async def use() -> None:
        now = [0.0]
        flow = Flow(4, 8, clock=lambda: now[0])
        order: list[int] = []

        async def work(number: int) -> None:
            await flow.enter()
            order.append(number)

        tasks = [asyncio.create_task(work(number)) for number in range(6)]
        await asyncio.sleep(0)
        assert order == [0, 1, 2, 3]
        flow.slowed()
        flow.slowed()
        assert flow.limit == 2, "answers to what was under way together halve it once"
        for _ in range(2):
            flow.leave()
            await asyncio.sleep(0)
        assert order == [0, 1, 2, 3], "four minus two are as many as may be"
        flow.leave()
        await asyncio.sleep(0)
        assert order == [0, 1, 2, 3, 4]
        tasks[5].cancel()
        await asyncio.sleep(0)
        flow.leave()
        for _ in range(100):
            flow.answered()
        assert flow.limit == 8
        now[0] = 9.0
        for _ in range(9):
            now[0] += 1.0
            flow.slowed()
        assert flow.limit == 1
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(use())
