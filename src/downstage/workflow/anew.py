"""Segments that are to be done anew: each gets a beginning as its checkpoint.

Each is one write of its own, and a journal that is far away takes its time for each, so a few threads share them: no
segment waits for another. Where one is refused (the run was taken over), those not begun are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from downstage.ports import Checkpoint, Journal, RunRecord

_WRITERS = 8


def begin_anew(journal: Journal, run: RunRecord, task: str, checkpoints: Iterable[Checkpoint]) -> None:
    """Takes the segments of these checkpoints back to their beginning. Raises what the journal raises."""
    fresh = [Checkpoint(checkpoint.segment, checkpoint.total_segments) for checkpoint in checkpoints]
    save = partial(journal.save_checkpoint, run.run_id, run.epoch, task)
    with ThreadPoolExecutor(_WRITERS, thread_name_prefix="anew") as writers:
        for _ in writers.map(save, fresh):
            pass
