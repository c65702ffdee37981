"""What a worker process is told, and who it is: its sessions, its keys, the check before its first write.

An order is plain data and holds no secret: the worker signs in by itself, reads the masking key by itself, and checks
who it is on both sides. Sessions and keys are kept for the life of the process; connections only for a lane's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache

from downstage.app.clock import SystemClock
from downstage.app.places import ControlPlace, JournalPlace, beating_table, open_journal
from downstage.aws.heart import LeaseWatch
from downstage.aws.http import DynamoTransport
from downstage.aws.secrets import KeyReader
from downstage.aws.session import Session
from downstage.copying.rates import Pace
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan, Rates, SearchPlan
from downstage.errors import GuardRefused, HeldByAnother, JournalError, RunConflict
from downstage.masking.compile import compile_pseudonyms, fingerprint
from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.planning import guards
from downstage.ports import Lane, RunRecord
from downstage.verify.canaries import CanaryKey
from downstage.workflow.parts import TableWork


@dataclass(frozen=True, slots=True)
class Order:
    """Everything a worker must be told. Picklable; holds names, never credentials or keys. `rates` are its share, as
    one of `lanes` that run at one time; `carrier` is the process that carries the run, and renews its lease.
    `exporter` reads exports, if the source's own role does not."""

    source: Environment
    target: Environment
    masking: MaskingPlan
    mask_fingerprint: str
    search: SearchPlan | None
    rates: Rates
    lanes: int
    journal: JournalPlace
    lease: ControlPlace | None
    carrier: str
    run_id: str
    epoch: int
    tables: tuple[TableWork, ...]
    exporter: Environment | None = None

    def table(self, lane: Lane) -> TableWork:
        """The table that a lane is of."""
        return next(table for table in self.tables if lane.task.endswith(f"/{table.target}"))


@asynccontextmanager
async def transports(*environments: Environment) -> AsyncIterator[tuple[DynamoTransport, ...]]:
    """A transport to each environment, closed at the end of the lane: connections belong to its event loop."""
    transports = tuple(DynamoTransport(session(environment)) for environment in environments)
    try:
        yield transports
    finally:
        for transport in transports:
            transport.close()


def guard(order: Order, source: Session, target: Session) -> RunRecord:
    """Before the first write of a lane: are we who the plan says, on both sides, with the mask it says, and is the run
    still ours? Gives the run. Raises GuardRefused or RunConflict."""
    if order.target.protected:
        raise GuardRefused(f"environment {order.target.name} is protected: a worker refused to write to it")
    guards.check_identity(order.source, source.caller())
    return guard_reading(order, target)


def guard_reading(order: Order, target: Session) -> RunRecord:
    """The same for a lane that only reads the target. The run is asked for last: what a successor has begun, a lane of
    its predecessor that Spark begins anew must not take for its own."""
    guards.check_identity(order.target, target.caller())
    key, *old = keys(order.source, order.masking)
    if fingerprint(order.masking, key, old) != order.mask_fingerprint:
        raise RunConflict("a worker reads another masking key than the run was started with: nothing was written")
    run = open_journal(order.journal).run(order.run_id)
    if run is None:
        raise JournalError(f"run {order.run_id} is not in the journal that its lanes were told (nothing was written)")
    if run.epoch != order.epoch:
        raise HeldByAnother(
            f"run {order.run_id} was taken over by another process: this lane does not begin (nothing was written)"
        )
    return run


def canary_key(order: Order) -> CanaryKey:
    """The key under which source addresses are named to be looked for in the target."""
    return CanaryKey(keys(order.source, order.masking)[0].derive(CanaryKey.label(order.masking.environment)))


@lru_cache(maxsize=8)
def session(environment: Environment) -> Session:
    """Signed in, once a process."""
    return Session(environment)


@lru_cache(maxsize=256)
def pace_of(run_id: str, task: str, rate: float | None) -> Pace:
    """How fast lanes of this process go, one after the other: what one has spent, the next has not. A set rate is one
    for all tables; without one each task finds its own."""
    return Pace(rate)


def shared_pace(order: Order, way: str, lane: Lane, rate: float | None) -> Pace:
    """The pace of one `way` (read, write, verify) in this process, for that lane."""
    return pace_of(order.run_id, way if rate is not None else f"{way}/{lane.task}", rate)


def this_process() -> str:
    """A name for this process that no other has at the same time."""
    return f"{socket.gethostname()}/{os.getpid()}"


def watch_lease(order: Order) -> None:
    """In a process of its own a lane must not outlive its run's lease: the process that renews it may hang."""
    if order.lease is not None and order.carrier != this_process():
        _watch(order.lease, order.target.name, order.run_id)


@lru_cache(maxsize=1)
def _watch(place: ControlPlace, environment: str, run_id: str) -> None:
    LeaseWatch(beating_table(place), environment, run_id, clock=SystemClock(), lost=lambda: os._exit(1)).start()


@lru_cache(maxsize=8)
def keys(source: Environment, plan: MaskingPlan) -> tuple[MaskKey, ...]:
    """The masking key, then those of earlier epochs."""
    reader = KeyReader(session(source), os.environ)
    return tuple(MaskKey(reader.read(reference)) for reference in (plan.key, *plan.old_keys))


@lru_cache(maxsize=8)
def masking(source: Environment, plan: MaskingPlan) -> tuple[EmailPseudonyms, KeySealer]:
    """The pseudonyms, and what seals cursors."""
    key, *old = keys(source, plan)
    return compile_pseudonyms(plan, key, old), KeySealer(key)
