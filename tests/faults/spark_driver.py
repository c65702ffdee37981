"""The real command line, whose lanes of a copy have faults in them: `python spark_driver.py copy test --engine spark`.

`FAULTS` names them (`stumble worker executor driver hang`), `MARKS` is the folder for what has struck. With `HERE` the
journal may be a file: all of Spark is on this machine then, and the endpoint has no control table. `GRACE` are the
seconds that a signal leaves, for a machine that is busy with other tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

from downstage.app import runs
from downstage.app.worker import LaneWorker
from downstage.ports import Lane, RunRecord
from downstage.workflow.parts import TableWork
from tests.faults.spark_lanes import Faulty


@contextmanager
def journal_of_here() -> Iterator[None]:
    """A Spark of this machine alone may keep its journal in a file."""
    with mock.patch.object(runs, "refuse_journal_of_here", return_value=None):
        yield


@contextmanager
def faulty(marks: Path, *faults: str, at: int = 3) -> Iterator[None]:
    """While the block runs, copies of this process have these faults in them."""
    real = LaneWorker.copy

    def copy(worker: LaneWorker, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]:
        return Faulty(real(worker, run, tables), marks, faults, os.getpid(), at)

    with mock.patch.object(LaneWorker, "copy", copy):
        yield


def main() -> None:
    """The command line."""
    from downstage.cli import interrupts
    from downstage.cli.main import main as command

    bounded = partial(interrupts.bounded, grace=float(os.environ.get("GRACE", interrupts.GRACE)))
    with (
        mock.patch.object(interrupts, "bounded", bounded),
        faulty(Path(os.environ["MARKS"]), *os.environ["FAULTS"].split(), at=int(os.environ.get("AT", "3"))),
    ):
        if "HERE" in os.environ:
            with journal_of_here():
                command()
        command()


if __name__ == "__main__":
    main()
