"""A proof is of one copy. What was found of an earlier copy, its repairs and a verification that was cut off, counts
for nothing once the same run has copied anew; what cannot be masked any more is not proven; a leak goes before all
else."""

from __future__ import annotations

import base64

import orjson
import pytest

from downstage.domain.outcome import Result
from downstage.errors import AwsError, LeakFound, MaskingError, RunConflict, VerificationFailed
from downstage.masking.compile import TableShape, compile_masker
from downstage.ports import Item, RawItem
from downstage.testing.deep_lanes import MemoryItems
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import KEY, KEYS, SOURCE, TARGET, World, case, plan_of
from downstage.workflow import tables
from downstage.workflow.refresh import forget_from

from .test_workflow_deep import UP_TO_COPY, alter, change_source, copied, delete_source, lose, source_key, verify

TABLES = ("verify-tables",)


def copy_anew(world: World) -> None:
    """Run 1 begins again at the wipe."""
    forget_from(world.journal, world.journal.take_over("run-1"), "wipe")
    world.refresh(world.journal.take_over("run-1"), chosen=UP_TO_COPY)


def too_deep() -> str:
    """A value that masking refuses."""
    text = "ada@court.example.org"
    for _ in range(12):
        text = base64.b64encode(text.encode()).decode()
    mask = compile_masker(plan_of().masking, KEY, TableShape(SOURCE, KEYS))
    with pytest.raises(MaskingError):
        mask.mask_bytes(orjson.dumps(case(10, "x@y.example", bad={"S": text})))
    return text


def test_a_repair_of_an_earlier_copy_does_not_vouch_for_the_next() -> None:
    world = copied(search=None)
    lose(world, 11)
    delete_source(world, 11)
    with pytest.raises(VerificationFailed):
        world.resume()
    verify(world, repair=True)
    world.source_tables[SOURCE].put([case(11, "q11@court.example.org")])
    copy_anew(world)
    assert source_key(world, 11) in world.target_tables[TARGET].items
    lose(world, 11)
    with pytest.raises(VerificationFailed):
        world.resume()
    assert world.outcome("run-1").result is not Result.PROVEN


def test_a_good_copy_after_a_repaired_one_is_proven() -> None:
    world = copied()
    lose(world, 11)
    change_source(world, 11)
    with pytest.raises(VerificationFailed):
        world.resume()
    verify(world, repair=True)
    change_source(world, 20)
    forget_from(world.journal, world.journal.take_over("run-1"), "wipe")
    world.resume()
    assert world.outcome("run-1").result is Result.PROVEN


def test_a_verification_that_was_cut_off_does_not_go_on_with_another_copy() -> None:
    rehearsal, world = Trip(), copied(search=None)
    world.refresh(world.begin("run-2", kind="verify", copy_run="run-1"), chosen=TABLES, trip=rehearsal)
    saves = [at for at, name in enumerate(rehearsal.names, 1) if name == "MemoryJournal.save_checkpoint"]
    for at in (saves[0], saves[-1]):
        world = copied(search=None)
        run = world.begin("run-2", kind="verify", copy_run="run-1")
        with pytest.raises(Killed):
            world.refresh(run, chosen=TABLES, trip=Trip(at, after=True))
        copy_anew(world)
        lose(world, 11)
        with pytest.raises(RunConflict, match="copied the tables anew"):
            world.resume("run-2", chosen=TABLES)
        assert world.outcome("run-2").result is not Result.PROVEN


@pytest.mark.parametrize("harm", [alter, lose])
def test_what_production_holds_and_nobody_can_mask_is_not_proven_by_a_repair(harm: object) -> None:
    assert callable(harm)
    world = copied()
    harm(world, 10)
    world.source_tables[SOURCE].put([case(10, "q10@court.example.org", bad={"S": too_deep()})])
    with pytest.raises(VerificationFailed):
        verify(world)
    assert not verify(world, "run-3", repair=True).proven
    assert not verify(world, "run-4").proven
    assert world.outcome("run-4").result is not Result.PROVEN


def test_a_row_whose_source_turns_unmaskable_while_it_is_mended_is_left_and_not_proven() -> None:
    """It is not deleted: production has it."""
    world = copied()
    alter(world, 10)
    altered = world.target_tables[TARGET].items[source_key(world, 10)]
    bad = orjson.dumps(case(10, "q10@court.example.org", bad={"S": too_deep()}))

    class Turning(MemoryItems):
        async def get(self, key: Item) -> RawItem | None:
            found = await super().get(key)
            return found if self.gets == 1 else bad  # the first look is the comparison's, the second the repair's

    turning = Turning(world.source_tables[SOURCE])
    world.source_items = lambda _name: turning
    with pytest.raises(VerificationFailed):
        verify(world, repair=True)
    assert world.target_tables[TARGET].items[source_key(world, 10)] == altered
    found = world.outcome("run-2").tables[0]
    assert turning.gets > 1
    assert not found.proven
    assert found.repaired is not None
    assert (found.repaired.put, found.repaired.deleted, found.repaired.left) == (0, 0, 1)


def test_what_has_expired_on_both_sides_since_is_said_to_be_possible() -> None:
    """Nothing is left of it to tell it from a loss."""
    world = copied()
    lose(world, 10)
    delete_source(world, 10)
    with pytest.raises(VerificationFailed, match="may have expired since, by 'expires', and be gone"):
        verify(world)


def test_a_leak_is_a_leak_though_the_source_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise AwsError("Scan on table app-prod: AWS answered AccessDeniedException", "AccessDenied")

    monkeypatch.setattr(tables, "look_deep", denied)
    world = copied(search=None)
    alter(world, 10)
    with pytest.raises(VerificationFailed, match="could not be compared"):
        verify(world)
    world.target_tables[TARGET].put([case(70, "ada@court.example.org")])
    with pytest.raises(LeakFound):
        verify(world, "run-3")
    assert world.outcome("run-3").exit_code == LeakFound.exit_code
