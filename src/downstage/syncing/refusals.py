"""When copies that S3 refuses are no single object's matter: many in a row, or more than can be set aside.

One that is refused is set aside and looked at again; a sync that is refused everything must end, and say why.
"""

from __future__ import annotations

from downstage.errors import AwsError
from downstage.ports import CopyResult
from downstage.syncing.task import RangeTask

_IN_A_ROW = 50


class Refusals:
    """Of one range; at most `bearable` keys may be set aside."""

    def __init__(self, task: RangeTask, bearable: int) -> None:
        self._task = task
        self._bearable = bearable
        self._in_a_row = 0

    def none(self) -> None:
        """A copy was not refused."""
        self._in_a_row = 0

    def check(self, result: CopyResult, set_aside: int) -> None:
        """One was, and so many are set aside now. Raises AwsError if that is enough."""
        own = result.refusal in ("changed", "gone")
        self._in_a_row = 0 if own else self._in_a_row + 1
        if self._in_a_row >= _IN_A_ROW or set_aside > self._bearable:
            hint = "; allow it in the role's policy, or set 'tags: skip'" if result.code == "AccessDenied" else ""
            if self._task.listed is not None and own:
                hint = "; too much has changed since the inventory was made: sync with a newer one, or without"
            raise AwsError(
                f"bucket {self._task.pair.target.name}: S3 refuses one copy after the other ({result.code}){hint}; "
                "what was copied stands",
                result.code,
            )
