"""S3's listings: the query of ListObjectsV2 out, pages of objects in. No I/O.

Listings are asked for with `encoding-type=url`, for XML cannot hold every key. The text of a page is cut by one
pattern in the order in which S3 writes an entry's elements: a third of what an XML parser costs. Entries that are
written in another order are read one element at a time; an answer whose entries do not add up is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote_plus

from downstage.ports import ObjectFacts
from downstage.wire import xml_text
from downstage.wire.sigv4 import canonical_query

_ENTRY = re.compile(
    r"<Contents><Key>([^<]*)</Key><LastModified>([^<]*)</LastModified><ETag>([^<]*)</ETag>"
    r"(?:<Checksum(?:Algorithm|Type)>[^<]*</Checksum(?:Algorithm|Type)>)*"
    r"<Size>(\d+)</Size>(?:<StorageClass>([^<]*)</StorageClass>)?((?s:.*?))</Contents>"
)
_ANY_ENTRY = re.compile(r"<Contents>((?s:.*?))</Contents>")
_ELEMENTS = {
    name: re.compile(rf"<{name}>([^<]*)</{name}>") for name in ("Key", "LastModified", "ETag", "Size", "StorageClass")
}
_TRUNCATED = re.compile(r"<IsTruncated>\s*(true|false)\s*</IsTruncated>", re.IGNORECASE)
_COUNTED = re.compile(r"<KeyCount>\s*(\d+)\s*</KeyCount>")
_RESTORED = "<RestoreExpiryDate>"
_START = "<Contents>"
_QUOTE = "&quot;"
_ENCODED = re.compile(r"<EncodingType>\s*url\s*</EncodingType>", re.IGNORECASE)

OPTIONAL_ATTRIBUTES = {"x-amz-optional-object-attributes": "RestoreStatus"}
"""Asks a listing to say of archived objects whether a readable copy is there."""


class Listed(NamedTuple):
    """What one ListObjectsV2 answered."""

    entries: list[ObjectFacts]
    more: bool


def list_query(*, prefix: str, start_after: str | None, limit: int) -> str:
    """The canonical query of one page."""
    parameters = {"list-type": "2", "encoding-type": "url", "max-keys": str(limit)}
    if prefix:
        parameters["prefix"] = prefix
    if start_after is not None:
        parameters["start-after"] = start_after
    return canonical_query(parameters)


def parse_list(body: bytes) -> Listed:
    """The page that was answered. Raises ValueError, without the text, if it is not whole."""
    text = body.decode()
    truncated = _TRUNCATED.search(text)
    if truncated is None or not text.rstrip().endswith("</ListBucketResult>"):
        raise ValueError("an answer is not a whole listing")
    expected = text.count(_START)
    counted = _COUNTED.search(text)
    if counted is not None and int(counted.group(1)) != expected:
        raise ValueError("a listing holds another number of objects than it says")
    found = _ENTRY.findall(text)
    if len(found) != expected:
        found = [_by_element(entry) for entry in _ANY_ENTRY.findall(text)]
        if len(found) != expected:
            raise ValueError("a listing holds another number of objects than it seems to")
    entries = _entries(found, encoded=_ENCODED.search(text) is not None) if found else []
    more = truncated.group(1).lower() == "true"
    if more and not entries:
        raise ValueError("a listing goes on, but says not where")
    return Listed(entries, more)


def _entries(found: list[tuple[str, ...]], *, encoded: bool) -> list[ObjectFacts]:
    """The entries from the texts of their elements, column by column: what a page's every entry costs is what a sync
    costs that has nothing to do. Raises ValueError if a key is not UTF-8."""
    keys, moments, etags, sizes, kinds, rests = zip(*found, strict=True)
    columns = (
        _unquoted(keys) if encoded else map(xml_text.read, keys),
        [f'"{etag[6:-6]}"' if etag[:6] == _QUOTE else xml_text.read(etag) for etag in etags],
        map(int, sizes),
        map(datetime.timestamp, map(datetime.fromisoformat, moments)),
        [kind or "STANDARD" for kind in kinds],
        [_RESTORED in rest for rest in rests],
    )
    make = tuple.__new__  # what ObjectFacts would call, for each entry, by way of Python
    return [make(ObjectFacts, row) for row in zip(*columns, strict=True)]


def _unquoted(keys: Sequence[str]) -> list[str]:
    return [unquote_plus(key, errors="strict") if "%" in key or "+" in key else key for key in keys]


def _by_element(entry: str) -> tuple[str, ...]:
    """An entry whose elements stand in another order, or that lacks some. Raises ValueError if it lacks needed ones."""
    values = {name: pattern.search(entry) for name, pattern in _ELEMENTS.items()}
    said = {name: match.group(1) if match is not None else "" for name, match in values.items()}
    if values["Key"] is None or not said["LastModified"] or not said["Size"].strip().isdigit():
        raise ValueError("an entry of a listing lacks its key, size or time")
    return (said["Key"], said["LastModified"].strip(), said["ETag"], said["Size"], said["StorageClass"], entry)
