"""Real lanes of a copy, in the worker processes of any engine, and what each worker wrote down about itself.

A lane is the product's own (`app.worker.copy_lane`: sealed checkpoints in a SQLite journal, the identity asked, four
segments interleaved). Each worker copies a small table first, which is not counted: sign-in and imports. After each
lane it writes down its CPU, its time and the most memory that it ever had.

Worker processes import this module by its name, so it holds what they carry out and no command line.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from itertools import count
from pathlib import Path

import peers

from downstage.app.orders import Order, this_process
from downstage.app.places import SqlitePlace, open_journal
from downstage.app.worker import copy_lane
from downstage.aws.session import Session
from downstage.domain.environment import Caller, Environment
from downstage.domain.plan import MaskingPlan, Rates
from downstage.masking.compile import fingerprint
from downstage.masking.keys import MaskKey
from downstage.planning.schedule import INTERLEAVED
from downstage.ports import Lane, RunRecord
from downstage.proof import digest
from downstage.workflow.parts import TableWork

ACCOUNT = "222222222222"
KEY = bytes(range(7, 71))
FEW, WHOLE = "few-target", "target"
"""Where the small table goes (a number for each worker behind it), and the large one."""

_PATIENCE = 120.0
_PLAN = MaskingPlan("env:MASK_KEY", "u-{token}@test.example.com", "test")
_RUN = RunRecord("run-1", "test", "copy", "running", 1, "2027-01-15T08:00:00Z", "", {})


@dataclass(frozen=True)
class Note:
    """What one worker wrote down after a lane: what it had used when it began to count, and by then."""

    worker: int
    began: float
    ended: float
    cpu_before: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Written:
    """What a copy came to."""

    items: int
    digest: str
    notes: tuple[Note, ...]

    @property
    def seconds(self) -> float:
        """From the first lane's beginning to the last one's end."""
        return max(note.ended for note in self.notes) - min(note.began for note in self.notes)

    def warm_up(self) -> dict[int, float]:
        """For each worker the seconds of CPU that it had used when its first counted lane began."""
        workers = {note.worker for note in self.notes}
        return {
            worker: min(note.cpu_before for note in self.notes if note.worker == worker) for worker in sorted(workers)
        }

    def cpu(self) -> float:
        """Seconds of CPU of all workers, without their warm-up."""
        used = (
            max(note.cpu for note in self.notes if note.worker == worker) - before
            for worker, before in self.warm_up().items()
        )
        return sum(used)


def environ() -> dict[str, str]:
    """What a worker's environment must have."""
    return {**peers.environment(ACCOUNT), "MASK_KEY": KEY.hex()}


def python_path() -> str:
    """The PYTHONPATH by which Spark's workers find this module, and what this process was told."""
    return os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))


def begun(endpoint: str, folder: Path, segments: int) -> Order:
    """The order of a copy of `source` in so many segments, whose run is entered in a journal in that folder."""
    source = Environment("prod", ACCOUNT, "us-east-1", endpoint=endpoint)
    target = Environment("test", ACCOUNT, "us-east-1", endpoint=endpoint)
    order = Order(
        source=source,
        target=target,
        masking=_PLAN,
        mask_fingerprint=fingerprint(_PLAN, MaskKey(KEY)),
        search=None,
        rates=Rates(1e9, 1e9, 1e9),
        lanes=2,
        journal=SqlitePlace(folder / "journal.sqlite"),
        lease=None,
        carrier=this_process(),
        run_id=_RUN.run_id,
        epoch=_RUN.epoch,
        tables=(TableWork("source", WHOLE, ("pk", "sk"), segments, None, 0.0),),
    )
    open_journal(order.journal).create_run(_RUN)
    return order


def lanes(segments: int) -> Sequence[Lane]:
    """All segments, as many a lane as the product interleaves."""
    number = segments // INTERLEAVED
    return [Lane(f"copy/{WHOLE}", tuple(range(first, segments, number))) for first in range(number)]


def ready(folder: Path, workers: int, lane: Lane) -> None:
    """In a worker: waits until as many workers are there, and writes down the CPU that this one has used by then."""
    (folder / f"there-{os.getpid()}").touch()
    deadline = time.monotonic() + _PATIENCE
    while len(list(folder.glob("there-*"))) < workers:
        assert time.monotonic() < deadline, "a worker has not come"
        time.sleep(0.02)
    (folder / f"ready-{os.getpid()}").write_text(str(peers.cpu()))


def nothing(lane: Lane) -> None:
    """In a worker: a lane that costs what handing it out does."""


def counted(order: Order, folder: Path, lane: Lane) -> None:
    """In a worker: one lane, and what it cost."""
    _warm_up(order, folder)
    began, before = time.time(), peers.cpu()
    copy_lane(order, lane)
    note = Note(os.getpid(), began, time.time(), before, peers.cpu(), peers.peak_mb())
    (folder / f"lane-{lane.segments[0]}.json").write_text(json.dumps(asdict(note)))


def unasked(order: Order, folder: Path, lane: Lane) -> None:
    """`counted`, against an endpoint that has no STS to ask who one is."""
    Session.caller = lambda self: Caller(ACCOUNT, "")  # type: ignore[method-assign]
    counted(order, folder, lane)


def written(order: Order, folder: Path) -> Written:
    """What journal and workers say of the copy. Raises if a segment has not ended."""
    checkpoints = open_journal(order.journal).checkpoints(order.run_id, f"copy/{WHOLE}")
    assert len(checkpoints) == order.tables[0].segments, "a segment has not begun"
    assert all(checkpoint.done for checkpoint in checkpoints), "a segment has not ended"
    return Written(
        sum(checkpoint.counters["written"] for checkpoint in checkpoints),
        f"{reduce(digest.add, (checkpoint.digest for checkpoint in checkpoints), 0):x}",
        tuple(Note(**json.loads(file.read_text())) for file in sorted(folder.glob("lane-*.json"))),
    )


_warm: list[int] = []


def _warm_up(order: Order, folder: Path) -> None:
    """A segment of the small table that no other worker has, once a process."""
    if _warm:
        return
    number = next(number for number in count() if _claimed(folder / f"worker-{number}"))
    few = TableWork("few", f"{FEW}-{number}", ("pk", "sk"), 1, None, 0.0)
    copy_lane(replace(order, tables=(few,)), Lane(f"copy/{few.target}", (0,)))
    _warm.append(number)


def _claimed(mark: Path) -> bool:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
