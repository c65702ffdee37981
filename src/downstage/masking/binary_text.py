"""What text some bytes are: UTF-8, UTF-16, an old Western code page, or none; do opaque ones hold an address?"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_SHORTEST_LATIN = 12
_NOT_LATIN = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_HIGH = re.compile(rb"[\x80-\xff]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_OPAQUE_HOST = re.compile(
    rb"(?<=[A-Za-z0-9._%+-])@(?:[A-Za-z0-9-]{1,63}\.)*([A-Za-z0-9-]{1,63})\.([A-Za-z][a-z]{1,23}|[A-Z]{2,24})"
    rb"(?![A-Za-z0-9])"
)
_OPAQUE_LOCAL = re.compile(rb"[A-Za-z0-9._%+-]+\Z")
_COMMON = frozenset((b"com", b"net", b"org", b"edu", b"gov"))
_WORD = re.compile(rb"[A-Za-z]{3}")
_LONGEST_LOCAL = 64


def text_of(raw: bytes, *, latin: bool = True) -> tuple[str, str] | None:
    """(text, encoding) of `raw`; `text.encode(encoding, "surrogatepass")` is `raw` again. None if it is no text.
    `latin`: an old code page counts."""
    if b"\x00" in raw or raw[:2] in _BYTE_ORDER_MARKS:
        encoding = _wide(raw)
        if encoding:
            return raw.decode(encoding, "surrogatepass"), encoding
    try:
        return raw.decode(), "utf-8"
    except UnicodeDecodeError:
        pass
    if not latin or len(raw) < _SHORTEST_LATIN or len(_HIGH.findall(raw)) * 10 > len(raw) or _NOT_LATIN.search(raw):
        return None
    return raw.decode("latin-1"), "latin-1"


def is_clean(text: str) -> bool:
    """Whether `text` is written by people or programs, and not noise: hardly a control character, but for padding."""
    text = text.strip("\x00")
    return text.isprintable() or len(_CONTROL.findall(text)) * 10 <= len(text)


def opaque_addresses(raw: bytes) -> Iterator[str]:
    """The ASCII addresses in bytes that are no text, in UTF-16 too, whose host is hardly an accident: less than one in
    10^9 random bytes begins such."""
    if b"@" not in raw:
        return
    for spelling in {raw, raw.replace(b"\x00", b"")}:
        for host in _OPAQUE_HOST.finditer(spelling):
            local = _OPAQUE_LOCAL.search(spelling[max(0, host.start() - _LONGEST_LOCAL) : host.start()])
            if local and _is_meant(local.group(), host.group(1), host.group(2)):
                yield (local.group() + host.group()).decode("ascii")


def _is_meant(local: bytes, label: bytes, domain: bytes) -> bool:
    """Whether it is more than chance: of local part and the label before the top-level domain one may be short."""
    if domain.lower() in _COMMON:
        return True
    return _WORD.search(label) is not None if len(local) == 1 else len(label) > 1 or len(local) > 2


def _wide(raw: bytes) -> str | None:
    if len(raw) % 2:
        return None
    encoding = _BYTE_ORDER_MARKS.get(raw[:2])
    if encoding is None and raw[1::2].count(0) * 5 >= len(raw) * 2:
        encoding = "utf-16-le"
    if encoding is None and raw[::2].count(0) * 5 >= len(raw) * 2:
        encoding = "utf-16-be"
    return encoding if encoding and _is_written(raw.decode(encoding, "replace")) else None


def _is_written(text: str) -> bool:
    """Whether hardly a character is unassigned, private or half a pair. In noise that begins like UTF-16 one in six
    is, and fullwidth `@` are among the rest."""
    text = text.strip("\x00\ufeff")
    stray = sum(not (character.isprintable() or character in "\r\n\t") for character in text)
    return (stray + text.count("\ufffd")) * 50 <= len(text)
