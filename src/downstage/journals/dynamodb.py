"""The journal in the control table: for CI, for several machines, for whatever outlives the machine it began on.

How it is laid out: the runs are one partition (`runs`), the steps of a run another, and what lanes write is spread over
`SHARDS` partitions a run, by segment. Each partition that is written has an item with the run's epoch, and every write
is one transaction with the check of that epoch: whoever takes a run over raises all of them, and after that its
predecessor can write nothing more. With one item for all lanes, the checks of busy lanes would refuse each other.

Rules: all reads are consistent. What may be large (an intent, canaries) is compressed, for an item ends at 400 KB. No
item expires while its run can still be resumed: all of a run's are given their time when it has ended for good, unless
it has found personal data, which nobody is to forget because time has passed. Nothing here is item data: cursors arrive
sealed, keys and addresses hashed.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import orjson

from downstage.errors import JournalError, RunConflict, SegmentEnded
from downstage.ports import Checkpoint, Item, RunRecord, StepRecord

SHARDS: Final = 16
"""Partitions (and epochs) that the lanes of one run share. A partition takes some 150 checkpoints a second."""

KEEP_DAYS: Final = 90
ENDED: Final = ("finished", "cancelled", "superseded")
"""States in which a run can no longer be resumed, so that its items may expire."""

_RUNS = "runs"
_FENCE = "!fence"
_INLINE = 2048
_LARGEST = 390_000
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
            **_key(_RUNS, record.run_id),
            "epoch": {"N": str(record.epoch)},
            "state": {"S": record.state},
            "ended": {"S": record.ended},
            "mark": {"S": mark},
            **_body(
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
        return None if item is None else _run(item)

    def runs(self) -> Sequence[RunRecord]:
        """All runs, oldest first."""
        return sorted(map(_run, self._table.query(_RUNS)), key=lambda run: (run.started, run.run_id))

    def take_over(self, run_id: str) -> RunRecord:
        """Raises the run's epoch and marks it running: whoever held it before can write no more."""
        item = self._table.update(
            _RUNS,
            run_id,
            "SET epoch = epoch + :one, #state = :running, ended = :none REMOVE expires",
            {":one": {"N": "1"}, ":running": {"S": "running"}, ":none": {"S": ""}},
            names={"#state": "state"},
        )
        if item is None:
            raise JournalError(f"there is no run {run_id} in the table {self._table.name}: see 'downstage runs'")
        taken = _run(item)
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
        if state in ENDED and next(self._everywhere(run_id, "leak#"), None) is None:
            self._let_expire(run_id)

    # -- steps

    def step(self, run_id: str, name: str) -> StepRecord | None:
        """One step of the run, or None if it has not begun."""
        item = self._table.get(run_id, f"step#{name}")
        return None if item is None else _step(item)

    def steps(self, run_id: str) -> Sequence[StepRecord]:
        """The steps that have begun, in the order in which they did."""
        items = sorted(self._table.query(run_id, "step#"), key=lambda item: (int(item["place"]["N"]), item["sk"]["S"]))
        return [_step(item) for item in items]

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
            item = {**_key(run_id, f"step#{step.name}"), "place": {"N": str(place)}, **_body(body)}
            if not self._table.put_while(item, _RUNS, run_id, epoch):
                raise _fenced_off(run_id)

    def forget_step(self, run_id: str, epoch: int, name: str | None, tasks: Sequence[str]) -> None:
        """Takes a step back, with what its tasks have kept; or only that. What they have kept goes first and the step
        last, so that a call cut off can be repeated.

        Partitions are emptied side by side, each by one thread: two deletes of one partition would meet at its epoch.
        """
        kept = tuple(kind + prefix for kind in ("point#", "item#", "canary#") for prefix in tasks)

        def empty(shard: int) -> None:
            for item in self._table.query(_shard(run_id, shard)):
                if item["sk"]["S"].startswith(kept):
                    self._delete(run_id, epoch, item, item["pk"]["S"], _FENCE)

        if kept:
            with ThreadPoolExecutor(_WRITERS, thread_name_prefix="forget") as writers:
                for _ in writers.map(empty, range(SHARDS)):
                    pass
        if name is not None:
            self._delete(run_id, epoch, _key(run_id, f"step#{name}"), _RUNS, run_id)

    # -- lanes

    def checkpoint(self, run_id: str, task: str, segment: int) -> Checkpoint | None:
        """The last checkpoint of one segment, or None."""
        item = self._table.get(_place(run_id, task, segment), _point(task, segment))
        return None if item is None else _checkpoint(item)

    def checkpoints(self, run_id: str, task: str) -> Sequence[Checkpoint]:
        """The last checkpoint of each segment that has one, by segment."""
        found = map(_checkpoint, self._everywhere(run_id, f"point#{task}#"))
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
        pk, sk = _place(run_id, task, checkpoint.segment), _point(task, checkpoint.segment)
        item = {**_key(pk, sk), **_body(body), **({"done": {"S": "yes"}} if checkpoint.done else {})}
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
        self._put(run_id, epoch, _place(run_id, task, key_hash), f"item#{task}#{key_hash}", body)

    def quarantined(self, run_id: str, task: str) -> Sequence[tuple[str, str]]:
        """(keyed hash, reason) of each quarantined item."""
        found = map(_read, self._everywhere(run_id, f"item#{task}#"))
        return sorted((body["key_hash"], body["reason"]) for body in found)

    def add_finding(self, run_id: str, epoch: int, task: str, finding: Mapping[str, Any]) -> None:
        """Enters a leak finding; the same one again changes nothing."""
        text = orjson.dumps(dict(finding), option=orjson.OPT_SORT_KEYS)
        name = hashlib.sha256(task.encode() + b"\0" + text).hexdigest()
        body = {"task": task, "finding": text.decode()}
        self._put(run_id, epoch, _place(run_id, task, name), f"leak#{name}", body)

    def findings(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """All leak findings of the run."""
        found = map(_read, self._everywhere(run_id, "leak#"))
        return [orjson.loads(text) for _, text in sorted((body["task"], body["finding"]) for body in found)]

    def save_canaries(self, run_id: str, epoch: int, task: str, segment: int, canaries: Sequence[str]) -> None:
        """Replaces the segment's canaries."""
        body = {"task": task, "segment": segment, "canaries": list(canaries)}
        self._put(run_id, epoch, _place(run_id, task, segment), f"canary#{task}#{segment:08}", body)

    def canaries(self, run_id: str) -> Mapping[tuple[str, int], Sequence[str]]:
        """The run's canaries by task and segment."""
        found = map(_read, self._everywhere(run_id, "canary#"))
        return {(body["task"], body["segment"]): body["canaries"] for body in found}

    def segment_canaries(self, run_id: str, task: str, segment: int) -> Sequence[str]:
        """The canaries of one segment."""
        item = self._table.get(_place(run_id, task, segment), f"canary#{task}#{segment:08}")
        canaries: list[str] = [] if item is None else _read(item)["canaries"]
        return canaries

    # -- inside

    def _next_place(self, run_id: str) -> int:
        return max((int(item["place"]["N"]) for item in self._table.query(run_id, "step#")), default=-1) + 1

    def _put(self, run_id: str, epoch: int, pk: str, sk: str, body: Mapping[str, Any]) -> None:
        if not self._table.put_while({**_key(pk, sk), **_body(body)}, pk, _FENCE, epoch):
            raise _fenced_off(run_id)

    def _delete(self, run_id: str, epoch: int, item: Item, fence_pk: str, fence_sk: str) -> None:
        key = {name: item[name] for name in ("pk", "sk")}
        if not self._table.delete_while(key, fence_pk, fence_sk, epoch):
            raise _fenced_off(run_id)

    def _everywhere(self, run_id: str, prefix: str) -> Iterator[Item]:
        for shard in range(SHARDS):
            yield from self._table.query(_shard(run_id, shard), prefix)

    def _raise_fences(self, run_id: str, epoch: int) -> None:
        """From here on only a writer with this epoch gets past. A newer successor's epoch is left as it is."""
        for shard in range(SHARDS):
            self._table.update(
                _shard(run_id, shard),
                _FENCE,
                "SET epoch = :epoch",
                {":epoch": {"N": str(epoch)}},
                only_if="attribute_not_exists(epoch) or epoch < :epoch",
            )

    def _let_expire(self, run_id: str) -> None:
        when = {":when": {"N": str(int(self._now()) + self._keep)}}

        def mark(item: Item) -> None:
            self._table.update(item["pk"]["S"], item["sk"]["S"], "SET expires = :when", when)

        places = [run_id, *(_shard(run_id, shard) for shard in range(SHARDS))]
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="expiry") as writers:
            for place in places:
                for _ in writers.map(mark, self._table.query(place)):
                    pass
        mark(_key(_RUNS, run_id))  # last: while the run is listed, all of it may be looked at


