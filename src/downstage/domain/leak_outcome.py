"""What the search for addresses found: places and keyed hashes, never an address."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeakPlace:
    """Where an address was found that is neither kept nor a pseudonym of ours: never the address itself."""

    where: str
    path: str
    layers: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class DetailsSample:
    """Of how many of a bucket's objects the leak scan looked at metadata and tags."""

    bucket: str
    looked: int
    objects: int


@dataclass(frozen=True, slots=True)
class LeakOutcome:
    """The leak scan: how much was looked at, how many findings there are, and the first few of them.

    `looked_for` are the canaries: digests of source addresses that were looked for; `canaries_found` of the `found` are
    such. With none to look for, that none was found says nothing.
    """

    scanned_items: int = 0
    scanned_keys: int = 0
    scanned_documents: int = 0
    found: int = 0
    places: tuple[LeakPlace, ...] = ()
    scanned_indexes: int = 0
    details: tuple[DetailsSample, ...] = ()
    looked_for: int = 0
    canaries_found: int = 0

    @property
    def scanned(self) -> int:
        """Everything looked at."""
        return self.scanned_items + self.scanned_keys + self.scanned_documents
