"""Samples come from all over a table, gently: small pages, one at a time, no faster than allowed."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.app.sampling import GentleTransport, sample
from downstage.ports import Item
from downstage.testing.tables import MemoryReader, MemoryTable
from downstage.wire.dynamodb import Response


def table(size: int) -> MemoryTable:
    made = MemoryTable("t", ("pk",), "id-1")
    made.put({"pk": {"S": f"{number}"}} for number in range(size))
    return made


def sampled(size: int, segments: int, count: int | None, page_size: int = 3) -> tuple[list[Item], int]:
    seen: list[Item] = []
    reader = MemoryReader(table(size), page_size)
    told = asyncio.run(sample(reader, segments, seen.append, count, random.Random(7)))
    assert told == len(seen)
    return seen, reader.pages_read


@given(st.integers(0, 60), st.integers(1, 16), st.integers(1, 80), st.integers(1, 7))
def test_never_more_than_asked_for_and_nothing_twice(size: int, segments: int, count: int, page_size: int) -> None:
    seen, _ = sampled(size, segments, count, page_size)
    keys = {item["pk"]["S"] for item in seen}
    assert len(keys) == len(seen) <= min(size, count)
    if count >= size * segments:
        assert len(seen) == size


@pytest.mark.parametrize("segments", [1, 4])
def test_all_is_every_item(segments: int) -> None:
    seen, _ = sampled(50, segments, None)
    assert len(seen) == 50


def test_a_sample_is_from_every_segment() -> None:
    seen, _ = sampled(400, 8, 40)
    whole = table(400)
    segments = [{item["pk"]["S"] for _, item in whole.segment(number, 8)} for number in range(8)]
    taken = [sum(item["pk"]["S"] in segment for item in seen) for segment in segments]
    assert taken == [5] * 8


def test_no_more_pages_are_read_than_it_takes() -> None:
    _, pages = sampled(4000, 8, 40, page_size=5)
    assert pages == 8


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 100.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


class Recording:
    """A transport that answers that every call took 5 capacity units."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    async def post(self, operation: str, body: bytes) -> Response:
        self.bodies.append(orjson.loads(body))
        return Response(200, b'{"Items":[],"Count":0,"ConsumedCapacity":{"CapacityUnits": 5.0,"TableName":"t"}}')


def test_a_rate_makes_the_next_call_wait_for_what_the_last_one_used() -> None:
    clock, inner = Clock(), Recording()
    gentle = GentleTransport(inner, clock, None, 2.0)

    async def three() -> None:
        for _ in range(3):
            await gentle.post("Scan", b"{}")

    asyncio.run(three())
    assert clock.slept == [2.5, 2.5]
    assert inner.bodies == [{}, {}, {}]


def test_without_a_rate_nobody_waits_and_pages_are_small() -> None:
    clock, inner = Clock(), Recording()
    asyncio.run(GentleTransport(inner, clock, 40, None).post("Scan", b'{"TableName":"t"}'))
    assert inner.bodies == [{"TableName": "t", "Limit": 40}]
    assert clock.slept == []
