"""Canaries of a run with many segments: all together are no more than a worker that verifies can hold."""

from __future__ import annotations

import pytest

from downstage.testing.world import World
from downstage.verify.canaries import A_SEGMENT, CanaryKey, Exempt
from downstage.workflow.canaries import MOST, CanaryKeeper, share_of


@pytest.mark.parametrize("segments", [1, 32, 4_096, 30_000, 900_000])
def test_all_together_are_bounded_and_some_are_kept(segments: int) -> None:
    kept = sum(share_of(segment, segments) for segment in range(segments))
    assert min(MOST // 2, segments * A_SEGMENT) <= kept <= MOST


def test_a_segment_without_a_share_keeps_none() -> None:
    world = World()
    world.begin()
    exempt = Exempt((), (), "x-{token}@y.example")
    for limit in (0, 1):
        keeper = CanaryKeeper(
            world.journal, "run-1", 1, "copy/t", limit, key=CanaryKey(bytes(32)), exempt=exempt, limit=limit
        )
        keeper([b'{"a":{"S":"ada@court.example.org"},"b":{"S":"bob@court.example.org"}}'])
    assert {segment: len(kept) for (_, segment), kept in world.journal.canaries("run-1").items()} == {1: 1}
