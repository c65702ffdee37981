"""The journal in the control table: for CI, for several machines, for whatever outlives the machine it began on.

How it is laid out: the runs are one partition (`runs`), the steps of a run another, and what lanes write is spread over
`SHARDS` partitions a run, by segment. Each partition that is written has an item with the run's epoch, and every write
is one transaction with the check of that epoch: whoever takes a run over raises all of them, and after that its
predecessor can write nothing more. With one item for all lanes, the checks of busy lanes would refuse each other.

Rules: all reads are consistent. No item expires while its run can still be resumed: all of a run's are given their time
when it has ended for good (where that was cut off, when the next run ends), unless it has found personal data, which
nobody is to forget because time has passed. Nothing here is item data: cursors are sealed, keys and addresses hashed.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, Protocol

import orjson

from downstage.errors import HeldByAnother, JournalError, RunConflict, SegmentEnded
from downstage.journals.control_items import (
    SHARDS,
    body_of,
    checkpoint_of,
    key_of,
    place_of,
    point_of,
    read_body,
    run_of,
    shard_of,
    step_of,
)
from downstage.ports import Checkpoint, Item, RunRecord, StepRecord

KEEP_DAYS: Final = 90
ENDED: Final = ("finished", "cancelled", "superseded")
"""States in which a run can no longer be resumed, so that its items may expire."""

_RUNS = "runs"
_FENCE = "!fence"
_WRITERS = 8


class Control(Protocol):
    """The control table: what `aws.control_table.ControlTable` offers."""

    name: str

    def get(self, pk: str, sk: str) -> Item | None: ...
    def query(self, pk: str, prefix: str = "") -> Iterator[Item]: ...
    def create(self, item: Item) -> bool: ...
    def update(
        self,
        pk: str,
        sk: str,
        change: str,
        values: Mapping[str, Any],
        *,
        only_if: str = "attribute_exists(pk)",
        names: Mapping[str, str] | None = None,
    ) -> Item | None: ...
    def put_while(self, item: Item, pk: str, sk: str, epoch: int, *, only_if: str = "") -> bool: ...
    def delete_while(self, item: Item, pk: str, sk: str, epoch: int) -> bool: ...


class DynamoJournal:
    """Implements `ports.Journal` in a control table. Safe to share between threads; make a new one in each process.

    `keep_days` is how long the items of a run stay after it has ended; `now` gives seconds since the epoch.
    """

    def __init__(self, table: Control, *, keep_days: int = KEEP_DAYS, now: Callable[[], float] = time.time) -> None:
        self._table = table
        self._keep = keep_days * 86_400
        self._now = now
        self._steps_lock = threading.Lock()

    # -- runs

    def create_run(self, record: RunRecord) -> None:
        """Enters a new run, and makes the table if there is none. Raises RunConflict if its id is taken."""
        _check_id(record.run_id)
        mark = uuid.uuid4().hex
        item = {
            **key_of(_RUNS, record.run_id),
            "epoch": {"N": str(record.epoch)},
            "state": {"S": record.state},
            "ended": {"S": record.ended},
            "mark": {"S": mark},
            **body_of(
                {
                    "environment": record.environment,
                    "kind": record.kind,
                    "started": record.started,
                    "settings": dict(record.settings),
                }
            ),
        }
        if not self._table.create(item):
            there = self._table.get(_RUNS, record.run_id)
            if there is None or there.get("mark") != {"S": mark}:  # else the answer to our own call was lost
                raise RunConflict(f"a run {record.run_id} exists already: name another, or resume it")
        self._raise_fences(record.run_id, record.epoch)

    def run(self, run_id: str) -> RunRecord | None:
        """The run, or None."""
        item = self._table.get(_RUNS, run_id)
        return None if item is None else run_of(item)

    def runs(self) -> Sequence[RunRecord]:
        """All runs, oldest first."""
        return sorted(map(run_of, self._table.query(_RUNS)), key=lambda run: (run.started, run.run_id))

    def take_over(self, run_id: str) -> RunRecord:
        """Raises the run's epoch and marks it running: whoever held it before can write no more."""
        item = self._table.update(
            _RUNS,
            run_id,
            "SET epoch = epoch + :one, #state = :running, ended = :none REMOVE expires, stays",
            {":one": {"N": "1"}, ":running": {"S": "running"}, ":none": {"S": ""}},
            names={"#state": "state"},
        )
        if item is None:
            raise JournalError(f"there is no run {run_id} in the table {self._table.name}: see 'downstage runs'")
        taken = run_of(item)
        self._raise_fences(run_id, taken.epoch)
        return taken

    def end_run(self, run_id: str, epoch: int, state: str, ended: str) -> None:
        """Marks how the run ended. If it cannot be resumed any more, its items expire some time from now, unless it has
        findings."""
        item = self._table.update(
            _RUNS,
            run_id,
            "SET #state = :state, ended = :ended",
            {":state": {"S": state}, ":ended": {"S": ended}, ":epoch": {"N": str(epoch)}},
            only_if="epoch = :epoch",
            names={"#state": "state"},
        )
        if item is None:
            raise _fenced_off(run_id)
        if state in ENDED:
            self._settle(run_id)
            with suppress(JournalError):  # this run has ended all the same, and the next one tries again
                self._settle_others()

    # -- steps

    def step(self, run_id: str, name: str) -> StepRecord | None:
        """One step of the run, or None if it has not begun."""
        item = self._table.get(run_id, f"step#{name}")
        return None if item is None else step_of(item)

    def steps(self, run_id: str) -> Sequence[StepRecord]:
        """The steps that have begun, in the order in which they did."""
        items = sorted(self._table.query(run_id, "step#"), key=lambda item: (int(item["place"]["N"]), item["sk"]["S"]))
        return [step_of(item) for item in items]

    def save_step(self, run_id: str, epoch: int, step: StepRecord) -> None:
        """Enters or replaces a step; it keeps its place in the order."""
        with self._steps_lock:  # two steps of one run that begin together get places of their own
            there = self._table.get(run_id, f"step#{step.name}")
            place = int(there["place"]["N"]) if there else self._next_place(run_id)
            body = {
                "state": step.state,
                "seconds": step.seconds,
                "detail": step.detail,
                "intent": dict(step.intent),
                "result": dict(step.result),
            }
            item = {**key_of(run_id, f"step#{step.name}"), "place": {"N": str(place)}, **body_of(body)}
            if not self._table.put_while(item, _RUNS, run_id, epoch):
                raise _fenced_off(run_id)

    def forget_step(self, run_id: str, epoch: int, name: str | None, tasks: Sequence[str]) -> None:
        """Takes a step back, with what its tasks have kept; or only that. What they have kept goes first and the step
        last, so that a call cut off can be repeated.

        Partitions are emptied side by side, each by one thread: two deletes of one partition would meet at its epoch.
        """
        kept = tuple(kind + prefix for kind in ("point#", "item#", "canary#") for prefix in tasks)

        def empty(shard: int) -> None:
            for item in self._table.query(shard_of(run_id, shard)):
                if item["sk"]["S"].startswith(kept):
                    self._delete(run_id, epoch, item, item["pk"]["S"], _FENCE)

        if kept:
            with ThreadPoolExecutor(_WRITERS, thread_name_prefix="forget") as writers:
                for _ in writers.map(empty, range(SHARDS)):
                    pass
        if name is not None:
            self._delete(run_id, epoch, key_of(run_id, f"step#{name}"), _RUNS, run_id)

    # -- lanes

    def checkpoint(self, run_id: str, task: str, segment: int) -> Checkpoint | None:
        """The last checkpoint of one segment, or None."""
        item = self._table.get(place_of(run_id, task, segment), point_of(task, segment))
        return None if item is None else checkpoint_of(item)

    def checkpoints(self, run_id: str, task: str) -> Sequence[Checkpoint]:
        """The last checkpoint of each segment that has one, by segment."""
        found = map(checkpoint_of, self._everywhere(run_id, f"point#{task}#"))
        return sorted(found, key=lambda checkpoint: checkpoint.segment)

    def save_checkpoint(self, run_id: str, epoch: int, task: str, checkpoint: Checkpoint) -> None:
        """Replaces the segment's checkpoint. Raises SegmentEnded if one that is done would be by one that is not.

        The item says apart from its body that it is done, and the condition looks at that: one request saves.
        """
        body = {
            "segment": checkpoint.segment,
            "total_segments": checkpoint.total_segments,
            "cursor": checkpoint.cursor,
            "done": checkpoint.done,
            "digest": f"{checkpoint.digest:032x}",
            "counters": dict(checkpoint.counters),
        }
        pk, sk = place_of(run_id, task, checkpoint.segment), point_of(task, checkpoint.segment)
        item = {**key_of(pk, sk), **body_of(body), **({"done": {"S": "yes"}} if checkpoint.done else {})}
        only_if = "" if checkpoint.ends_or_begins else "attribute_not_exists(done)"
        if self._table.put_while(item, pk, _FENCE, epoch, only_if=only_if):
            return
        fence = self._table.get(pk, _FENCE)  # which of the two conditions it was, a refusal does not say everywhere
        if only_if and fence is not None and int(fence["epoch"]["N"]) == epoch:
            raise SegmentEnded(
                f"segment {checkpoint.segment} of {task} was ended by another attempt at it: this one stops"
            )
        raise _fenced_off(run_id)

    def quarantine(self, run_id: str, epoch: int, task: str, key_hash: str, reason: str) -> None:
        """Enters a quarantined item by its keyed hash; entering it again changes nothing."""
        body = {"task": task, "key_hash": key_hash, "reason": reason}
        self._put(run_id, epoch, place_of(run_id, task, key_hash), f"item#{task}#{key_hash}", body)

    def quarantined(self, run_id: str, task: str) -> Sequence[tuple[str, str]]:
        """(keyed hash, reason) of each quarantined item."""
        found = map(read_body, self._everywhere(run_id, f"item#{task}#"))
        return sorted((body["key_hash"], body["reason"]) for body in found)

    def add_finding(self, run_id: str, epoch: int, task: str, finding: Mapping[str, Any]) -> None:
        """Enters a leak finding; the same one again changes nothing."""
        text = orjson.dumps(dict(finding), option=orjson.OPT_SORT_KEYS)
        name = hashlib.sha256(task.encode() + b"\0" + text).hexdigest()
        body = {"task": task, "finding": text.decode()}
        self._put(run_id, epoch, place_of(run_id, task, name), f"leak#{name}", body)

    def findings(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """All leak findings of the run."""
        found = map(read_body, self._everywhere(run_id, "leak#"))
        return [orjson.loads(text) for _, text in sorted((body["task"], body["finding"]) for body in found)]

    def save_canaries(self, run_id: str, epoch: int, task: str, segment: int, canaries: Sequence[str]) -> None:
        """Replaces the segment's canaries."""
        body = {"task": task, "segment": segment, "canaries": list(canaries)}
        self._put(run_id, epoch, place_of(run_id, task, segment), f"canary#{task}#{segment:08}", body)

    def canaries(self, run_id: str) -> Mapping[tuple[str, int], Sequence[str]]:
        """The run's canaries by task and segment."""
        found = map(read_body, self._everywhere(run_id, "canary#"))
        return {(body["task"], body["segment"]): body["canaries"] for body in found}

    def segment_canaries(self, run_id: str, task: str, segment: int) -> Sequence[str]:
        """The canaries of one segment."""
        item = self._table.get(place_of(run_id, task, segment), f"canary#{task}#{segment:08}")
        canaries: list[str] = [] if item is None else read_body(item)["canaries"]
        return canaries

    # -- inside

    def _next_place(self, run_id: str) -> int:
        return max((int(item["place"]["N"]) for item in self._table.query(run_id, "step#")), default=-1) + 1

    def _put(self, run_id: str, epoch: int, pk: str, sk: str, body: Mapping[str, Any]) -> None:
        if not self._table.put_while({**key_of(pk, sk), **body_of(body)}, pk, _FENCE, epoch):
            raise _fenced_off(run_id)

    def _delete(self, run_id: str, epoch: int, item: Item, fence_pk: str, fence_sk: str) -> None:
        key = {name: item[name] for name in ("pk", "sk")}
        if not self._table.delete_while(key, fence_pk, fence_sk, epoch):
            raise _fenced_off(run_id)

    def _everywhere(self, run_id: str, prefix: str) -> Iterator[Item]:
        for shard in range(SHARDS):
            yield from self._table.query(shard_of(run_id, shard), prefix)

    def _raise_fences(self, run_id: str, epoch: int) -> None:
        """From here on only a writer with this epoch gets past. A newer successor's epoch is left as it is."""
        for shard in range(SHARDS):
            self._table.update(
                shard_of(run_id, shard),
                _FENCE,
                "SET epoch = :epoch",
                {":epoch": {"N": str(epoch)}},
                only_if="attribute_not_exists(epoch) or epoch < :epoch",
            )

    def _settle(self, run_id: str) -> None:
        """Gives the run's items their time, or notes that they stay. The run's own item comes last: while that says
        neither, somebody has died over it, and the next run that ends does it anew."""
        if next(self._everywhere(run_id, "leak#"), None) is None:
            self._let_expire(run_id)
        else:
            self._table.update(_RUNS, run_id, "SET stays = :why", {":why": {"S": "findings"}})

    def _settle_others(self) -> None:
        for item in self._table.query(_RUNS):
            if item["state"]["S"] in ENDED and not {"expires", "stays"} & item.keys():
                self._settle(item["sk"]["S"])

    def _let_expire(self, run_id: str) -> None:
        when = {":when": {"N": str(int(self._now()) + self._keep)}}

        def mark(item: Item) -> None:
            self._table.update(item["pk"]["S"], item["sk"]["S"], "SET expires = :when", when)

        places = [run_id, *(shard_of(run_id, shard) for shard in range(SHARDS))]
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="expiry") as writers:
            for place in places:
                for _ in writers.map(mark, self._table.query(place)):
                    pass
        mark(key_of(_RUNS, run_id))  # last: while the run is listed, all of it may be looked at


def _check_id(run_id: str) -> None:
    if "#" in run_id or run_id == _RUNS:
        raise JournalError("a run id holds no '#'")


def _fenced_off(run_id: str) -> HeldByAnother:
    return HeldByAnother(f"run {run_id} was taken over by another process: this one stops and writes nothing more")
