"""Addresses in bytes that are no text: a PDF, a picture, an encrypted value."""

from __future__ import annotations

import re
from collections.abc import Iterator

from downstage.verify.domains import looks_real

_OPAQUE = re.compile(rb"(?<=[A-Za-z0-9._%+\-])@((?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9])")
_OPAQUE_LOCAL = re.compile(rb"[A-Za-z0-9._%+\-]{1,64}")
_WIDE = re.compile(rb"(?:[\x20-\x7e]\x00){6,}|(?:\x00[\x20-\x7e]){6,}")


def opaque_addresses(data: bytes, *, wide: bool = True) -> Iterator[str]:
    """The ASCII addresses in bytes that are no text, with `wide` in UTF-16 too, if their host looks real."""
    if b"@" not in data:
        return
    yield from _plain_addresses(data)
    if wide:
        for found in _WIDE.finditer(data):
            yield from _plain_addresses(found.group().replace(b"\x00", b""))


def _plain_addresses(data: bytes) -> Iterator[str]:
    for found in _OPAQUE.finditer(data):
        domain = found.group(1).decode("ascii")
        run = _OPAQUE_LOCAL.match(data[max(0, found.start() - 64) : found.start()][::-1])
        local = run.group()[::-1].decode("ascii") if run else ""
        if local and looks_real(local, domain):
            yield f"{local}@{domain}"
