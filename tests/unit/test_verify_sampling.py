"""The sample of lowest hashes: bounded, and the same whatever the order."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.verify.sampling import LowestHashes


def hashed(value: str) -> bytes:
    return hashlib.blake2b(value.encode(), digest_size=16).digest()


def sample(values: list[str], limit: int) -> list[str]:
    lowest = LowestHashes(limit)
    for value in values:
        lowest.offer(hashed(value), value)
    return lowest.values


@given(st.lists(st.text("abcdef", max_size=4), max_size=60), st.integers(1, 20))
def test_it_is_the_lowest_hashes_in_any_order(values: list[str], limit: int) -> None:
    wanted = sorted(set(values), key=hashed)[:limit]
    assert sample(values, limit) == wanted
    assert sample(list(reversed(values)), limit) == wanted
    assert sample(sorted(values) * 2, limit) == wanted


def test_a_sample_of_a_listing_is_not_its_beginning() -> None:
    keys = [f"{folder}/{number:04}" for folder in "abcdefghij" for number in range(100)]
    folders = {key[0] for key in sample(keys, 100)}
    assert folders == set("abcdefghij")


def test_it_goes_on_from_what_was_chosen() -> None:
    first = LowestHashes(2)
    for value in "abc":
        first.offer(hashed(value), value)
    again = LowestHashes(2, [(hashed(value), value) for value in first.values])
    assert not again.offer(hashed(first.values[0]), first.values[0])
    assert again.values == first.values


def test_an_empty_sample_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        LowestHashes(0)
