"""Batches keep the order, lose nothing, and fit one call; waits grow to a ceiling and end."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from downstage.copying.batches import BATCH_BYTES, batches
from downstage.copying.pacing import Backoff


@given(st.integers(0, 120))
def test_batches_are_full_and_in_order(count: int) -> None:
    items = [b'{"pk":{"N":"%d"}}' % number for number in range(count)]
    cut = list(batches(items))
    assert [item for batch in cut for item in batch] == items
    assert all(len(batch) == 25 for batch in cut[:-1])
    assert all(0 < len(batch) <= 25 for batch in cut)


def test_large_items_go_in_smaller_batches() -> None:
    third = b"x" * (BATCH_BYTES // 3 + 1)
    assert [len(batch) for batch in batches([third] * 5)] == [2, 2, 1]
    assert [len(batch) for batch in batches([b"x" * (BATCH_BYTES + 1), third])] == [1, 1]


def test_waits_grow_to_a_ceiling_and_end() -> None:
    class Highest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    assert list(Backoff(0.5, 3.0, 5).waits(Highest())) == [0.5, 1.0, 2.0, 3.0, 3.0]
    waits = list(Backoff(0.5, 3.0, 50).waits(random.Random(1)))
    assert len(waits) == 50
    assert all(0 <= wait <= 3.0 for wait in waits)
    assert len(set(waits)) > 40, "lanes that were throttled together do not come back together"
