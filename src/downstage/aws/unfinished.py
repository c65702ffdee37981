"""A multipart upload that was left unfinished when the time was up, as a text: for a sealed checkpoint.

It is gone on with only for the very object that it was begun for, cut as it was: parts of two versions never meet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from downstage.ports import ObjectFacts


@dataclass(frozen=True, slots=True)
class Unfinished:
    """`upload` is S3's id; `etag` and `size` are the source object's; `part` is the bytes of each part; `parts` are
    those that are there, as CompleteMultipartUpload wants them."""

    upload: str
    etag: str
    size: int
    part: int
    parts: Sequence[Mapping[str, Any]] = ()

    def is_of(self, item: ObjectFacts, part: int) -> bool:
        """Whether it was begun for this object, and cut so."""
        return (self.etag, self.size, self.part) == (item.etag, item.size, part)

    def closed(self) -> str:
        """As a text."""
        return json.dumps(asdict(self))


def opened(text: str) -> Unfinished | None:
    """What `closed` gave; None for nothing."""
    return Unfinished(**json.loads(text)) if text else None
