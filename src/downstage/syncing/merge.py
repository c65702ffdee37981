"""Two listings in key order become copy, delete and equal: one pass over their pages. Pure.

The order is that of code points, which is UTF-8 byte order, as S3 lists. `decide` takes what is known of both listings
and decides every key up to the last of the page that ends first; what is left over waits for the next page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from downstage.domain.plan import Compare
from downstage.ports import ObjectFacts
from downstage.syncing.left import Mark, unmarked

ARCHIVED = "archived: restore it first"
UNLISTED_ARCHIVE = "archived, which listings do not show: restore it first"
"""S3 tells of the archive tiers of INTELLIGENT_TIERING only when an object is to be copied."""

_COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_PLAIN = 34
"""The length of a quoted MD5: the ETag of a multipart upload is longer."""

Same = Callable[[ObjectFacts, ObjectFacts], bool]


class Action(StrEnum):
    """What one key needs, or what became of it."""

    COPY = "copy"
    DELETE = "delete"
    SKIP = "skip"
    FAIL = "fail"


class Operation(NamedTuple):
    """One key that is not equal. `key` is relative to both prefixes; `reason` says why it is skipped. `unchanged` and
    `extra` count the keys between the operation before it and this one that need nothing; `left` is the sum of the
    marks of the unchanged ones (see `left`)."""

    action: Action
    key: str
    source: ObjectFacts | None = None
    target: ObjectFacts | None = None
    reason: str = ""
    unchanged: int = 0
    extra: int = 0
    left: int = 0


@dataclass(slots=True)
class Side:
    """What is known of one listing and not yet decided: keys and entries side by side, from `at` on. `ended`: nothing
    comes after them."""

    keys: list[str] = field(default_factory=list)
    entries: list[ObjectFacts] = field(default_factory=list)
    at: int = 0
    ended: bool = False
    upto: str = ""

    @property
    def spent(self) -> bool:
        """Everything known is decided."""
        return self.at >= len(self.keys)


@dataclass(slots=True)
class Stretch:
    """Keys in a row that are decided, up to `last`. `unchanged`, `extra` (those that only the target has and keeps) and
    `left` come after the last operation."""

    last: str
    operations: list[Operation]
    unchanged: int
    extra: int
    left: int = 0


def decide(source: Side, target: Side, same: Same, *, delete: bool, mark: Mark = unmarked) -> Stretch:
    """Decides all that can be decided: until a side that has not ended is spent. One side at least holds something."""
    operations: list[Operation] = []
    unchanged = extra = left = 0
    marked = mark is not unmarked
    last = ""
    i, j = source.at, target.at
    ours, theirs = source.keys, target.keys
    our_end, their_end = len(ours), len(theirs)
    while True:
        if i < our_end and j < their_end:
            key, other = ours[i], theirs[j]
            if key == other:
                if same(source.entries[i], target.entries[j]):
                    unchanged += 1
                    if marked:
                        left += mark(key, target.entries[j].etag)
                else:
                    operations.append(_copy(key, source.entries[i], target.entries[j], unchanged, extra, left))
                    unchanged = extra = left = 0
                i += 1
                j += 1
                last = key
                continue
        elif i < our_end and (target.ended or ours[i] <= target.upto):
            key, other = ours[i], None
        elif j < their_end and (source.ended or theirs[j] <= source.upto):
            key, other = None, theirs[j]
        else:
            break
        if other is None or (key is not None and key < other):
            assert key is not None
            operations.append(_copy(key, source.entries[i], None, unchanged, extra, left))
            unchanged = extra = left = 0
            i += 1
            last = key
        else:
            if delete:
                operations.append(Operation(Action.DELETE, other, None, target.entries[j], "", unchanged, extra, left))
                unchanged = extra = left = 0
            else:
                extra += 1
            j += 1
            last = other
    bounds = [
        side.upto for side, spent in ((source, i == our_end), (target, j == their_end)) if spent and not side.ended
    ]
    if bounds:
        last = max(last, min(bounds))
    source.at, target.at = i, j
    return Stretch(last, operations, unchanged, extra, left)


def comparing(mode: Compare) -> Same:
    """Whether the target's object is the source's, by one of three rules.

    `etag`: size and ETag, where both ETags are plain (the MD5 of the content), else as `aws`. `aws`: the same size, and
    the source is not newer, as `aws s3 sync` has it. `size`: the same size.
    """
    return {"etag": _same_by_etag, "aws": _same_by_age, "size": _same_by_size}[mode]


def could_be_encrypted(source: ObjectFacts, target: ObjectFacts) -> bool:
    """Whether two objects differ in their ETags only, and in a way that encryption explains: an object that a key of
    KMS encrypts has an ETag that looks like an MD5 and is none."""
    return source.size == target.size and source.etag != target.etag and source.modified <= target.modified


def is_archived(entry: ObjectFacts) -> bool:
    """Whether S3 must restore the object before it can be read."""
    return entry.storage_class in _COLD and not entry.restored


def _same_by_etag(source: ObjectFacts, target: ObjectFacts) -> bool:
    if source.size != target.size:
        return False
    if source.etag == target.etag:
        return source.etag != "" or source.modified <= target.modified
    return not (_plain(source.etag) and _plain(target.etag)) and source.modified <= target.modified


def _same_by_age(source: ObjectFacts, target: ObjectFacts) -> bool:
    return source.size == target.size and source.modified <= target.modified


def _same_by_size(source: ObjectFacts, target: ObjectFacts) -> bool:
    return source.size == target.size


def _copy(
    key: str, source: ObjectFacts, target: ObjectFacts | None, unchanged: int, extra: int, left: int
) -> Operation:
    if source.storage_class in _COLD and not source.restored:
        return Operation(Action.SKIP, key, source, target, ARCHIVED, unchanged, extra, left)
    return Operation(Action.COPY, key, source, target, "", unchanged, extra, left)


def _plain(etag: str) -> bool:
    return len(etag) == _PLAIN and "-" not in etag
