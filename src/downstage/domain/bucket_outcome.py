"""What became of buckets and of search indexes. Counts and redacted names only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BucketOutcome:
    """One bucket: what the sync did, and what a fresh comparison of both listings found still to do.

    That is `differing`, None until the comparison was made; an object that was `skipped` or has `failed` (S3 would not
    copy or delete it) is not counted in it, nor one that has `changed` in the source since the sync began. `contents`
    are the objects whose contents were compared, `altered` those of them that are not the source's. `renamed` are
    objects whose keys held an address. `names` are the first few that failed, differ or changed, redacted.
    """

    source: str
    target: str
    copied: int = 0
    deleted: int = 0
    unchanged: int = 0
    skipped: int = 0
    bytes_copied: int = 0
    differing: int | None = None
    skipped_reasons: tuple[tuple[str, int], ...] = ()
    failed: int = 0
    failed_reasons: tuple[tuple[str, int], ...] = ()
    renamed: int = 0
    changed: int = 0
    contents: int = 0
    altered: int = 0
    extra: int = 0
    foreign: bool = False
    compared_by: str = ""
    names: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """A fresh comparison was made and found nothing to do, and nothing was skipped or failed."""
        return self.differing == 0 and self.altered == 0 and self.skipped == 0 and self.failed == 0

    @property
    def contradicted(self) -> bool:
        """A fresh comparison found objects still to copy or delete, or contents that are not the source's."""
        return bool(self.differing or self.altered)


@dataclass(frozen=True, slots=True)
class IndexOutcome:
    """One search index: documents that must be there, documents found, and whether the ids are the same."""

    index: str
    expected: int
    found: int
    same_ids: bool = False

    @property
    def proven(self) -> bool:
        """Exactly the expected ids are there."""
        return self.same_ids and self.expected == self.found
