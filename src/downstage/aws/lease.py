"""The lease of one environment: one run at a time, whatever machine it is on. An item of the control table.

How it is safe without trusting clocks: whoever waits for a holder to be gone watches its beat with a clock of its own
and takes over only if the beat stood still for a whole lease (and the longest request, if it is another run). The
holder counts from *before* its last renewal was sent, so it always stops first. Each acquisition has a higher epoch.

Rules: nothing personal in the item, only run ids and a host or role name; a renewal that finds another mark, or that
the lease was let go of, is lost for good; only the run that holds it may be resumed without `take_over`; the item is
never deleted, and says which run was the last to load the environment, whatever journal that run is in.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from downstage.aws.control_table import ControlTable
from downstage.aws.lease_item import PK, Seen, held_item, last_load
from downstage.errors import HeldByAnother, JournalError, LeaseLost
from downstage.ports import Clock, Holder, Item, LastLoad

SECONDS: Final = 60.0
"""How long a lease holds after its last renewal."""

BEAT: Final = 10.0
"""How often it is renewed."""

MARGIN: Final = 15.0
"""So long before the lease could expire the holder begins to stop."""

LONGEST_REQUEST: Final = 60.0
"""A request that was sent just before the holder stopped may have its effect so much later."""

_LOOK: Final = 2.0


class EnvironmentLease:
    """Implements `ports.Lease` for `environment` in `table`.

    `who` names this process to people, `place` says where only one process can be at a time (or is empty): a holder of
    the same place is known to be dead. `say` is told when a silent holder has to be waited for. `beats` is the same
    table on calls that give up within seconds: a renewal that hangs is worth less than the next one.
    """

    def __init__(
        self,
        table: ControlTable,
        environment: str,
        *,
        clock: Clock,
        who: str,
        place: str = "",
        say: Callable[[str], None] = lambda _text: None,
        beats: ControlTable | None = None,
    ) -> None:
        self._table = table
        self._beats = beats or table
        self._environment = environment
        self._clock = clock
        self._who = who
        self._place = place
        self._say = say
        self._mark = ""
        self._run_id = ""
        self._last_load = LastLoad()
        self._loading = False
        self._left = False
        self._valid_until = 0.0
        self._stop_wanted = False
        self._lock = threading.Lock()

    # -- getting it

    def acquire(self, run_id: str, *, take_over: bool = False, settle: bool = False) -> None:
        """Gets the lease for the run. May wait for as long as it takes to be sure that a silent holder is dead, or that
        what one that has parked had under way is over (with `settle`: also if that was of this very run)."""
        self._table.ensure()
        self._run_id = run_id
        mark = uuid.uuid4().hex
        while True:
            seen = self._seen()
            if seen is not None and seen.mark == mark:
                self._recognise(mark)
                return
            if seen is not None:
                self._refuse(seen, run_id, take_over)
                if seen.state == "held" and not self._dead(seen):
                    self._watch(seen, seen.run_id != run_id or settle)
                elif seen.state == "parked" and (seen.run_id != run_id or settle):
                    self._let_end(seen)
            sent = self._clock.monotonic()
            try:
                taken = self._take(seen, run_id, mark)
            except JournalError:
                now = self._seen()
                if now is None or now.mark != mark:
                    raise
                self._recognise(mark)
                return
            if taken is not None:
                self._hold(mark, sent + SECONDS)
                self._last_load = last_load(taken)
                return

    def _hold(self, mark: str, until: float) -> None:
        with self._lock:
            self._mark, self._valid_until = mark, until
            self._stop_wanted = self._left = self._loading = False

    def _recognise(self, mark: str) -> None:
        """The lease is ours by a call whose answer was lost. When that was written is not known, so it is renewed."""
        self._hold(mark, float("-inf"))
        self.beat()

    def _refuse(self, seen: Seen, run_id: str, take_over: bool) -> None:
        """Raises HeldByAnother if the environment is another run's and is not to be taken from it."""
        if seen.state == "free" or seen.run_id == run_id or take_over:
            return
        since = f"last heard of at {_instant(seen.renewed)}"
        if seen.state == "parked":
            raise HeldByAnother(
                f"{self._environment} belongs to run {seen.run_id}, which is parked ({seen.who}, {since}): go on with "
                f"'downstage resume {seen.run_id}', end it with 'downstage cancel {seen.run_id}', or start over with "
                "--take-over (nothing was written)"
            )
        raise HeldByAnother(
            f"another run of {self._environment} is going on: {seen.run_id} ({seen.who}, {since}): wait for it, or end "
            f"it with 'downstage cancel {seen.run_id}'; if it is dead, resume it, or start over with --take-over "
            "(nothing was written)"
        )

    def _dead(self, seen: Seen) -> bool:
        """Whether the holder is known to be gone without watching it."""
        return bool(self._place) and seen.place == self._place

    def _watch(self, seen: Seen, settle: bool) -> None:
        """Returns when the holder's beat has stood still long enough, and with `settle` when what it had under way is
        over too. Raises HeldByAnother if it beats."""
        patience = SECONDS + LONGEST_REQUEST if settle else SECONDS
        self._say(
            f"{self._environment} is held by {seen.who} for run {seen.run_id}: waiting {patience:.0f} s to see whether "
            "it is alive"
        )
        began = self._clock.monotonic()
        while self._clock.monotonic() - began <= patience:
            self._clock.sleep(_LOOK)
            now = self._seen()
            if now is None or now.state != "held":
                return
            if (now.mark, now.beat) != (seen.mark, seen.beat):
                raise HeldByAnother(
                    f"run {now.run_id} of {self._environment} is going on ({now.who}): wait for it, or end it with "
                    f"'downstage cancel {now.run_id}' (nothing was written)"
                )

    def _let_end(self, seen: Seen) -> None:
        """Waits out what the process that has parked may have sent just before: threads of a runner live on, and nobody
        knows by which clock it was told when."""
        self._say(
            f"run {seen.run_id} of {self._environment} was parked by {seen.who}: waiting {LONGEST_REQUEST:.0f} s until "
            "what that had under way is over"
        )
        self._clock.sleep(LONGEST_REQUEST)

    def _take(self, seen: Seen | None, run_id: str, mark: str) -> Item | None:
        """Takes the lease from a holder that is still as it was seen (or from nobody); None if it is not."""
        item = held_item(self._environment, run_id, mark, self._who, self._place, self._clock.now())
        if seen is None:
            return item if self._table.create(item) else None
        values = {f":{name}": value for name, value in item.items() if name not in ("pk", "sk", "epoch")}
        return self._table.update(
            PK,
            self._environment,
            "SET run_id = :run_id, who = :who, #place = :place, #state = :state, renewed = :renewed, beat = :beat, "
            "mark = :mark, epoch = epoch + :one REMOVE stop",
            {
                **values,
                ":one": {"N": "1"},
                ":seen_mark": {"S": seen.mark},
                ":seen_state": {"S": seen.state},
                ":seen_beat": {"N": str(seen.beat)},
            },
            only_if="mark = :seen_mark and beat = :seen_beat and #state = :seen_state",
            names={"#state": "state", "#place": "place"},
        )

    # -- keeping it

    def beat(self) -> None:
        """Renews the lease. Raises LeaseLost if somebody else has it, JournalError if that could not be asked."""
        sent = self._clock.monotonic()
        item = self._beats.update(
            PK,
            self._environment,
            "SET beat = beat + :one, renewed = :now",
            {
                ":one": {"N": "1"},
                ":now": {"N": f"{self._clock.now():.0f}"},
                ":mark": {"S": self._mark},
                ":held": {"S": "held"},
            },
            only_if="mark = :mark and #state = :held",
            names={"#state": "state"},
        )
        with self._lock:
            if item is None:
                self._valid_until = float("-inf")
            elif not self._left:  # else the answer came after it was let go of
                self._valid_until = max(self._valid_until, sent + SECONDS)
                self._stop_wanted = item.get("stop") == {"S": self._mark}
                self._last_load = last_load(item)
        self.check()

    def loading(self) -> None:
        """Enters the run as the last that has loaded the environment, before it does: once for each time that it gets
        the lease. Raises LeaseLost if somebody else has it."""
        if self._loading:
            return
        item = self._table.update(
            PK,
            self._environment,
            "SET loaded_by = :run_id ADD loads :one",
            {":run_id": {"S": self._run_id}, ":one": {"N": "1"}, ":mark": {"S": self._mark}, ":held": {"S": "held"}},
            only_if="mark = :mark and #state = :held",
            names={"#state": "state"},
        )
        with self._lock:
            if item is None:
                self._valid_until = float("-inf")
            else:
                self._last_load, self._loading = last_load(item), True
        self.check()

    @property
    def last_load(self) -> LastLoad:
        """The last load of the environment by a run that held the lease; empty if there was none."""
        with self._lock:
            return self._last_load

    def left(self) -> float:
        """Seconds until the lease could expire."""
        with self._lock:
            return self._valid_until - self._clock.monotonic()

    @property
    def stop_wanted(self) -> bool:
        """Whether somebody has asked this holder to stop."""
        with self._lock:
            return self._stop_wanted

    def check(self) -> None:
        """Raises LeaseLost if the lease could have expired, or is another's."""
        if self.left() <= 0:
            raise LeaseLost(
                f"the lease of {self._environment} could not be renewed in time, so another run may have it by now: "
                "this one stops and writes nothing more; see that DynamoDB can be reached, then resume the run"
            )

    def park(self) -> None:
        """Keeps the environment for the run, with nobody behind it."""
        self._leave("parked")

    def release(self) -> None:
        """Gives the environment up."""
        self._leave("free")

    def _leave(self, state: str) -> None:
        with self._lock:  # from here on nothing is written, whether that can be told or not
            self._left, self._valid_until = True, float("-inf")
        self._table.update(
            PK,
            self._environment,
            "SET #state = :state, renewed = :now",
            {":state": {"S": state}, ":now": {"N": f"{self._clock.now():.0f}"}, ":mark": {"S": self._mark}},
            only_if="mark = :mark",
            names={"#state": "state"},
        )

    # -- looking

    def holder(self) -> Holder | None:
        """Who has the environment, or had it last; None if nobody ever had."""
        seen = self._seen()
        if seen is None:
            return None
        silent = seen.state == "held" and self._clock.now() - seen.renewed > SECONDS + LONGEST_REQUEST
        return Holder(seen.run_id, seen.who, seen.state, _instant(seen.renewed), silent, seen.last_load)

    def ask_to_stop(self, run_id: str) -> bool:
        """Asks whoever holds the environment for this run to stop, at its next beat. False if nobody holds it."""
        seen = self._seen()
        if seen is None or seen.run_id != run_id or seen.state != "held":
            return False
        asked = self._table.update(
            PK,
            self._environment,
            "SET stop = :mark",
            {":mark": {"S": seen.mark}},
            only_if="mark = :mark",
        )
        return asked is not None

    def _seen(self) -> Seen | None:
        item = self._table.get(PK, self._environment)
        return None if item is None else Seen.of(item)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
