"""A third pair of eyes: every text that a value holds under any encoding that the sandbox plants, by stdlib alone.

It shares no code with the masking or with the leak scanner, and it is crude on purpose: it decodes whatever decodes.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import json
import quopri
import re
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")


def texts(value: Any, depth: int = 5) -> Iterator[str]:
    """Every text in `value`: names, strings, and what binaries and strings decode to, lower case and NFC."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(name, depth)
            yield from texts(inner, depth)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from texts(inner, depth)
    elif isinstance(value, bytes | bytearray):
        yield from _from_bytes(bytes(value), depth)
    elif isinstance(value, str):
        yield unicodedata.normalize("NFC", value).lower()
        if depth:
            yield from _decoded(value, depth - 1)


def _from_bytes(raw: bytes, depth: int) -> Iterator[str]:
    if not raw:
        return
    for inflate in (gzip.decompress, zlib.decompress):
        try:
            yield from _from_bytes(inflate(raw), depth)
        except (OSError, EOFError, zlib.error):
            continue
    yield from texts(raw.decode("utf-8", "replace"), depth)


def _decoded(text: str, depth: int) -> Iterator[str]:
    for view in (unquote(text), html.unescape(text)):
        if view != text:
            yield from texts(view, depth)
    if "=" in text and text.isascii():
        view = quopri.decodestring(text).decode("utf-8", "replace")
        if view != text:
            yield from texts(view, depth)
    if text.lstrip()[:1] in ("{", "[", '"'):
        with suppress(ValueError):
            yield from texts(json.loads(text), depth)
    for token in _TOKEN.findall(text):
        body = token.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            yield from _from_bytes(base64.b64decode(body + "=" * (-len(body) % 4), validate=True), depth)
        except (binascii.Error, ValueError):
            continue
