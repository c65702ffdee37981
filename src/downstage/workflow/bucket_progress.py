"""How far the proof of one pair is, in the journal: a cursor for each range, sealed, and the samples beside them.

The samples are saved before the cursors that have passed what is in them; what is offered to them twice is chosen once.
Who goes on long after it was begun begins anew, however often it was cut off since: a proof is of now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from downstage.domain.plan import BucketPair
from downstage.domain.together import together
from downstage.ports import Checkpoint, ObjectTransfer
from downstage.syncing.keys import KeyFilter, masked_keys
from downstage.syncing.listing import KeyRange
from downstage.syncing.personal import find_personal, personal_keys
from downstage.syncing.ranges import split
from downstage.syncing.task import RangeTask
from downstage.syncing.window import packed, unpacked
from downstage.workflow.bucket_plans import RANGES_A_WORKER
from downstage.workflow.bucket_sample import Carried
from downstage.workflow.last_sync import LastSync
from downstage.workflow.parts import Parts

SAVE_SECONDS = 10.0
FRESH_SECONDS = 3600.0


class Progressing:
    """Of one pair. `carried` is what an earlier attempt carried, `seen` how many keys it had looked at; `carry` is set
    by whoever has samples."""

    def __init__(self, parts: Parts, pair: BucketPair) -> None:
        self.carried: Carried | None = None
        self.carry: Callable[[], Carried] = dict
        self._parts = parts
        self._pair = pair
        self._task = f"prove/{pair.target.name}"
        self._context = f"{parts.run.run_id}/{pair.target.account}/{pair.terms}/{self._task}"
        self._ranges: tuple[KeyRange, ...] = ()
        self._last = LastSync(pair.options.compare)
        self._latest: dict[int, Checkpoint] = {}
        self._changed: set[int] = set()
        self._saved_at = self._began = parts.clock.now()

    async def begin(self, transfer: ObjectTransfer, last: LastSync) -> Mapping[str, str]:
        """Fixes the ranges, or goes on with those of an earlier attempt; gives the renamed keys (new by old)."""
        self._last = last
        pair, parts = self._pair, self._parts
        if not self._goes_on():
            self.forget()
            wanted = RANGES_A_WORKER * parts.plan.engine.workers
            found = last.ranges or await split(transfer, pair.source, pair.options.source_prefix, wanted)
            self._ranges = tuple(found)
        return last.renamed if last.ranges else await self._renamed(transfer)

    @property
    def seen(self) -> int:
        """Keys of the target that an earlier attempt has looked at."""
        return sum(checkpoint.counters.get("keys", 0) for checkpoint in self._latest.values())

    def ranges(self) -> list[tuple[RangeTask, Checkpoint]]:
        """Each range, and how far it is."""
        return [
            (self._range(place), self._latest.get(place, Checkpoint(place, len(self._ranges))))
            for place in range(len(self._ranges))
        ]

    def note(self, checkpoint: Checkpoint) -> None:
        """A range is so far; it is saved with the others, every few seconds."""
        self._latest[checkpoint.segment] = checkpoint
        self._changed.add(checkpoint.segment)
        if self._parts.clock.now() - self._saved_at >= SAVE_SECONDS:
            self._save()

    def forget(self) -> None:
        """The proof has been made: whoever makes another begins anew."""
        for checkpoint in self._parts.journal.checkpoints(self._parts.run.run_id, self._task):
            if checkpoint.cursor is not None:
                self._write(Checkpoint(checkpoint.segment, 0))

    def _goes_on(self) -> bool:
        """Whether an earlier attempt is gone on with."""
        found = {each.segment: each for each in self._parts.journal.checkpoints(self._parts.run.run_id, self._task)}
        beside = found.pop(0, None)
        if beside is None or beside.cursor is None:
            return False
        state = unpacked(self._parts.sealer.open(beside.cursor, self._context))
        if self._parts.clock.now() - state.get("began", 0.0) > FRESH_SECONDS:
            return False
        self._began = state["began"]
        self._ranges = tuple(KeyRange(after, until) for after, until in state["ranges"])
        self.carried = state["carried"]
        count = len(self._ranges)
        self._latest = {
            place - 1: replace(each, segment=place - 1, total_segments=count) for place, each in found.items()
        }
        return True

    def _save(self) -> None:
        """The samples first: they may hold what the cursors have not passed, and must hold what these have."""
        self._saved_at = self._parts.clock.now()
        state = packed(
            began=self._began,
            ranges=[[keys.after, keys.until] for keys in self._ranges],
            carried=self.carry(),
        )
        self._write(Checkpoint(0, 0, cursor=self._parts.sealer.seal(state, self._context)))
        for place in sorted(self._changed):
            self._write(replace(self._latest[place], segment=place + 1))
        self._changed.clear()

    def _write(self, checkpoint: Checkpoint) -> None:
        made = replace(checkpoint, total_segments=len(self._ranges) + 1)
        self._parts.journal.save_checkpoint(self._parts.run.run_id, self._parts.run.epoch, self._task, made)

    def _range(self, place: int) -> RangeTask:
        return RangeTask(f"{self._context}/{place}", self._pair, self._ranges[place], self._last.compare, 0)

    async def _renamed(self, transfer: ObjectTransfer) -> Mapping[str, str]:
        """Where no sync is known that has found them."""
        pair, parts = self._pair, self._parts
        if pair.options.on_personal_key != "mask":
            return {}
        tasks = [task for task, _ in self.ranges()]
        found = await together(
            find_personal(
                task,
                Checkpoint(place, len(tasks)),
                transfer=transfer,
                sealer=parts.sealer,
                save=lambda checkpoint: None,
                chosen=KeyFilter(pair.options, parts.objects.masker),
                clock=parts.clock.now,
            )
            for place, task in enumerate(tasks)
        )
        keys = [
            key
            for task, one in zip(tasks, found, strict=True)
            for key in personal_keys(task.context, one, parts.sealer)
        ]
        return masked_keys(keys, parts.objects.masker, pair)
