"""What a spill says of one table: how far a segment is read, how many items differ, and each that does.

Rules: no field holds item data; digests are covered, keys sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Side(IntEnum):
    """Of which table a record is."""

    SOURCE = 0
    TARGET = 1


@dataclass(frozen=True, slots=True)
class Survey:
    """How far one segment of one side is read. `items` are recorded, `left_out` expired or not to be masked; `digest`
    is the sum over the recorded ones; `cursor` is sealed."""

    cursor: str | None = None
    done: bool = False
    digest: int = 0
    items: int = 0
    left_out: int = 0
    pages: int = 0
    unmaskable: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items differ: those that only the source has, only the target has, or both, in another form."""

    missing: int = 0
    extra: int = 0
    differing: int = 0

    @property
    def all(self) -> int:
        """All of them."""
        return self.missing + self.extra + self.differing


@dataclass(frozen=True, slots=True)
class Difference:
    """One item that was not the same on both sides. Digests are covered, keys sealed; None where there is none.

    `source_now` and `target_now` are what a second look, by key, has found. `twins`: several items of the source have
    this key after masking. `segment` is the source's.
    """

    id: int
    name: bytes
    twins: bool
    segment: int | None
    source_digest: bytes | None
    target_digest: bytes | None
    source_key: str | None
    target_key: str | None
    reread: bool
    quarantined: bool
    source_now: bytes | None
    target_now: bytes | None
    verdict: str
    action: str
    expected: bytes | None
    mended: bool
