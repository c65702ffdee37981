"""What an operation came to: told to whoever listens, and the counters that it adds to, in one place for every way to
carry one out."""

from __future__ import annotations

from collections.abc import Callable

from downstage.domain.plan import BucketPair
from downstage.ports import CopyResult, ObjectFacts
from downstage.syncing.left import LEFT, mark
from downstage.syncing.merge import Action, Operation, Stretch
from downstage.wire.s3 import LARGEST_COPY

ARCHIVED_CODES = ("InvalidObjectState", "ObjectNotInActiveTierError")
"""How S3 refuses to copy an object whose archive tier its listing does not tell."""

Told = Callable[[Action, str, str], None]
"""Is told of each operation as it ends: what became of which key (that of the target), and why if it was left out."""


def nobody(_action: Action, _key: str, _reason: str) -> None:
    """Listens to nothing."""


class Results:
    """Of one pair; keys are relative to its prefixes."""

    def __init__(self, pair: BucketPair, told: Told) -> None:
        self._prefix = pair.options.target_prefix
        self._told = told

    def copied(self, item: ObjectFacts, key: str, result: CopyResult) -> dict[str, int]:
        """The object was copied."""
        self._told(Action.COPY, self._prefix + key, "")
        other = result.encrypted or (result.etag != item.etag and "-" not in item.etag)
        counted = {"copied": 1, "bytes_copied": item.size, "other_etags": int(other), LEFT: mark(key, result.etag)}
        return counted if item.size <= LARGEST_COPY else counted | {"large": 1}

    def unchanged(self, key: str, target: ObjectFacts | None) -> dict[str, int]:
        """It needs nothing."""
        return {"unchanged": 1} | _left(key, target)

    def skipped(self, key: str, reason: str, target: ObjectFacts | None = None) -> dict[str, int]:
        """It was left out; `target` is what the target holds in its place."""
        self._told(Action.SKIP, self._prefix + key, reason)
        return {"skipped": 1, f"skipped: {reason}": 1} | _left(key, target)

    def deleted(self, key: str) -> dict[str, int]:
        """It was deleted from the target."""
        self._told(Action.DELETE, self._prefix + key, "")
        return {"deleted": 1}

    def failed(self, key: str, code: str) -> dict[str, int]:
        """It was given up, refused with `code` to the last."""
        reason = "it kept changing" if code == "PreconditionFailed" else f"S3 refuses it ({code})"
        self._told(Action.FAIL, self._prefix + key, reason)
        return {"failed": 1, f"failed: {reason}": 1}


def between(found: Operation | Stretch) -> dict[str, int]:
    """The counters of keys that need nothing."""
    if found.unchanged:
        return {"unchanged": found.unchanged, "extra": found.extra, LEFT: found.left}
    return {"extra": found.extra} if found.extra else _NOTHING


_NOTHING: dict[str, int] = {}


def _left(key: str, target: ObjectFacts | None) -> dict[str, int]:
    return {} if target is None else {LEFT: mark(key, target.etag)}
