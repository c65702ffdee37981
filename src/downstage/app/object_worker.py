"""The lanes of a bucket sync in a worker process: the target's session, our own wire, lines told to whoever shows them.

As in `app.worker`, an order holds no secret and no key of an object, and before anything else a lane makes sure who it
is on both sides. It unseals its ranges by itself, and what it tells of objects is redacted before it leaves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from downstage.app.object_lines import Teller, listening
from downstage.app.orders import Order, guard, masking, session, watch_lease
from downstage.app.places import open_journal
from downstage.app.worker import LaneWorker
from downstage.aws.objects import S3Objects
from downstage.aws.session import Session
from downstage.console.redaction import redact
from downstage.domain.events import Event
from downstage.domain.plan import BucketPair
from downstage.masking.email import EmailPseudonyms
from downstage.masking.nested import NestedMasker
from downstage.ports import Lane, ObjectTransfer, RunRecord
from downstage.syncing.keys import KeyMasker
from downstage.workflow.object_lanes import ObjectTools, object_lane
from downstage.workflow.parts import ObjectWork

_TELL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class ObjectOrder:
    """Everything a worker must be told. Picklable. `lines` is where it tells of its operations."""

    order: Order
    works: tuple[ObjectWork, ...]
    lines: str
    stop_at: float | None

    def work(self, lane: Lane) -> ObjectWork:
        """The pair that a lane is of."""
        return next(work for work in self.works if lane.task.endswith(f"/{work.pair.target.name}"))


@dataclass(frozen=True, slots=True)
class ObjectWorker:
    """Implements `workflow.parts.ObjectLanes` for engines that run lanes on this machine."""

    worker: LaneWorker

    @contextmanager
    def sync(
        self, run: RunRecord, works: Sequence[ObjectWork], emit: Callable[[Event], None], stop_at: float | None
    ) -> Iterator[Callable[[Lane], None]]:
        """The function that syncs one lane, while `emit` is told what the lanes do."""
        with listening(emit) as lines:
            yield partial(run_lane, ObjectOrder(self.worker.order(run, ()), tuple(works), lines, stop_at))


def run_lane(order: ObjectOrder, lane: Lane) -> None:
    """Syncs what is left of one lane."""
    plan = order.order
    source, target = session(plan.source), session(plan.target)
    run = guard(plan, source, target)
    watch_lease(plan)
    pseudonyms, sealer = masking(plan.source, plan.masking)
    journal = open_journal(plan.journal)
    work = order.work(lane)
    with _told(order.lines) as emit:
        tools = ObjectTools(
            run=run,
            journal=journal,
            transfer=transfer_for(target, plan.source.region, work.pair),
            sealer=sealer,
            masker=masker_for(pseudonyms),
            redact=redact,
            emit=emit,
        )
        object_lane(tools, work, order.stop_at, lane)


def transfer_for(target: Session, source_region: str, pair: BucketPair) -> ObjectTransfer:
    """The hot calls of one pair. They belong to the event loop that they are first used on."""
    return S3Objects(target, source_region, options=pair.options)


def masker_for(pseudonyms: EmailPseudonyms) -> KeyMasker:
    """What makes a key free of addresses: as the tables' texts are."""
    return NestedMasker(pseudonyms.replace, pseudonyms.is_kept).text


@contextmanager
def _told(lines: str) -> Iterator[Callable[[Event], None]]:
    """Tells events as they come, a few times a second."""
    teller = Teller(lines)
    lock = threading.Lock()
    ended = threading.Event()

    def emit(event: Event) -> None:
        with lock:
            teller.emit(event)

    def flush() -> None:
        while not ended.wait(_TELL_SECONDS):
            with lock:
                teller.flush()

    flusher = threading.Thread(target=flush, name="sync-tell", daemon=True)
    flusher.start()
    try:
        yield emit
    finally:
        ended.set()
        flusher.join()
        teller.close()
