"""Buckets in memory, listed in UTF-8 byte order as S3 does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, NotFound
from downstage.ports import ObjectDetails, ObjectFacts


class MemoryBuckets:
    """Implements `ports.ObjectStore`. `buckets` is objects by key, by bucket name; `hung` is details by both."""

    def __init__(self, writes: list[str]) -> None:
        self.buckets: dict[str, dict[str, ObjectFacts]] = {}
        self.hung: dict[tuple[str, str], ObjectDetails] = {}
        self._writes = writes
        self._now = 1_700_000_000.0

    def put(self, bucket: str, key: str, content: bytes, storage_class: str = "STANDARD") -> None:
        """Puts one object."""
        self._now += 1
        etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        entry = ObjectFacts(key, etag, len(content), self._now, storage_class)
        self.buckets.setdefault(bucket, {})[key] = entry

    def list(self, bucket: SourceBucket | TargetBucket, start_after: str | None) -> Iterator[ObjectFacts]:
        """Objects in order. Raises NotFound if there is no such bucket."""
        if bucket.name not in self.buckets:
            raise NotFound(f"there is no bucket {bucket.name}", "NoSuchBucket")
        after = start_after.encode() if start_after is not None else None
        for key, entry in sorted(self.buckets[bucket.name].items(), key=lambda pair: pair[0].encode()):
            if after is None or key.encode() > after:
                yield entry

    def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts) -> None:
        """Copies one object. Raises AwsError if it is not the one that was listed."""
        self._writes.append(f"copy to {target.name}")
        found = self.buckets[source.name].get(item.key)
        if found is None or found.etag != item.etag:
            raise AwsError(f"an object of bucket {source.name} changed", "PreconditionFailed")
        self._now += 1
        self.buckets[target.name][item.key] = ObjectFacts(item.key, found.etag, found.size, self._now)
        self.hung[target.name, item.key] = self.hung.get((source.name, item.key), ObjectDetails({}, {}))

    def details(self, target: TargetBucket, key: str) -> ObjectDetails | None:
        """Metadata and tags of one object; None if it is not there."""
        if key not in self.buckets.get(target.name, {}):
            return None
        return self.hung.get((target.name, key), ObjectDetails({}, {}))

    def delete(self, target: TargetBucket, keys: Sequence[str]) -> None:
        """Deletes up to 1,000 objects."""
        if not 0 < len(keys) <= 1000:
            raise AssertionError("S3 deletes 1 to 1,000 objects a call")
        self._writes.append(f"remove objects of {target.name}")
        for key in keys:
            self.buckets[target.name].pop(key, None)
