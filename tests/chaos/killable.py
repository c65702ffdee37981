"""The real command line with a trap in it: `python -m tests.chaos.killable refresh test …` dies by SIGKILL at a moment.

`CHAOS_MOMENT` holds it, `CHAOS_TRACE` names a file that is told what was done: each record of a step that is written,
each deletion that AWS has answered, and the moment itself when it has come. The product knows nothing of this: what is
wrapped are the journals' `save_step` and botocore's calls. Worker processes have no trap; they end with their parent.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Any

from botocore.client import BaseClient

from downstage.journals.dynamodb import DynamoJournal
from downstage.journals.sqlite import SqliteJournal
from downstage.ports import StepRecord
from tests.chaos.moments import Moment

_DELETIONS = {"DeleteTable": "TableName", "DeleteDomain": "DomainName", "DeleteElasticsearchDomain": "DomainName"}


class Trap:
    """Follows the steps and strikes once."""

    def __init__(self, moment: Moment | None, trace: Path) -> None:
        self._moment = moment
        self._trace = trace
        self._lock = threading.RLock()
        self._running: set[str] = set()
        self._calls = 0

    def set(self) -> None:
        """Wraps what tells of the steps."""
        for owner, name, wrap in (
            (SqliteJournal, "save_step", self._saving),
            (DynamoJournal, "save_step", self._saving),
            (BaseClient, "_make_api_call", self._calling),
        ):
            setattr(owner, name, wrap(getattr(owner, name)))

    def _saving(self, save: Any) -> Any:
        @functools.wraps(save)
        def saved(journal: Any, run_id: str, epoch: int, step: StepRecord) -> None:
            if step.state == "done":
                self._at(step.name, "unrecorded")
            save(journal, run_id, epoch, step)
            self._told(step=step.name, state=step.state)
            if step.state == "done":
                self._running.discard(step.name)
                self._at(step.name, "recorded")
                return
            if step.state == "running" and step.name not in self._running:
                self._running.add(step.name)
                self._later(step.name)
                self._at(step.name, "begun")
            if step.intent:
                self._at(step.name, "intent")

        return saved

    def _calling(self, call: Any) -> Any:
        @functools.wraps(call)
        def called(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
            answer = call(client, operation, arguments)
            if operation in _DELETIONS:
                self._told(deleted=arguments[_DELETIONS[operation]])
            if self._moment is not None and self._moment.step in self._running and self._is_work(arguments):
                self._calls += 1
                self._at(self._moment.step, f"call:{self._calls}")
            return answer

        return called

    @staticmethod
    def _is_work(arguments: dict[str, Any]) -> bool:
        """Records and the lease are calls too, where they are kept in AWS."""
        return "downstage" not in str(arguments.get("TableName", ""))

    def _later(self, step: str) -> None:
        """Strikes after a while, if the step is still running."""
        if self._moment is None or self._moment.step != step or not self._moment.place.startswith("while:"):
            return

        def due() -> None:
            with self._lock:
                if step in self._running:
                    self._strike()

        timer = threading.Timer(float(self._moment.place.partition(":")[2]), due)
        timer.daemon = True
        timer.start()

    def _at(self, step: str, place: str) -> None:
        if self._moment == Moment(step, place):
            self._strike()

    def _strike(self) -> None:
        self._told(killed=str(self._moment))
        os.kill(os.getpid(), signal.SIGKILL)

    def _told(self, **what: str) -> None:
        with self._lock, self._trace.open("a", encoding="utf-8") as trace:
            trace.write(json.dumps(what) + "\n")


if multiprocessing.parent_process() is None and "CHAOS_TRACE" in os.environ:
    wanted = os.environ.get("CHAOS_MOMENT")
    Trap(Moment.parse(wanted) if wanted else None, Path(os.environ["CHAOS_TRACE"])).set()

if __name__ == "__main__":
    from downstage.cli.main import main

    main()
