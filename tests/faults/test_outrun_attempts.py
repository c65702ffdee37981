"""An attempt that its engine has given up lives on, and the one in its place is faster: nothing that has ended is taken
back, and the run ends proven with true counts, whoever of the two is heard."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from downstage.domain.outcome import Result
from downstage.domain.plan import EnginePlan
from downstage.errors import SegmentEnded
from downstage.ports import Checkpoint
from downstage.testing.lanes import MemoryLanes
from downstage.testing.world import TARGET, World, case, plan_of

COUNT = 12


@pytest.mark.parametrize("task", ["copy", "verify"])
def test_an_older_attempt_takes_nothing_back(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(
        [case(n, f"p{n}@court.example.org") for n in range(COUNT)], plan_of(engine=EnginePlan("serial", 1, 1))
    )
    name = f"{task}/{TARGET}"
    lanes: list[tuple[Any, ...]] = []
    real, save = getattr(MemoryLanes, f"_{task}_lane"), world.journal.save_checkpoint

    def remembered(*lane: Any) -> None:
        lanes.append(lane)
        real(*lane)

    def outrun(run_id: str, epoch: int, of: str, checkpoint: Checkpoint) -> None:
        """When the older attempt is to save its first page, the newer one does the lane from there to its end."""
        if of == name and lanes:
            assert not checkpoint.done
            older = lanes.pop()
            newer = threading.Thread(target=real, args=older)
            newer.start()
            newer.join()
            (ended,) = world.journal.checkpoints(run_id, name)
            assert ended.done
        save(run_id, epoch, of, checkpoint)

    monkeypatch.setattr(MemoryLanes, f"_{task}_lane", remembered)
    monkeypatch.setattr(world.journal, "save_checkpoint", outrun)
    with pytest.raises(SegmentEnded, match=f"segment 0 of {name} was ended by another attempt at it: this one stops"):
        world.refresh()
    (left,) = world.journal.checkpoints("run-1", name)
    assert left.done
    lanes.clear()
    monkeypatch.undo()
    world.resume()
    outcome = world.outcome()
    (table,) = outcome.tables
    assert outcome.result is Result.PROVEN
    assert (table.read, table.written, table.in_target) == (COUNT, COUNT, COUNT)
