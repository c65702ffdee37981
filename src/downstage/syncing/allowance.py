"""How many deletes a sync of one range may still make. What was planned is the most, however often it is cut off.

A key is counted before its delete is sent, and saved with the checkpoint, so that one that was carried out just before
a kill counts too. A key is counted once: until the cursor has passed it, it is known by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from downstage.errors import GuardRefused


class Allowance:
    """`planned` deletes in `bucket`; `state` is what `state()` gave, `deleted` what was counted without it."""

    def __init__(self, bucket: str, planned: int, state: Mapping[str, Any], deleted: int) -> None:
        self._bucket = bucket
        self._planned = planned
        self._used: int = state.get("allowed", deleted)
        self._keys: dict[str, None] = dict.fromkeys(state.get("doomed", ()))

    def take(self, key: str) -> None:
        """Counts the key. Raises GuardRefused if more than were planned would be deleted."""
        if key in self._keys:
            return
        if self._used >= self._planned:
            raise GuardRefused(
                f"refused: deleting more objects of bucket '{self._bucket}' than were planned: its source has changed "
                "since the plan; nothing more was deleted; look at the source, then sync again"
            )
        self._keys[key] = None
        self._used += 1

    def give_back(self, key: str) -> None:
        """It was not deleted."""
        self._used -= 1
        self._keys.pop(key, None)

    def passed(self, cursor: str | None, parked: Collection[str]) -> None:
        """Forgets the names of keys that nobody comes back to."""
        if cursor is not None:
            for key in [key for key in self._keys if key <= cursor and key not in parked]:
                del self._keys[key]

    def state(self) -> Mapping[str, int | Sequence[str]]:
        """For the checkpoint; keys are in it, so it is sealed."""
        return {"allowed": self._used, "doomed": list(self._keys)}
