"""Buckets of the fake S3: what S3 keeps of an object, and the listings, copies and deletes that follow from it.

No HTTP here. A call that S3 would refuse raises `Refused` with S3's status and code. Keys are listed in UTF-8 byte
order. `insort` and a dictionary are enough: tests hold thousands of objects, not millions.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

LARGEST_COPY = 5 * 1024**3
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class Refused(Exception):
    """S3 says no, with a status and a code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Kept:
    """One object. `headers` are the content headers, by their lower-case names; `asked` is what a copy asked for
    besides (storage class, ACL, key of the encryption). `restored`: a readable copy of an archived one is there.
    `checksum` is the algorithm of the checksum that is kept beside the ETag, and its kind."""

    body: bytes = field(repr=False)
    etag: str
    modified: float
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    asked: Mapping[str, str] = field(default_factory=dict)
    restored: bool = False
    checksum: tuple[str, str] | None = None

    @property
    def is_archived(self) -> bool:
        """Whether it must be restored before it can be read."""
        return self.storage_class in _ARCHIVED and not self.restored

    @property
    def likeness(self) -> object:
        """All that a faithful copy has in common with its source."""
        return self.body, dict(self.headers), dict(self.metadata), dict(self.tags)


@dataclass
class Upload:
    """A multipart upload under way: the object it will be, and its parts by number."""

    key: str
    seed: Kept
    parts: dict[int, bytes] = field(default_factory=dict)


class Bucket:
    """One bucket. `owner` is the account that `x-amz-expected-bucket-owner` must name; `region` is where it lies (if
    it is empty, wherever it is asked); `lifecycle` holds the elements of its enabled rules."""

    def __init__(self, owner: str, *, versioning: str = "", region: str = "") -> None:
        self.owner = owner
        self.versioning = versioning
        self.region = region
        self.lifecycle: list[str] = []
        self.objects: dict[str, Kept] = {}
        self.markers: list[str] = []
        self.uploads: dict[str, Upload] = {}
        self.aborted = 0
        self._places: list[bytes] = []

    def put(self, key: str, kept: Kept) -> None:
        """Keeps one object, in the place of what was there."""
        if key not in self.objects:
            insort(self._places, key.encode())
        self.objects[key] = kept

    def add(self, key: str, body: bytes, modified: float = 1_700_000_000.0, **more: object) -> Kept:
        """Makes and keeps an object with a plain ETag; `more` are fields of `Kept`."""
        kept = replace(Kept(body, etag(body), modified), **more)  # type: ignore[arg-type]
        self.put(key, kept)
        return kept

    def get(self, key: str) -> Kept:
        """The object. Raises Refused 404."""
        try:
            return self.objects[key]
        except KeyError:
            raise Refused(404, "NoSuchKey") from None

    def delete(self, key: str) -> None:
        """Takes the object away; one that is not there is fine. A versioned bucket keeps a marker."""
        if self.objects.pop(key, None) is not None:
            del self._places[bisect_left(self._places, key.encode())]
        if self.versioning:
            self.markers.append(key)

    def page(self, after: str, prefix: str, limit: int) -> tuple[list[str], bool]:
        """Up to `limit` keys after `after` that begin with `prefix`, and whether more follow."""
        first = max(bisect_right(self._places, after.encode()), bisect_left(self._places, prefix.encode()))
        found = self._places[first : first + limit + 1]
        keys = [key for key in (place.decode() for place in found) if key.startswith(prefix)]
        return keys[:limit], len(keys) > limit

    def likeness(self) -> dict[str, object]:
        """Every key with all that a faithful copy keeps."""
        return {key: kept.likeness for key, kept in self.objects.items()}


def copied(source: Kept, wanted: Mapping[str, str], now: float, largest: int = LARGEST_COPY) -> Kept:
    """What CopyObject makes of `source`; `wanted` are the request's headers. Raises Refused as S3 does."""
    check_source(source, wanted)
    if len(source.body) > largest:
        raise Refused(400, "InvalidRequest")
    kept = replace(
        source,
        etag=etag(source.body),
        modified=now,
        storage_class=wanted.get("x-amz-storage-class", "STANDARD"),
        asked=asked_for(wanted),
        restored=False,
    )
    if wanted.get("x-amz-metadata-directive", "COPY") == "REPLACE":
        kept = replace(kept, headers=content_headers(wanted), metadata=user_metadata(wanted))
    if wanted.get("x-amz-tagging-directive", "COPY") == "REPLACE":
        kept = replace(kept, tags={})
    return kept


def check_source(source: Kept, wanted: Mapping[str, str]) -> None:
    """Whether `source` may be copied from: it must be the one that was listed, and not be in an archive."""
    condition = wanted.get("x-amz-copy-source-if-match")
    if condition is not None and condition.strip('"') != source.etag.strip('"'):
        raise Refused(412, "PreconditionFailed")
    if source.is_archived:
        raise Refused(403, "InvalidObjectState")


def asked_for(headers: Mapping[str, str]) -> dict[str, str]:
    """Of a request's headers: what it asks for in the target besides content, metadata and tags."""
    names = ("x-amz-storage-class", "x-amz-acl", "x-amz-server-side-encryption", "x-amz-tagging-directive")
    key = "x-amz-server-side-encryption-aws-kms-key-id"
    return {name: headers[name] for name in (*names, key) if name in headers}


def content_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Of a request's headers: those that are kept with the object."""
    names = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
    return {name: headers[name] for name in names if name in headers}


def user_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """Of a request's headers: the metadata of whoever put the object."""
    return {name[11:]: value for name, value in headers.items() if name.startswith("x-amz-meta-")}


def etag(body: bytes) -> str:
    """The plain ETag, in quotes."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def joined_etag(parts: list[bytes]) -> str:
    """The ETag of a multipart upload, in quotes."""
    digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
