"""The real command line as a launcher of Glue runs, which looks twice a second: `python glue_driver.py refresh test …`.

`STAGE` names what is going to happen; a lane of its copy stands still then (`glue_lanes`), and `MARKS` is the folder
where that is marked. Without `STAGE` nothing happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from downstage.app.worker import LaneWorker
from downstage.engines import glue
from downstage.ports import Lane, RunRecord
from downstage.workflow.parts import TableWork
from tests.faults.glue_lanes import Caught


def main() -> None:
    """The command line."""
    from downstage.cli.main import main as command

    glue.POLL = 0.5  # type: ignore[misc]
    if os.environ.get("STAGE"):
        real, stage, marks = LaneWorker.copy, os.environ["STAGE"], Path(os.environ["MARKS"])

        def copy(worker: LaneWorker, run: RunRecord, tables: Sequence[TableWork]) -> Callable[[Lane], None]:
            return Caught(real(worker, run, tables), marks, stage)

        LaneWorker.copy = copy  # type: ignore[assignment, method-assign]
    command()


if __name__ == "__main__":
    main()
