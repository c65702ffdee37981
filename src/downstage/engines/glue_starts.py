"""What was asked of AWS for a run, written down before it is asked: StartJobRun has no token that makes it idempotent.

Beside a run's parcels lies, for each epoch, the list of the starts that its launcher asked for: when, for which parcel,
and as which Glue run, once AWS has said so. Names and instants, no more. A run may begin that nobody sees, because the
launcher died while it asked, or AWS shows it late; so whoever resumes the run claims the parcels of all earlier epochs:
a job that comes for one finds it taken, and does nothing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from downstage.engines.parcel import claim_key
from downstage.errors import Unreachable
from downstage.ports.glue import Parcels

WITHDRAWN: Final = "withdrawn by epoch "
"""How the claim of a parcel begins that nobody is to carry out any more; any other holds the id of a Glue run."""


@dataclass(frozen=True, slots=True)
class Start:
    """A start that was asked for at the ISO instant `asked`; `glue_run` is empty until AWS has said which run it is."""

    parcel: str
    asked: str
    glue_run: str = ""


class Starts:
    """The list of one epoch of one run; `folder` is where its parcels lie, and ends with '/'. One for all engines of a
    process: they write the same file."""

    def __init__(self, parcels: Parcels, folder: str, epoch: int, now: Callable[[], float]) -> None:
        self._parcels = parcels
        self._folder = folder
        self._epoch = epoch
        self._now = now
        self._lock = threading.Lock()
        self._asked: dict[str, Start] = {}
        self._withdrawn = False

    def intend(self, parcel: str) -> None:
        """Writes down that a run for this parcel is about to be asked for."""
        asked = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._keep(Start(parcel, asked))

    def began(self, parcel: str, glue_run: str) -> None:
        """Writes down which run it is. That it cannot be is no reason to end the run, which says so itself when it
        claims the parcel."""
        with suppress(Unreachable):
            self._keep(Start(parcel, self._asked[parcel].asked, glue_run))

    def withdraw_earlier(self) -> None:
        """Claims what earlier epochs asked for, once a process: of that nothing begins any more. What a run has claimed
        before stays that run's."""
        with self._lock:
            if self._withdrawn:
                return
            for epoch in range(1, self._epoch):
                for start in self._of(epoch):
                    self._parcels.claim(claim_key(start.parcel), f"{WITHDRAWN}{self._epoch}".encode())
            self._withdrawn = True

    def _keep(self, start: Start) -> None:
        with self._lock:
            self._asked[start.parcel] = start
            content = json.dumps([asdict(one) for one in self._asked.values()], indent=1)
            self._parcels.put(starts_key(self._folder, self._epoch), content.encode())

    def _of(self, epoch: int) -> list[Start]:
        """What that epoch asked for; nothing if it wrote nothing that we can read. Other places than ours are not
        touched, whoever wrote them into the list."""
        content = self._parcels.get(starts_key(self._folder, epoch))
        if content is None:
            return []
        try:
            told = [Start(**one) for one in json.loads(content)]
        except (ValueError, TypeError):
            return []
        return [start for start in told if start.parcel.startswith(self._folder)]


def starts_key(folder: str, epoch: int) -> str:
    """Where the list of an epoch lies."""
    return f"{folder}{epoch}.starts.json"
