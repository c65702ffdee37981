"""How many deletes a sync of one range may still make. What was planned is the most, however often it is cut off.

A key is counted before its delete is sent, and saved with the checkpoint, so that one that was carried out just before
a kill counts too. A key is counted once: until the cursor has passed it, it is known by name. Each checkpoint holds
these names, and must fit into a control table's item: so many bytes of them are borne at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from downstage.errors import GuardRefused
from downstage.syncing.window import weight

MOST_WEIGHT = 96 * 1024
"""Bytes of names that are borne. Those whose answer is waited for stand in the checkpoint twice (see `deletes`)."""


class Allowance:
    """`planned` deletes in `bucket`; `state` is what `state()` gave, `deleted` what was counted without it."""

    def __init__(self, bucket: str, planned: int, state: Mapping[str, Any], deleted: int) -> None:
        self._bucket = bucket
        self._planned = planned
        self._used: int = state.get("allowed", deleted)
        self._keys: dict[str, None] = dict.fromkeys(state.get("doomed", ()))
        self._weight = sum(map(weight, self._keys))

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
        self._weight += weight(key)
        self._used += 1

    def give_back(self, key: str) -> None:
        """It was not deleted."""
        self._used -= 1
        self._forget(key)

    def passed(self, cursor: str | None, parked: Collection[str]) -> None:
        """Forgets the names of keys that nobody comes back to."""
        if cursor is not None:
            for key in [key for key in self._keys if key <= cursor and key not in parked]:
                self._forget(key)

    def is_full(self, key: str, cursor: str | None, parked: Collection[str]) -> bool:
        """Whether the key, beside those that the cursor has not passed, would make a checkpoint too large."""
        if key in self._keys or self._weight < MOST_WEIGHT:
            return False
        self.passed(cursor, parked)
        return self._weight >= MOST_WEIGHT

    def state(self) -> Mapping[str, int | Sequence[str]]:
        """For the checkpoint; keys are in it, so it is sealed."""
        return {"allowed": self._used, "doomed": list(self._keys)}

    def _forget(self, key: str) -> None:
        if key in self._keys:
            del self._keys[key]
            self._weight -= weight(key)
