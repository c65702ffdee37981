"""The Glue engine: lanes as one run of an AWS Glue job, a Spark application that nobody here has to look after.

What is to be done goes as a sealed parcel to the launcher's bucket, the job carries it out with the engine `spark`, and
its sealed result grows there as lanes end. Nothing is started twice: that a start is asked for is written down first
(`glue_starts`), the answer to one that was lost is found by looking for the run that carries the parcel's name, and
should two begin all the same, the first to claim the parcel carries it out. A run that an earlier epoch of ours left is
ended first: whatever it still saved would be refused. Anybody else's run is left alone, and nothing begins beside it.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from downstage.domain.glue import TOGETHER, GlueRun
from downstage.engines.glue_starts import WITHDRAWN, Starts
from downstage.engines.parcel import Result, Work, claim_key, pack, result_key, unpack_result
from downstage.errors import ConfigError, CredentialsError, DownstageError, HeldByAnother, RunConflict, Unreachable
from downstage.ports import Clock, Lane, Sealer
from downstage.ports.glue import GlueJobs, Parcels

PARCEL, RUN, EPOCH = "--downstage-parcel", "--downstage-run", "--downstage-epoch"

LONGEST_ARGUMENTS: Final = 250_000
"""Bytes; AWS takes 260 KB of arguments, with those that the job has by itself."""

POLL: Final = 10.0
_STARTS = 3
_LOOKS = 6
_LOOK = 5.0
_MISSED = 30
_ENDING = 900.0
_SETTLING = 120.0
_PATIENCE = 5.0
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True, slots=True)
class GlueOrder:
    """For which run lanes are carried out, and how: `arguments` are what our script needs besides the parcel; `at_once`
    lanes go at one time; `patience` is how many seconds a run may take, waiting included; `where` is the region;
    parcels lie in `folder`, which ends with '/'. `first_line` is what may be repeated of AWS's words: they come out of
    the job's logs.
    """

    job: str
    run_id: str
    epoch: int
    at_once: int
    folder: str
    bucket: str
    where: str
    arguments: Mapping[str, str]
    patience: float
    first_line: Callable[[str], str]


class GlueEngine:
    """Implements `ports.Engine`. `ready` is called before anything begins: it gives the arguments that the job has by
    itself, and raises if the job is not as it was deployed. `starts` is shared by the engines of one process."""

    def __init__(
        self,
        jobs: GlueJobs,
        parcels: Parcels,
        sealer: Sealer,
        order: GlueOrder,
        clock: Clock,
        ready: Callable[[], Mapping[str, str]],
        starts: Starts,
    ) -> None:
        self._jobs = jobs
        self._parcels = parcels
        self._sealer = sealer
        self._order = order
        self._clock = clock
        self._ready = ready
        self._starts = starts
        self._stopped = threading.Event()
        self._under_way: str | None = None

    def run(self, work: Callable[[Lane], None], lanes: Sequence[Lane]) -> Iterator[Lane]:
        """Lanes as they end, told of at the next look. Raises DownstageError for a run that fails or that AWS ends,
        and after `stop`; RunConflict if somebody else's run is active; HeldByAnother if a later epoch has withdrawn
        what this one asked for; what `ready` raises."""
        if not lanes:
            return
        self._go_on()
        by_itself = self._ready()
        parcel = self._name(lanes)
        arguments = self._arguments(by_itself, parcel)
        self.clear_the_way()  # what is refused leaves nothing in the bucket
        self._parcels.put(parcel, pack(self._sealer, parcel, Work(work, tuple(lanes), self._order.at_once)))
        self._starts.intend(parcel)
        try:
            self._under_way = self._begin(arguments)
            self._starts.began(parcel, self._under_way)
            yield from self._follow(parcel, len(lanes))
        finally:
            left, self._under_way = self._under_way, None
            if left is not None:
                with suppress(DownstageError):  # whoever cannot be told ends with the lease
                    self._jobs.stop(left)

    def stop(self) -> None:
        """Has AWS end the run; does not wait for long."""
        self._stopped.set()
        running = self._under_way
        if running is not None:
            asking = threading.Thread(target=self._ask_to_stop, args=(running,), name="glue-stop", daemon=True)
            asking.start()
            asking.join(_PATIENCE)

    def _ask_to_stop(self, running: str) -> None:
        with suppress(DownstageError):
            self._jobs.stop(running)

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise DownstageError("the lanes were stopped: resume the run")

    # -- beginning

    def clear_the_way(self, *, of_others: bool = True) -> None:
        """Ends what earlier epochs of this run left, begun or about to begin. Raises RunConflict for a run that is not
        ours. Where the way need not be free `of_others`, theirs are let be: whoever starts one looks again."""
        self._starts.withdraw_earlier()
        deadline = self._clock.monotonic() + _ENDING
        told: set[str] = set()
        while True:
            others = [run for run in self._jobs.runs() if not run.ended and not self._is_of_now(run)]
            if not of_others:
                others = [run for run in others if self._is_ours(run)]
            if not others:
                return
            for run in others:
                if not self._is_ours(run) or _epoch(run) > self._order.epoch:
                    raise in_the_way(self._order.job, run)
                if run.run_id not in told:
                    told.add(run.run_id)
                    self._jobs.stop(run.run_id)
            if self._clock.monotonic() > deadline:
                raise DownstageError(
                    f"Glue run {others[0].run_id}, which an earlier attempt left, does not end: see the job "
                    f"{self._order.job}, then resume the run"
                )
            self._clock.sleep(POLL)
            self._go_on()

    def _is_of_now(self, run: GlueRun) -> bool:
        """Whether it is this run's in this epoch: buckets are synced beside the tables."""
        return self._is_ours(run) and _epoch(run) == self._order.epoch

    def _is_ours(self, run: GlueRun) -> bool:
        return run.arguments.get(RUN) == self._order.run_id

    def _name(self, lanes: Sequence[Lane]) -> str:
        """The key of the parcel, which tells the epoch and the task."""
        order = self._order
        task = re.sub(r"[^A-Za-z0-9]+", "-", lanes[0].task.partition("/")[0])
        content = hashlib.sha256(repr((tuple(lanes), self._clock.now())).encode()).hexdigest()[:12]
        return f"{order.folder}{order.epoch}-{task}-{content}.parcel"

    def _arguments(self, by_itself: Mapping[str, str], parcel: str) -> dict[str, str]:
        """All that the run is given: where AWS's words differ, a run's arguments may replace the job's own, one by one
        or altogether. Raises ConfigError if that is more than AWS takes."""
        order = self._order
        arguments = {
            **by_itself,
            **order.arguments,
            PARCEL: f"s3://{order.bucket}/{parcel}",
            RUN: order.run_id,
            EPOCH: str(order.epoch),
        }
        size = sum(len(name) + len(value) for name, value in arguments.items())
        if size > LONGEST_ARGUMENTS:
            raise ConfigError(
                f"the Glue job's arguments would be {size:,} bytes long, AWS takes {LONGEST_ARGUMENTS:,}: shorten the "
                "environments' search_endpoints"
            )
        return arguments

    def _begin(self, arguments: Mapping[str, str]) -> str:
        """Starts the run, or finds that it was. Raises Unreachable if neither can be told."""
        lost, until = 0, self._clock.monotonic() + _SETTLING
        while True:
            try:
                return self._jobs.start(arguments)
            except RunConflict:  # what is in the way may be the run whose start had no answer
                found = self._look_for(arguments[PARCEL]) if lost else None
                if found is None and not self._waits_for_room(until):
                    raise
            except Unreachable:
                lost += 1
                found = self._look_for(arguments[PARCEL])
                if found is None and lost == _STARTS:
                    raise
            if found is not None:
                return found

    def _waits_for_room(self, until: float) -> bool:
        """Waits for a look: AWS may show a run as ended before another may take its place. Not after `until`, nor if as
        many are active as may be; a look that says nothing is as good as any."""
        active = 0
        with suppress(Unreachable):
            active = sum(not run.ended for run in self._jobs.runs())
        if active >= TOGETHER or self._clock.monotonic() > until:
            return False
        self._clock.sleep(POLL)
        self._go_on()
        return True

    def _look_for(self, parcel: str) -> str | None:
        for _ in range(_LOOKS):
            with suppress(Unreachable):
                for run in self._jobs.runs():
                    if run.arguments.get(PARCEL) == parcel:
                        return run.run_id
            self._go_on()
            self._clock.sleep(_LOOK)
        return None

    # -- waiting

    def _follow(self, parcel: str, lanes: int) -> Iterator[Lane]:
        deadline = self._clock.monotonic() + self._order.patience
        told = missed = 0
        followed: set[str] = set()
        while True:
            run_id = self._under_way or ""
            try:
                run = self._jobs.run(run_id)  # first the state: what an ended run left is its last word
                result = self._result(parcel)
                carrier = self._carrier(parcel) if run.ended else None
                missed = 0
            except (Unreachable, CredentialsError) as error:  # which may be renewed beside us (SSO, a token's file)
                missed += 1
                if missed > _MISSED:
                    raise type(error)(f"{error}; then resume the run, whose Glue run {run_id} ends by itself") from None
                run, result, carrier = GlueRun(run_id, "unknown"), Result(), None
            for lane in result.ended[told:]:
                told += 1
                yield lane
            if run.ended:
                followed.add(run.run_id)
                if carrier is not None and carrier not in followed:
                    self._under_way = carrier
                    continue
                self._under_way = None
                self._judge(run, result, lanes - told)
                return
            self._go_on()
            if self._clock.monotonic() > deadline:
                detail = _in_brackets(self._order.first_line(run.detail))
                raise DownstageError(
                    f"Glue run {run.run_id} has been {run.state} for too long{detail}: see its log "
                    f"({log_link(run.run_id, self._order.where)}), then resume the run"
                )
            self._clock.sleep(POLL)
            self._go_on()

    def _judge(self, run: GlueRun, result: Result, left: int) -> None:
        """What became of a run that has ended. Raises unless all is well."""
        if result.error is not None:
            raise result.error
        self._go_on()
        if run.state == "SUCCEEDED" and not left:
            return
        why = self._order.first_line(run.message) or (
            "it left lanes undone" if run.state == "SUCCEEDED" else "AWS gives no reason"
        )
        raise DownstageError(
            f"Glue run {run.run_id} ended as {run.state}: {why}; its log: {log_link(run.run_id, self._order.where)}; "
            "then resume the run"
        )

    def _result(self, parcel: str) -> Result:
        key = result_key(parcel)
        packed = self._parcels.get(key)
        return Result() if packed is None else unpack_result(self._sealer, key, packed)

    def _carrier(self, parcel: str) -> str | None:
        """The run that claimed the parcel. Raises HeldByAnother if a later epoch did, so that none carries it out."""
        claimed = self._parcels.get(claim_key(parcel))
        told = None if claimed is None else claimed.decode("ascii", "replace")
        if told is not None and told.startswith(WITHDRAWN):
            raise HeldByAnother(
                f"run {self._order.run_id} was resumed meanwhile, by whom what this process had asked for was {told}: "
                f"follow it with 'downstage status {self._order.run_id}'"
            )
        return told


def in_the_way(job: str, run: GlueRun) -> RunConflict:
    """Says whose a run is, beside which nothing begins."""
    theirs = run.arguments.get(RUN)
    whose = f"of downstage run {theirs}" if theirs else "that Downstage did not start"
    how = f"with 'downstage glue stop ENV {theirs}'" if theirs else "in AWS's console"
    return RunConflict(
        f"job {job} has an active run, {run.run_id}, {whose}: wait for its end, or end it {how}; nothing was started"
    )


def log_link(run_id: str, region: str) -> str:
    """Where AWS shows what the run's driver wrote."""
    host = next((host for part, host in _CONSOLES.items() if region.startswith(part)), "console.aws.amazon.com")
    console = f"https://{host}/cloudwatch/home"
    return f"{console}?region={region}#logsV2:log-groups/log-group/$252Faws-glue$252Fjobs$252Ferror/log-events/{run_id}"


def _epoch(run: GlueRun) -> int:
    text = run.arguments.get(EPOCH, "")
    return int(text) if text.isdecimal() else 0


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""
