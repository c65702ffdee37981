"""Two listings in key order become copy, delete and equal: one pass, constant memory. Pure.

The order is UTF-8 byte order, as S3 lists. A listing that is not strictly increasing would make the merge delete
what it must keep, so it ends the merge with an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from downstage.errors import VerificationFailed
from downstage.ports import ObjectFacts

LARGEST_COPY = 5 * 1024**3
_COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class Action(StrEnum):
    """What one key needs."""

    COPY = "copy"
    DELETE = "delete"
    EQUAL = "equal"
    EXTRA = "extra"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Difference:
    """One key and what it needs. `reason` says why a key is skipped."""

    action: Action
    key: str
    source: ObjectFacts | None = None
    reason: str = ""


def merge(source: Iterable[ObjectFacts], target: Iterable[ObjectFacts], *, delete: bool) -> Iterator[Difference]:
    """Every key of both listings, in order. A key that only the target has is DELETE, or EXTRA without `delete`.

    Raises VerificationFailed if a listing is out of order.
    """
    left, right = _ordered(source), _ordered(target)
    ours, theirs = next(left, None), next(right, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and _place(ours) < _place(theirs)):
            assert ours is not None
            yield _copy(ours)
            ours = next(left, None)
        elif ours is None or _place(theirs) < _place(ours):
            yield Difference(Action.DELETE if delete else Action.EXTRA, theirs.key)
            theirs = next(right, None)
        else:
            yield Difference(Action.EQUAL, ours.key, ours) if same(ours, theirs) else _copy(ours)
            ours, theirs = next(left, None), next(right, None)


def same(source: ObjectFacts, target: ObjectFacts) -> bool:
    """Whether the target's object is the source's: equal or plain ETags decide, else size and time."""
    if source.size != target.size:
        return False
    if source.etag == target.etag or (_plain(source.etag) and _plain(target.etag)):
        return source.etag == target.etag
    return source.modified <= target.modified


def _copy(source: ObjectFacts) -> Difference:
    if source.storage_class in _COLD:
        return Difference(Action.SKIP, source.key, source, "archived: restore it first")
    if source.size > LARGEST_COPY:
        return Difference(Action.SKIP, source.key, source, "larger than 5 GB")
    return Difference(Action.COPY, source.key, source)


def _plain(etag: str) -> bool:
    """An ETag that is the MD5 of the content, not of a multipart upload."""
    return "-" not in etag


def _place(entry: ObjectFacts) -> bytes:
    return entry.key.encode("utf-8", "surrogatepass")


def _ordered(listing: Iterable[ObjectFacts]) -> Iterator[ObjectFacts]:
    last: bytes | None = None
    for entry in listing:
        place = _place(entry)
        if last is not None and place <= last:
            raise VerificationFailed("a bucket's listing is not in key order: nothing can be concluded from it")
        last = place
        yield entry
