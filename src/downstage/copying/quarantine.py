"""The quarantine of one table: items that cannot be masked, or that the target refuses, and how many of them are borne.

An entry is a keyed hash of the item's key and a reason, never content, and is made once, however often its page is
redone. What is counted is the journal's distinct entries, so the limit holds over all lanes and after every retry.
A worker looks again after its equal share of what was left to the limit when it last looked, whatever number of lanes
it has carried meanwhile: the journal is asked a few times, not once an item nor once a lane, and the workers together
stop before they have entered twice the limit. The copy step counts again when all lanes have ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from downstage.errors import TooManyQuarantined
from downstage.ports import Journal, RawItem

_REASONS = 5


class Quarantine:
    """Enters items of one task, for all lanes that one worker carries in turn. `limit` is how many entries of the task
    are borne; `workers` how many workers may enter some at one time. `key_hash` gives the keyed hash of a source item's
    key."""

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        epoch: int,
        task: str,
        *,
        limit: int | None,
        workers: int,
        key_hash: Callable[[RawItem], str],
    ) -> None:
        self._journal = journal
        self._run_id = run_id
        self._epoch = epoch
        self._task = task
        self._limit = limit
        self._workers = workers
        self._key_hash = key_hash
        self._unseen = 0

    def __call__(self, item: RawItem, reason: str) -> None:
        """Enters the source item. Raises TooManyQuarantined if that is one too many."""
        self._journal.quarantine(self._run_id, self._epoch, self._task, self._key_hash(item), reason)
        if self._limit is None:
            return
        self._unseen -= 1
        if self._unseen <= 0:
            entries = self._journal.quarantined(self._run_id, self._task)
            refuse_too_many(self._task, entries, self._limit)
            self._unseen = (self._limit - len(entries)) // self._workers


def refuse_too_many(task: str, entries: Sequence[tuple[str, str]], limit: int | None) -> None:
    """Raises TooManyQuarantined if a task has more `entries` (keyed hash, reason) than `limit`."""
    if limit is None or len(entries) <= limit:
        return
    counted = Counter(reason for _, reason in entries)
    reasons = [f"{count:,} × {reason}" for reason, count in sorted(counted.items(), key=lambda one: (-one[1], one[0]))]
    more = f"; {len(reasons) - _REASONS} further reasons" if len(reasons) > _REASONS else ""
    table = task.partition("/")[2]
    raise TooManyQuarantined(
        f"table {table}: {len(entries):,} items were quarantined, more than the {limit:,} of 'max_quarantine' "
        f"({'; '.join(reasons[:_REASONS])}{more}): mend them in the source or mend the masking and start a new "
        "refresh, or raise 'refresh.max_quarantine' and resume the run"
    )
