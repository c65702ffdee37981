"""DynamoDB-JSON as it lies about in files: the shapes in which items come, and the same shapes written again.

    {"pk": {"S": "a"}, …}                                   one item (`ITEM`)
    {"Item": {"pk": {"S": "a"}, …}}                         one item, as S3 exports and GetItem have it (`EXPORT`)
    {"Items": [{…}, …], "Count": 2, "LastEvaluatedKey": …}  a page, as Scan and Query answer it (`PAGE`)
    [{…}, …]                                                items, as `--query Items` leaves them (`LIST`)

A document stands on one line or on several (pretty-printed), documents follow one another; gzip is recognised by its
first bytes. Which shape a document has is never a guess: no typed item is also a wrapper of one, because only a map
holds an object, and an empty one is no attribute. Rules: what is not certainly one of these is a fault with its line
number and no content; `LastEvaluatedKey` and `NextToken` are real keys and, like `ConsumedCapacity`, are never
written. Memory is bounded by one document. The module does no I/O of its own: it reads a stream it is given.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, BinaryIO, cast

import orjson

from downstage.errors import UsageError
from downstage.ports import Item

LARGEST_DOCUMENT = 256 * 1024 * 1024
"""In bytes, unpacked. An item has 400 KB at most and a page 1 MB; a whole table is one document only if it is small."""

DEEPEST = 40
"""Levels of lists and maps that are followed; DynamoDB takes 32."""

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*+(?P<end>"?)|[{}\[\]]')
_TEXTS = frozenset(("S", "N", "B"))
_SETS = frozenset(("SS", "NS", "BS"))
_PAGE_KEYS = frozenset(("Items", "Count", "ScannedCount", "LastEvaluatedKey", "NextToken", "ConsumedCapacity"))
_EXPORT_KEYS = frozenset(("Item", "ConsumedCapacity"))
_SHAPES = 'a typed item, {"Item": …}, a page {"Items": […]} or a list of items'


class Shape(Enum):
    """How the items of a document are wrapped."""

    ITEM = "item"
    EXPORT = "export"
    PAGE = "page"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Document:
    """One document: the `line` on which it begins (from 1), its shape and its items."""

    line: int
    shape: Shape
    items: Sequence[Item] = field(repr=False)
    counts: Mapping[str, int] = field(default_factory=dict, repr=False)

    def written(self, items: Sequence[Item]) -> bytes:
        """`items` in this document's shape, on one line with its end; nothing for a single item that is not there.

        `Count` becomes the number of items written; `ScannedCount` stays.
        """
        body: Any
        if self.shape is Shape.PAGE:
            counted = {name: len(items) if name == "Count" else count for name, count in self.counts.items()}
            body = {"Items": items, **counted}
        elif self.shape is Shape.LIST:
            body = items
        elif not items:
            return b""
        else:
            body = items[0] if self.shape is Shape.ITEM else {"Item": items[0]}
        return orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)


def documents(stream: BinaryIO) -> Iterator[Document]:
    """The documents of a stream, packed with gzip or not, in order.

    Raises UsageError with the line's number and without its content at the first that is none of the shapes.
    """
    for line, text in _texts(_unpacked(stream)):
        yield _document(line, text)


def _unpacked(stream: BinaryIO) -> BinaryIO:
    """The stream, unpacked if its first two bytes say gzip."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, stream))
    if buffered.peek(2)[:2] == _GZIP:
        return cast(BinaryIO, gzip.GzipFile(fileobj=buffered))
    return buffered


def _texts(stream: BinaryIO) -> Iterator[tuple[int, Any]]:
    """(line, value) of each document: a line that is JSON by itself, or as many as it takes to close every bracket."""
    number = 0
    while line := _line(stream, number + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line.strip():
            continue
        try:
            yield number, orjson.loads(line)
            continue
        except orjson.JSONDecodeError:
            pass
        first, number, text = number, *_rest(stream, number, line)
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise UsageError(f"line {first}: is not JSON; each line must be {_SHAPES}") from None
        yield first, value


def _rest(stream: BinaryIO, number: int, line: bytes) -> tuple[int, bytes]:
    """The last line's number and the whole text of a document that begins with `line`."""
    first, size = number, len(line)
    lines = [line]
    depth = _depth(line, first)
    while depth > 0:
        line = _line(stream, number + 1)
        if not line:
            raise UsageError(f"line {first}: is not JSON, or its end is missing; each line must be {_SHAPES}")
        number += 1
        size += len(line)
        if size > LARGEST_DOCUMENT:
            raise _too_large(first)
        lines.append(line)
        depth += _depth(line, first)
    return number, b"".join(lines)


def _depth(line: bytes, first: int) -> int:
    """By how much the line opens more brackets than it closes."""
    depth = 0
    for token in _TOKEN.finditer(line):
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
        elif not token["end"]:
            raise UsageError(f"line {first}: is not JSON (a text has no closing quote); each line must be {_SHAPES}")
    return depth


def _line(stream: BinaryIO, number: int) -> bytes:
    try:
        line = stream.readline(LARGEST_DOCUMENT + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UsageError(f"line {number}: the gzip data are damaged or end too early") from None
    if len(line) > LARGEST_DOCUMENT:
        raise _too_large(number)
    return line


def _too_large(number: int) -> UsageError:
    megabytes = LARGEST_DOCUMENT // 1024 // 1024
    return UsageError(f"line {number}: a document of more than {megabytes} MB; write one item a line")


def _document(line: int, value: object) -> Document:
    if isinstance(value, list):
        return Document(line, Shape.LIST, _items(value, line))
    if not isinstance(value, dict):
        raise UsageError(f"line {line}: must be {_SHAPES}")
    if is_item(value):
        return Document(line, Shape.ITEM, [value])
    if "Item" in value and value.keys() <= _EXPORT_KEYS:
        return Document(line, Shape.EXPORT, _items([value["Item"]], line))
    if isinstance(value.get("Items"), list) and value.keys() <= _PAGE_KEYS:
        counts = {name: value[name] for name in ("Count", "ScannedCount") if name in value}
        if not all(type(count) is int for count in counts.values()):
            raise UsageError(f"line {line}: 'Count' and 'ScannedCount' of a page must be whole numbers")
        return Document(line, Shape.PAGE, _items(value["Items"], line), counts)
    raise UsageError(f"line {line}: must be {_SHAPES}, and nothing else beside them")


def _items(values: Sequence[Any], line: int) -> Sequence[Item]:
    for number, value in enumerate(values, 1):
        if not is_item(value):
            raise UsageError(f'line {line}: item {number} is not typed DynamoDB JSON such as {{"pk": {{"S": …}}}}')
    return values


def is_item(value: object) -> bool:
    """Whether `value` is an item in typed JSON, to the last leaf."""
    return isinstance(value, dict) and bool(value) and all(_is_attribute(held, DEEPEST) for held in value.values())


def _is_attribute(value: object, levels: int) -> bool:
    if not isinstance(value, dict) or len(value) != 1 or levels == 0:
        return False
    ((kind, content),) = value.items()
    if kind in _TEXTS:
        return isinstance(content, str)
    if kind == "M":
        return isinstance(content, dict) and all(_is_attribute(held, levels - 1) for held in content.values())
    if kind == "L":
        return isinstance(content, list) and all(_is_attribute(held, levels - 1) for held in content)
    if kind in _SETS:
        return isinstance(content, list) and bool(content) and all(isinstance(member, str) for member in content)
    return kind in ("BOOL", "NULL") and isinstance(content, bool)
