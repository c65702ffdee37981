"""Buckets in memory, listed in UTF-8 byte order as S3 does: the store that looks, and the transfer that works."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import NotFound
from downstage.ports import BucketFacts, CopyResult, ObjectDetails, ObjectFacts, ObjectPage


class MemoryBuckets:
    """Implements `ports.ObjectStore`. `buckets` is objects by key, by bucket name; `hung` is details by both;
    `settings` what a target bucket is set to; `kms` the buckets whose objects a key of KMS encrypts."""

    def __init__(self, writes: list[str]) -> None:
        self.buckets: dict[str, dict[str, ObjectFacts]] = {}
        self.hung: dict[tuple[str, str], ObjectDetails] = {}
        self.contents: dict[tuple[str, str], bytes] = {}
        self.settings = BucketFacts(versioned=False, expires_versions=False)
        self.kms: set[str] = set()
        self.writes = writes
        self._now = 1_700_000_000.0

    def put(self, bucket: str, key: str, content: bytes, storage_class: str = "STANDARD") -> None:
        """Puts one object."""
        self._now += 1
        etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        entry = ObjectFacts(key, etag, len(content), self._now, storage_class)
        self.buckets.setdefault(bucket, {})[key] = entry
        self.contents[bucket, key] = content

    def list(
        self, bucket: SourceBucket | TargetBucket, start_after: str | None, prefix: str = ""
    ) -> Iterator[ObjectFacts]:
        """Objects in order. Raises NotFound if there is no such bucket."""
        if bucket.name not in self.buckets:
            raise NotFound(f"could not list bucket {bucket.name}: it does not exist", "NoSuchBucket")
        for key, entry in sorted(self.buckets[bucket.name].items(), key=lambda pair: pair[0].encode()):
            if key.startswith(prefix) and (start_after is None or key.encode() > start_after.encode()):
                yield entry

    def take(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> ObjectFacts | None:
        """Copies one object; None if it is not the one that was listed."""
        found = self.buckets[source.name].get(item.key)
        if found is None or found.etag != item.etag:
            return None
        self._now += 1
        etag = found.etag
        if target.name in self.kms:
            etag = f'"{hashlib.md5(f"{self._now}".encode(), usedforsecurity=False).hexdigest()}"'
        made = ObjectFacts(to, etag, found.size, self._now)
        self.buckets[target.name][to] = made
        self.contents[target.name, to] = self.contents[source.name, item.key]
        self.hung[target.name, to] = self.hung.get((source.name, item.key), ObjectDetails({}, {}))
        return made

    def details(self, target: TargetBucket, key: str) -> ObjectDetails | None:
        """Metadata and tags of one object; None if it is not there."""
        if key not in self.buckets.get(target.name, {}):
            return None
        return self.hung.get((target.name, key), ObjectDetails({}, {}))

    def facts(self, target: TargetBucket) -> BucketFacts:
        """What the bucket is set to."""
        return self.settings

    def content(self, bucket: SourceBucket | TargetBucket, item: ObjectFacts, limit: int) -> bytes | None:
        """A digest of what the object begins with."""
        found = self.buckets[bucket.name].get(item.key)
        if found is None or found.etag != item.etag:
            return None
        return hashlib.sha256(self.contents[bucket.name, item.key][:limit]).digest()

    def encrypted(self, bucket: SourceBucket | TargetBucket, key: str) -> bool:
        """Whether the bucket's objects are encrypted with a key of KMS."""
        return bucket.name in self.kms


class MemoryTransfer:
    """Implements `ports.ObjectTransfer` over memory buckets; pages of `page_size`. Each call gives way once, so that
    many go on at a time; `calls` are counted by name."""

    def __init__(self, store: MemoryBuckets, page_size: int = 1000) -> None:
        self.store = store
        self.page_size = page_size
        self.calls: dict[str, int] = {"page": 0, "copy": 0, "delete": 0}

    async def page(
        self,
        bucket: SourceBucket | TargetBucket,
        *,
        prefix: str = "",
        start_after: str | None = None,
        limit: int = 1000,
    ) -> ObjectPage:
        """One page."""
        self.calls["page"] += 1
        await asyncio.sleep(0)
        size = min(limit, self.page_size)
        found = [*islice(self.store.list(bucket, start_after, prefix), size + 1)]
        return ObjectPage(found[:size], more=len(found) > size)

    async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
        """Copies one object, if it is the one that was listed."""
        self.calls["copy"] += 1
        await asyncio.sleep(0)
        self.store.writes.append(f"copy to {target.name}")
        made = self.store.take(source, target, item, to)
        if made is not None:
            return CopyResult(made.etag, encrypted=target.name in self.store.kms)
        gone = item.key not in self.store.buckets[source.name]
        return (
            CopyResult(refusal="gone", code="NoSuchKey")
            if gone
            else CopyResult(refusal="changed", code="PreconditionFailed")
        )

    async def go_on(
        self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str, upload: str
    ) -> CopyResult:
        """Copies the object: nothing is large here, so that nothing is ever left unfinished."""
        return await self.copy(source, target, item, to)

    def pause(self) -> None:
        """No copy is large."""

    async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
        """Deletes up to 1,000 objects."""
        if not 0 < len(keys) <= 1000:
            raise AssertionError("S3 deletes 1 to 1,000 objects a call")
        self.calls["delete"] += 1
        await asyncio.sleep(0)
        self.store.writes.append(f"remove objects of {target.name}")
        for key in keys:
            self.store.buckets[target.name].pop(key, None)
        return {}

    def close(self) -> None:
        """Nothing is open."""
