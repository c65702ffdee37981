"""A lane of a real copy that stands still in the middle: a page is written, and that is not recorded yet.

It waits there to be killed. Picklable: it travels to the job in a parcel, and is found there by PYTHONPATH.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from downstage.aws.http import DynamoTransport
from downstage.ports import Lane

_PATIENCE = 120.0


@dataclass(frozen=True)
class Caught:
    """Runs `work` on lanes. The first lane that comes to its `at`-th write marks that in the folder, under the name of
    the `stage`, and goes no further. A stage has one such lane, however often its lanes are run."""

    work: Callable[[Lane], None]
    marks: Path
    stage: str
    at: int = 1

    def __call__(self, lane: Lane) -> None:
        """Does the lane, or stands still in it."""
        post, writes = DynamoTransport.post, 0

        async def trapped(transport: DynamoTransport, operation: str, *args: Any, **named: Any) -> Any:
            nonlocal writes
            answer = await post(transport, operation, *args, **named)
            writes += operation == "BatchWriteItem"
            if operation == "BatchWriteItem" and writes == self.at and self._is_first():
                threading.Event().wait(_PATIENCE)
                raise AssertionError("nobody has killed this lane")
            return answer

        with mock.patch.object(DynamoTransport, "post", trapped):
            self.work(lane)

    def _is_first(self) -> bool:
        try:
            mark_of(self.marks, self.stage).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def mark_of(marks: Path, stage: str) -> Path:
    """The file that says that a lane of this stage stands still."""
    return marks / f"{stage}.caught"
