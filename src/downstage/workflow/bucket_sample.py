"""The leak scan of one target bucket: every key, what hangs on the objects of a sample, and the smaller sample whose
contents are compared. The samples are of the lowest hashes, so that whoever goes on chooses the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from downstage.domain.events import Progress
from downstage.domain.refs import TargetBucket
from downstage.ports import ObjectFacts
from downstage.syncing.window import weight
from downstage.verify.sampling import LowestHashes
from downstage.workflow.findings import LeakLook
from downstage.workflow.parts import Parts

SAMPLED_OBJECTS = 1000
"""Of so many objects a bucket, metadata and tags are looked at: two requests each."""

SAMPLED_CONTENTS = 20
"""So many objects a bucket are compared by content."""

_CARRIED = 150_000
"""Bytes of keys of the sample that are carried in a checkpoint, which a control table's item must hold."""

Carried = Mapping[str, Sequence[Any]]

_TELL = 1000
_READERS = 16


class BucketLook:
    """Looks at one bucket, `seen` keys so far; `carried` is what `carry` gave."""

    def __init__(
        self,
        parts: Parts,
        bucket: TargetBucket,
        look: LeakLook,
        seen: int = 0,
        carried: Carried | None = None,
    ) -> None:
        carried = carried or {"sample": (), "few": ()}
        self.seen = seen
        self._parts = parts
        self._bucket = bucket
        self._look = look
        self._sample = LowestHashes(SAMPLED_OBJECTS, ((_hash(key), key) for key in carried["sample"]))
        few = [ObjectFacts(*entry) for entry in carried["few"]]
        self._few = LowestHashes(SAMPLED_CONTENTS, ((_hash(entry.key), entry.key) for entry in few))
        self._contents = {entry.key: entry for entry in few}

    def keys(self, entries: Sequence[ObjectFacts]) -> Mapping[str, int]:
        """Looks at some keys; counts them, and what was found in them."""
        look = self._look
        leaks, canaries = look.leaks, look.canaries
        for entry in entries:
            self.seen += 1
            if self.seen % _TELL == 0:
                self._parts.emit(Progress("verify-buckets", self._bucket.name, self.seen, None, "objects"))
            look.text(self._bucket.name, entry.key, "key")
            digest = _hash(entry.key)
            if self._sample.offer(digest, entry.key) and self._few.offer(digest, entry.key):
                self._contents[entry.key] = entry
                if len(self._contents) > 2 * SAMPLED_CONTENTS:
                    self._contents = {key: self._contents[key] for key in self._few.values}
        return {"keys": len(entries), "leaks": look.leaks - leaks, "canaries": look.canaries - canaries}

    @property
    def contents(self) -> list[ObjectFacts]:
        """The objects whose contents are compared."""
        return [self._contents[key] for key in self._few.values]

    def details(self) -> Mapping[str, int]:
        """Looks at metadata and tags of the sampled objects; counts those that are still there, and what was found."""
        look = self._look
        leaks, canaries, sampled = look.leaks, look.canaries, 0
        with ThreadPoolExecutor(_READERS, thread_name_prefix="details") as pool:
            for details in pool.map(partial(self._parts.store.details, self._bucket), self._sample.values):
                if details is not None:
                    sampled += 1
                    look.document(self._bucket.name, details.metadata, "metadata")
                    look.document(self._bucket.name, details.tags, "tags")
        return {"sampled": sampled, "leaks": look.leaks - leaks, "canaries": look.canaries - canaries}

    def carry(self) -> Carried:
        """The samples, for a sealed checkpoint; of very long keys fewer."""
        sample, left = [], _CARRIED
        for key in self._sample.values:
            left -= weight(key)
            if left < 0:
                break
            sample.append(key)
        return {"sample": sample, "few": [list(entry) for entry in self.contents]}


def _hash(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
