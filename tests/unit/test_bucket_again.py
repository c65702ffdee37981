"""Buckets gone on with from a step: `--from` forgets what that step's lanes have kept, so that nothing of before is
taken for what is there now; and what the proof advises, `--from sync`, is allowed and mends the target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from downstage.app.precedence import refuse_outdated
from downstage.domain.plan import EnginePlan
from downstage.errors import LeakFound, VerificationFailed
from downstage.ports import LastLoad
from downstage.testing.faults import Killed
from downstage.testing.world import COPIES, DOCUMENTS, World, bucket_pair, plan_of
from downstage.workflow import bucket_progress, bucket_proof
from downstage.workflow.bucket_plans import BUCKET_PLANS, PLAN_STEPS
from downstage.workflow.refresh import forget_from

ALONE = {"tables": (), "search": None, "streams": None, "flags": (), "wipe": None, "deploy": None}
STEPS = ("preflight", "sync", "verify-buckets")
KEPT = {"preflight": ("survey", "personal", "sync", "prove"), "sync": ("survey", "personal", "sync", "prove")}
LEAKED = "from/ada@court.example.org/x"


def world_of(*, delete: bool = True, **options: object) -> World:
    pair = replace(bucket_pair(**options), delete=delete)
    return World(plan=plan_of(**ALONE, buckets=(pair,), engine=EnginePlan("serial", 1, 3)))


def again(world: World, step: str) -> None:
    """As `resume RUN --from STEP` does."""
    record = world.journal.run("run-1")
    assert record is not None
    refuse_outdated(world.journal, record, LastLoad())
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, step)
    for kind in KEPT.get(step, ("prove",)):
        assert not world.journal.checkpoints("run-1", f"{kind}/{COPIES}")
    world.refresh(taken, chosen=STEPS)


def cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose proof is killed when it has listed everything."""

    async def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(bucket_progress, "SAVE_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(bucket_proof._Proof, "_compare_contents", killed)
        with pytest.raises(Killed):
            world.refresh(world.begin(), chosen=STEPS)
    assert any(each.done for each in world.journal.checkpoints("run-1", f"prove/{COPIES}"))


@pytest.mark.parametrize("step", STEPS)
def test_a_proof_is_made_anew_and_finds_what_was_put_since(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    world = world_of(delete=False)
    cut_off(world, monkeypatch)
    world.store.put(COPIES, LEAKED, b"x")
    with pytest.raises(LeakFound, match="1 addresses"):
        again(world, step)


@pytest.mark.parametrize("step", STEPS[:2])
def test_a_plan_is_made_anew_and_finds_what_came_since(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    world = world_of(on_personal_key="mask")
    world.store.put(DOCUMENTS, "mail/ada@court.example.org/1.eml", b"x")
    cut_off(world, monkeypatch)
    world.store.put(DOCUMENTS, "mail/grace@court.example.org/2.eml", b"y")
    for number in range(3):
        world.store.put(DOCUMENTS, f"zz/{number}", b"q")
    again(world, step)
    (bucket,) = world.outcome().buckets
    assert (bucket.proven, bucket.differing, bucket.changed) == (True, 0, 0)
    assert len(world.store.buckets[COPIES]) == len(world.store.buckets[DOCUMENTS]) == 8
    assert sum(key.startswith("mail/") for key in world.store.buckets[COPIES]) == 2
    assert "court" not in "".join(world.store.buckets[COPIES])


def test_a_sync_that_is_done_again_is_planned_when_it_is_done() -> None:
    """What changed between the preflight and the second sync was there for it to copy, and is no excuse any more."""
    world = world_of()
    world.refresh(world.begin(), chosen=STEPS)
    (planned,) = recorded_of(world)
    world.clock.sleep(3600.0)
    again(world, "sync")
    (anew,) = recorded_of(world)
    assert anew["started"] >= planned["started"] + 3600.0
    assert world.outcome().buckets[0].proven


def recorded_of(world: World) -> list[dict[str, Any]]:
    """The plans that the proof goes by."""
    for name in PLAN_STEPS:
        record = world.journal.step("run-1", name)
        if record is not None and BUCKET_PLANS in record.intent:
            return list(record.intent[BUCKET_PLANS])
    return []


@pytest.mark.parametrize(("delete", "match"), [(True, "something else than the sync"), (False, "objects still differ")])
def test_what_a_proof_advises_in_a_refresh_mends_the_target(delete: bool, match: str) -> None:
    world = world_of(delete=delete)
    world.refresh(world.begin(), chosen=STEPS[:2])
    if delete:
        for name in ("case/0.pdf", "foreign/1", "foreign/2", "foreign/3"):
            world.store.put(COPIES, name, b"foreign")
    del world.store.buckets[COPIES]["case/1.pdf"]
    for _ in range(2):
        with pytest.raises(VerificationFailed, match=f"{match}.*run 'downstage resume run-1 --from sync'"):
            world.resume(chosen=STEPS)
    assert world.outcome().exit_code == 4
    again(world, "sync")
    assert world.outcome().buckets[0].proven
    wanted = {key: entry.etag for key, entry in world.store.buckets[DOCUMENTS].items()}
    assert wanted.items() <= {key: entry.etag for key, entry in world.store.buckets[COPIES].items()}.items()
    assert len(world.store.buckets[COPIES]) == len(wanted) + (not delete)
