"""What bytes and base64 hide: text, UTF-16, a compressed stream, or nothing that can be read.

Random bytes are everywhere (identifiers, digests, images), and a find by accident stops a release. So a
base64 token counts only if its bytes are text, or a compressed stream that inflates; and a text so short that
chance makes it (`is_chance`) is not believed. Inflation is bounded: the caller says how much, and is told
when it was not enough.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import zstandard

from downstage.verify.cut import Cuts
from downstage.verify.domains import GENERIC, TWO_LETTERS, looks_real

Payload = bytes | tuple[str, str]
"""What a base64 token holds: (layer, text) as `readable` gives it, or bytes that may inflate."""

_MIN_TOKEN = 8
TOKEN = re.compile(rf"[A-Za-z0-9+/_\-]{{{_MIN_TOKEN},}}={{0,2}}")
_WRAPPED = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40,}+(?:\r?\n[ \t]?[A-Za-z0-9+/]++)+(?:\r?\n)?={0,2}")
_SEPARATORS = (re.compile(r"[\-_]"), re.compile(r"[+/]"), re.compile(r"[+/_\-]"))
_URL_SAFE = str.maketrans("-_", "+/")
_MAX_TOKEN_SUFFIXES = 4
_MIN_DEFLATE = 24
_GLANCE = 64  # bytes that show that a stream inflates
_MAX_MEMBERS = 64

_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_ZSTD_WINDOW = 1 << 27  # as much as the zstd program itself takes without being told
_SLICE = 64  # bytes; they can hold 2 MB
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_TEXT_START = re.compile(
    rb"(?:[\t\n\r\x1b-\x7e]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
    rb"(?:[\x00\t\n\r\x1b-\x7e]|[\xc2-\xf4][\x80-\xbf])|\x00[\t\n\r\x20-\x7e]|\x1f\x8b"
)
_MIN_LATIN = 32
_NOT_LATIN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_HIGH = re.compile(rb"[\x80-\xff]")

_OPAQUE = re.compile(rb"(?<=[A-Za-z0-9._%+\-])@((?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9])")
_OPAQUE_LOCAL = re.compile(rb"[A-Za-z0-9._%+\-]{1,64}")
_WIDE = re.compile(rb"(?:[\x20-\x7e]\x00){6,}|(?:\x00[\x20-\x7e]){6,}")

_SHORT = 20
_ENOUGH = 4096
_HALF_OF_UNICODE = {"CJK", "HANGUL"}  # of its first 65,536 places; no language mixes them freely
_EAST_ASIAN = frozenset(("CJK", "HIRAGANA", "KATAKANA", "FULLWIDTH", "IDEOGRAPHIC", "HALFWIDTH", "BOPOMOFO"))
_DOTTED = re.compile(
    rf"[\w.+'\-]@(?:[\w\-]+\.)+(?:[a-z]{{3,24}}|[A-Z]{{3,24}}|[A-Z][a-z]{{2,23}}|xn--[a-z0-9\-]+|(?i:{GENERIC})"
    rf"|(?![a-z][A-Z])(?i:{TWO_LETTERS}))(?![\w\-])|@\[[0-9A-Fa-fIPv:.]+\]|[＠﹫]"
)
_LOWER = re.compile(r"[a-z@.\-_]{9,}")
_PLAIN = re.compile(r'[A-Za-z0-9@.\-_+" ]{14,}')
_WORD = r"(?:[A-Z]?[a-z]+|[A-Z]+)"
_WORDS = re.compile(
    rf"(?=.{{8}})(?=..+@...){_WORD}@{_WORD}[0-9]{{0,2}}"
    rf"|(?=.{{10}}){_WORD}[0-9]{{0,2}}(?:[.\-_+]{_WORD}[0-9]{{0,2}}){{0,3}}@{_WORD}[0-9]{{0,2}}(?:[.\-]{_WORD}[0-9]{{0,2}}){{0,3}}"
)


@dataclass(frozen=True, slots=True)
class Inflated:
    """One stream undone. `layer` is gzip, zlib, zstd or deflate; `exceeded`: it holds more than the limit
    allowed."""

    layer: str
    data: bytes
    exceeded: bool


def is_chance(text: str) -> bool:
    """Whether an address in a text this short, decoded from base64, may be an accident.

    Twenty random bytes that are all printable are one in 10^8; a shorter text must be more orderly than that:
    an address with a dotted host, from 8 characters on words in one case (`Ann@Corp1`), from 9 on lower-case
    letters only, or letters and digits from 14 on.
    """
    if len(text) >= _SHORT:
        return False
    return not (_DOTTED.search(text) or any(orderly.fullmatch(text) for orderly in (_LOWER, _WORDS, _PLAIN)))


def is_dotted(address: str) -> bool:
    """Whether an address has a host of at least two labels, the last in ASCII or its full-width twin."""
    return _DOTTED.search(unicodedata.normalize("NFKC", address)) is not None


def is_orderly(text: str) -> bool:
    """Whether the letters of a text are of one or two scripts, as those of any language are.

    Two bytes in noise make a byte order mark, two more a full-width `@`, and most of what stands round it is a letter
    of some script or other.
    """
    letters = [symbol for symbol in text[:_ENOUGH] if symbol > "\x7f" and symbol not in "＠﹫\ufeff\ufffd"]
    scripts = Counter(map(_script, letters)).most_common(2)
    if {script for script, _ in scripts} == _HALF_OF_UNICODE:
        scripts = scripts[:1]
    return len(letters) < 2 or sum(count for _, count in scripts) * 20 >= len(letters) * 19


def _script(symbol: str) -> str:
    """The script of a character, roughly; each that is assigned to none is one of its own."""
    words = unicodedata.name(symbol, "").partition(" ")[0]
    return "CJK" if words in _EAST_ASIAN else words or symbol


def readable(data: bytes) -> tuple[str, str] | None:
    """The text that `data` is, as (layer, text) with layer "" or "utf-16"; None if it is no text."""
    return _unicode(data) or _latin(data)


def _unicode(data: bytes) -> tuple[str, str] | None:
    if b"\x00" in data or data[:2] in _BYTE_ORDER_MARKS:
        wide = _utf16(data)
        if wide is not None:
            return wide
        data = data.strip(b"\x00")  # fixed-width fields are padded with NUL
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if not text or len(_CONTROL.findall(text)) * 10 > len(text):
        return None
    return "", text


def _utf16(data: bytes) -> tuple[str, str] | None:
    if data[:2] in _BYTE_ORDER_MARKS:
        encoding = "utf-16"
    elif data[1::2].count(0) * 5 >= len(data) * 2:
        encoding = "utf-16-le"
    elif data[::2].count(0) * 5 >= len(data) * 2:
        encoding = "utf-16-be"
    else:
        return None
    text = data[: len(data) & ~1].decode(encoding, "replace")
    strange = len(_CONTROL.findall(text)) + text.count("\ufffd")
    return ("utf-16", text) if strange * 10 <= len(text) else None


def _latin(data: bytes) -> tuple[str, str] | None:
    """Text in an old Western code page: nearly all of it ASCII, no controls, too long to be chance."""
    if len(data) < _MIN_LATIN or len(_HIGH.findall(data)) * 10 > len(data) or _NOT_LATIN_TEXT.search(data):
        return None
    return "", data.decode("latin-1")


def base64_payloads(text: str, settled: Sequence[tuple[int, int]] | None = None) -> Iterator[Payload]:
    """What the base64 tokens in `text` hold, in both alphabets, padded or not.

    A token wrapped over lines is read as one, and line by line only if that gives nothing. As `-`, `_` and
    `/` also separate, a token that is no text as a whole is tried in parts too. If `settled` is given, the caller
    undoes the escapes of `text` but for those spans: a token that an escape cuts in two is then left to that.
    """
    if "\n" in text:
        lines: list[str] = []
        position = 0
        for wrapped in _WRAPPED.finditer(text):
            payload = _payload("".join(wrapped.group().split()).rstrip("="))
            if payload is not None:
                yield payload
                lines.append(text[position : wrapped.start()])
                position = wrapped.end()
        if lines:
            text, settled = "\n".join([*lines, text[position:]]), None
    cuts = None if settled is None else Cuts(text, settled, lambda token: _payload(token) is not None)
    seen: set[str] = set()
    for found in TOKEN.finditer(text):
        token = found.group().rstrip("=")
        if token in seen or token.lower() == token:
            continue  # no address survives base64 without a capital letter: `@` alone makes one
        payload = _payload(token)
        payloads: Iterable[Payload] = () if payload is None else (payload,)
        if payload is None and (not token.isalnum() or len(token) >= _MIN_LATIN):
            payloads = _partial_payloads(token)
        piece: bool | None = None if cuts else False
        for part in payloads:
            if piece is None and cuts:
                piece = cuts.is_piece(found.start(), token)
            if not piece:
                yield part
        if not piece:
            seen.add(token)


def _partial_payloads(token: str) -> Iterator[Payload]:
    """What the parts of a token hold that is nothing as a whole, or else the text in an old code page that it
    is.

    First what follows one of its first separators, then the pieces before that: a piece of a longer text or
    stream would show an address cut short.
    """
    rest = token
    heard = False
    for start in _suffixes(token):
        payload = _payload(token[start:])
        if payload is not None:
            heard = True
            yield payload
            rest = token[:start]
            break
    for piece in {piece for separator in _SEPARATORS for piece in separator.split(rest)}:
        payload = _payload(piece) if piece != token else None
        if payload is not None:
            heard = True
            yield payload
    latin = _latin(unbase64(token) or b"") if not heard and len(token) >= _MIN_LATIN else None
    if latin is not None:
        yield latin


def _suffixes(token: str) -> list[int]:
    """Where the parts of `token` begin that follow one of its first separators, longest part first."""
    return [found.end() for found in islice(_SEPARATORS[2].finditer(token), _MAX_TOKEN_SUFFIXES)]


def _payload(token: str) -> Payload | None:
    """What one token holds, or None if it is noise. Old code pages are no reading here: noise passes for
    one."""
    if len(token) < _MIN_TOKEN or token.lower() == token:
        return None
    data = unbase64(token)
    if data is None:
        return None
    if may_inflate(data):
        return data if inflate(data, _GLANCE) is not None else _unicode(data)
    if not (_TEXT_START.match(data) or data[:2] in _BYTE_ORDER_MARKS):
        return None  # so end most words and identifiers, at little cost
    return _unicode(data)


def unbase64(token: str) -> bytes | None:
    """The bytes of one base64 token of either alphabet, padded or not; a single left-over character is
    dropped."""
    token = token.rstrip("=")
    if len(token) % 4 == 1:
        token = token[:-1]
    try:
        return binascii.a2b_base64(token.translate(_URL_SAFE) + "==")
    except ValueError:
        return None


def may_inflate(data: bytes) -> bool:
    """Whether `data` begins as gzip, zlib, zstd or (at 24 bytes or more) raw deflate may begin."""
    if len(data) < 8:
        return False
    return data[:3] == _GZIP or _is_zstd(data) or _is_zlib(data) or (_may_deflate(data) and readable(data) is None)


def _is_zstd(data: bytes) -> bool:
    return data[:4] == _ZSTD or _ZSTD_SKIPPABLE.match(data) is not None


def _is_zlib(data: bytes) -> bool:
    return data[0] & 0x8F == 0x08 and (data[0] << 8 | data[1]) % 31 == 0


def _may_deflate(data: bytes) -> bool:
    return len(data) >= _MIN_DEFLATE and data[0] & 7 in (2, 3, 4, 5)


def inflate(data: bytes, limit: int) -> Inflated | None:
    """Undo the compression of `data`, `limit` bytes at most; None if it is not compressed.

    Raw deflate has no mark of its own: it counts only if the stream ends where the data ends and gives a
    text.
    """
    if data[:3] == _GZIP:
        return _members(data, limit)
    if _is_zstd(data):
        return _frames(data, limit)
    if len(data) >= 8 and _is_zlib(data):
        whole = _stream(data, 15, limit)
        if whole is not None:
            return Inflated("zlib", whole[0], len(whole[0]) > limit)
    if _may_deflate(data):
        whole = _stream(data, -15, limit)
        if whole is not None and whole[1] == b"":
            exceeded = len(whole[0]) > limit
            if _CONTROL.search(whole[0].decode("latin-1")) is None if exceeded else readable(whole[0]):
                return Inflated("deflate", whole[0], exceeded)
    return None


def _stream(data: bytes, window: int, limit: int) -> tuple[bytes, bytes | None] | None:
    """(content, what follows the stream or None if it is cut off), or None if it is no such stream."""
    stream = zlib.decompressobj(window)
    try:
        content = stream.decompress(data, limit + 1)
    except zlib.error:
        return None
    return content, stream.unused_data if stream.eof else (b"" if len(content) > limit else None)


def _members(data: bytes, limit: int) -> Inflated | None:
    """All members of a gzip file, one after the other."""
    content = bytearray()
    rest: bytes | None = data
    for _ in range(_MAX_MEMBERS):
        member = _stream(rest, 31, limit - len(content)) if rest and rest[:3] == _GZIP else None
        if member is None:
            return Inflated("gzip", bytes(content), exceeded=False) if content else None
        content += member[0]
        rest = member[1]
        if len(content) > limit:
            break
    return Inflated("gzip", bytes(content), exceeded=True)


def _frames(data: bytes, limit: int) -> Inflated | None:
    """All frames of a zstd file, as far as they can be read; None if nothing can.

    A frame that needs a dictionary, or a larger window than anybody takes by default, cannot be proven clean: it
    counts as one that holds too much.
    """
    content = bytearray()
    rest = data
    for _ in range(_MAX_MEMBERS):
        if not _is_zstd(rest):
            return Inflated("zstd", bytes(content), exceeded=False) if content else None
        if _is_out_of_reach(rest):
            break
        frame, following = (
            _frame(rest, limit - len(content), _SLICE) or _frame(rest, limit - len(content), 1) or (b"", b"")
        )
        content += frame
        rest = following
        if len(content) > limit:
            break
    return Inflated("zstd", bytes(content), exceeded=True)


def _frame(data: bytes, limit: int, size: int) -> tuple[bytes, bytes] | None:
    """(content, what follows) of one frame, fed in slices, since a few bytes may hold very much; a frame that breaks
    off or breaks has what came before. None if it breaks and smaller slices might show more."""
    content = bytearray()
    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    for start in range(0, len(data), size):
        try:
            content += stream.decompress(data[start : start + size])
        except zstandard.ZstdError:
            return (bytes(content), b"") if size == 1 else None
        if stream.eof:
            return bytes(content), stream.unused_data + data[start + size :]
        if len(content) > limit:
            break
    return bytes(content), b""


def _is_out_of_reach(data: bytes) -> bool:
    """Whether a sound frame begins here that yet cannot be read."""
    try:
        header = zstandard.get_frame_parameters(data)
    except zstandard.ZstdError:
        return False
    return bool(header.dict_id) or header.window_size > _ZSTD_WINDOW


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
