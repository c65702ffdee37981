"""What travels beside a sync or a proof fits into an item of the control table, in bytes, whatever the keys are made
of; more personal keys than fit are refused in one line, before anything is written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from downstage.domain.plan import BucketPair, SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import GuardRefused
from downstage.journals.control_items import body_of
from downstage.masking.compile import compile_pseudonyms
from downstage.masking.nested import NestedMasker
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint
from downstage.syncing.keys import MOST_PERSONAL_BYTES, KeyFilter
from downstage.syncing.listing import KeyRange
from downstage.syncing.personal import find_personal, personal_keys
from downstage.syncing.task import RangeTask
from downstage.syncing.window import packed, weight
from downstage.testing.buckets import MemoryBuckets, MemoryTransfer
from downstage.testing.world import KEY, World, bucket_pair, plan_of
from downstage.workflow.bucket_sample import SAMPLED_OBJECTS, BucketLook
from downstage.workflow.findings import leak_look

PAIR = BucketPair(SourceBucket("1", "from"), TargetBucket("2", "to"), True, SyncOptions(on_personal_key="mask"))
TASK = RangeTask("c", PAIR, KeyRange(), "etag", 0)
SEALER = KeySealer(KEY)
PSEUDONYMS = compile_pseudonyms(plan_of().masking, KEY)
MASKER = NestedMasker(PSEUDONYMS.replace, PSEUDONYMS.is_kept).text


def personal_key(number: int, more: str) -> str:
    return f"mail/p{number:05d}@court.example.org/{more}"


def found(store: MemoryBuckets, saved: list[Checkpoint]) -> Checkpoint:
    return asyncio.run(
        find_personal(
            TASK,
            saved[-1] if saved else Checkpoint(0, 1),
            transfer=MemoryTransfer(store, 100),
            sealer=SEALER,
            save=saved.append,
            chosen=KeyFilter(PAIR.options, MASKER),
            stop_at=0.0,  # a page a call
        )
    )


@pytest.mark.parametrize(
    "more", ["x" * 600, "日" * 200, "\x01" * 100, '"' * 300], ids=["plain", "wide", "control", "quotes"]
)
def test_personal_keys_are_borne_as_long_as_an_item_holds_them(more: str) -> None:
    most = MOST_PERSONAL_BYTES // weight(personal_key(0, more))
    store = MemoryBuckets([])
    for number in range(most):
        store.put("from", personal_key(number, more), b"x")
    saved: list[Checkpoint] = []
    done = found(store, saved)
    calls = 1
    while not done.done:
        done = found(store, saved)
        calls += 1
        assert calls < 20
    assert len(personal_keys(TASK.context, done, SEALER)) == most
    body_of({"cursor": done.cursor, "counters": dict(done.counters), "done": True, "digest": "0" * 32})
    store.put("from", personal_key(most, more), b"x")
    del saved[2:]  # the bound counts what an earlier call has found
    for _ in range(calls - 3):
        assert not found(store, saved).done
    with pytest.raises(GuardRefused, match="'on_personal_key: skip', or leave them out with 'exclude'") as caught:
        found(store, saved)
    assert "\n" not in str(caught.value)
    assert "court" not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("sign", ["日", "\x01", "x"], ids=["wide", "control", "plain"])
def test_the_samples_of_a_proof_fit_beside_its_ranges(sign: str) -> None:
    world = World(plan=plan_of(buckets=(bucket_pair(),)))
    parts = world.parts(world.begin())
    keys = [f"{number:04d}{sign * 300}" for number in range(SAMPLED_OBJECTS)]
    carried: dict[str, list[Any]] = {
        "sample": keys,
        "few": [[key, '"etag"', 1, 1.0, "STANDARD", False] for key in keys[:20]],
    }
    look = BucketLook(parts, parts.plan.buckets[0].target, leak_look(parts), SAMPLED_OBJECTS, carried)
    made = look.carry()
    ranges = [[sign * 300, sign * 300]] * 16
    body_of({"cursor": SEALER.seal(packed(began=1.0, ranges=ranges, carried=made), "c")})
    assert len(made["sample"]) >= 50
    assert set(made["sample"]) <= set(keys)