def _check_id(run_id: str) -> None:
    if "#" in run_id or run_id == _RUNS:
        raise JournalError("a run id holds no '#'")


def _shard(run_id: str, shard: int) -> str:
    return f"{run_id}#{shard:02}"


def _place(run_id: str, task: str, part: int | str) -> str:
    return _shard(run_id, zlib.crc32(f"{task}/{part}".encode()) % SHARDS)


def _point(task: str, segment: int) -> str:
    return f"point#{task}#{segment:08}"


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _body(value: Mapping[str, Any]) -> Item:
    """The JSON of a record: readable while it is small, compressed beyond that. Raises JournalError if too large."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if len(text) <= _INLINE:
        return {"body": {"S": text.decode()}}
    packed = zlib.compress(text, 6)
    if len(packed) > _LARGEST:
        raise JournalError(
            f"a record of {len(text):,} bytes does not fit into an item of the control table (400 KB): name fewer "
            "tables or buckets in one refresh, or use 'journal: sqlite'"
        )
    return {"packed": {"B": packed}}


def _read(item: Item) -> dict[str, Any]:
    body: dict[str, Any]
    if "body" in item:
        body = orjson.loads(item["body"]["S"])
        return body
    packed = item["packed"]["B"]
    body = orjson.loads(zlib.decompress(base64.b64decode(packed) if isinstance(packed, str) else bytes(packed)))
    return body


def _run(item: Item) -> RunRecord:
    body = _read(item)
    return RunRecord(
        item["sk"]["S"],
        body["environment"],
        body["kind"],
        item["state"]["S"],
        int(item["epoch"]["N"]),
        body["started"],
        item["ended"]["S"],
        body["settings"],
    )


def _step(item: Item) -> StepRecord:
    body = _read(item)
    name = item["sk"]["S"].removeprefix("step#")
    return StepRecord(name, body["state"], body["seconds"], body["detail"], body["intent"], body["result"])


def _checkpoint(item: Item) -> Checkpoint:
    body = _read(item)
    return Checkpoint(
        body["segment"],
        body["total_segments"],
        body["cursor"],
        body["done"],
        int(body["digest"], 16),
        body["counters"],
    )


def _fenced_off(run_id: str) -> RunConflict:
    return RunConflict(f"run {run_id} was taken over by another process: this one stops and writes nothing more")
