# cython: language_level=3, wraparound=False, cdivision=True
"""The masking's inner loops, compiled: the gate over an item's bytes, and the addresses of a text that is all plain.

An accelerator and nothing else: `gate`, `clean_runs`, `escapes` and `address` say the same in Python, and are asked
wherever this module is not there or answers None. So None is always right here, and whatever is not written as nearly
everybody writes it gets it. No byte is read but through `_at`, which has an answer beyond either end too.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    const char* PyBytes_AS_STRING(object raw)

SIGNS = frozenset("@\uff20\ufe6b\\%&=\0")
"""What all that can be found begins with, as far as this module knows. Who has a decoder for anything else does not
use it."""

cdef enum:  # kinds of bytes
    RUN = 1  # of base64, in either alphabet
    CAPITAL = 2
    LINE = 4  # of the standard alphabet, which folded lines are made of
    SEPARATOR = 8
    LOCAL = 16
    HOST = 32
    SIGN = 64  # the gate stops and looks
    BESIDE = 128  # may stand beside an address that stands apart

cdef enum:
    OUTSIDE = 256  # what `_at` gives where there is no byte
    SHORTEST = 8
    CERTAIN = 24
    LONGEST_PADDING = 2
    LONG = 32
    SHORTEST_LINE = 40
    DATE = 13

cdef unsigned char _kinds[257]
cdef unsigned char _places[257]
cdef unsigned char _heads[4096]

cdef struct Text:
    const unsigned char* bytes
    Py_ssize_t size


cdef inline int _at(Text text, Py_ssize_t place) noexcept:
    if 0 <= place < text.size:
        return text.bytes[place]
    return OUTSIDE


cdef inline bint _is(Text text, Py_ssize_t place, int kind) noexcept:
    return _kinds[_at(text, place)] & kind != 0


cdef Text _text(str text) except *:
    """The text itself, not a copy: it lives as long as `text`."""
    cdef Text whole
    whole.bytes = <const unsigned char*>PyUnicode_AsUTF8AndSize(text, &whole.size)
    return whole


def _classify():
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lower_and_digits = b"abcdefghijklmnopqrstuvwxyz0123456789"
    for byte in letters + lower_and_digits:
        _kinds[byte] = RUN | LINE | LOCAL | HOST
    for characters, kind in (
        (letters, CAPITAL),
        (b"+/", RUN | LINE | SEPARATOR),
        (b"-_", RUN | SEPARATOR),
        (b"._+-'%", LOCAL),
        (b"._-", HOST),
        (b'"\\@%&=\xef' + bytes(range(32)), SIGN),
        (b" \t\r\n|:;,<>(){}", BESIDE),
    ):
        for byte in characters:
            _kinds[byte] |= kind
    for place, byte in enumerate(letters + lower_and_digits + b"+/"):
        _places[byte] = place
    _places[b"-"[0]], _places[b"_"[0]] = 62, 63


_classify()


def set_heads(bytes heads not None):
    """Tells which two characters may begin base64 that is worth a look: one byte, 0 or 1, for each of 64 times 64
    pairs in the order of the alphabet."""
    if len(heads) != 4096:
        raise ValueError("64 times 64 pairs are expected")
    cdef int place
    for place in range(4096):
        _heads[place] = heads[place]


# ---- base64: see clean_runs


cdef bint _is_date(Text text, Py_ssize_t start) noexcept:
    """`2024-05-16T21`"""
    cdef int place
    if not (
        (_at(text, start) == 49 and _at(text, start + 1) == 57) or (_at(text, start) == 50 and _at(text, start + 1) == 48)
    ):
        return False
    if _at(text, start + 4) != 45 or _at(text, start + 7) != 45 or _at(text, start + 10) != 84:
        return False
    if not 48 <= _at(text, start + 5) <= 49 or not 48 <= _at(text, start + 8) <= 51:
        return False
    if not 48 <= _at(text, start + 11) <= 50:
        return False
    for place in (2, 3, 6, 9, 12):
        if not 48 <= _at(text, start + place) <= 57:
            return False
    return True


cdef bint _may_begin(Text text, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Whether a run with a capital in it may be base64 of anything, as a whole or from one of the beginnings in it: one
    with a capital after it."""
    cdef Py_ssize_t place, last = end - 1
    if end - start >= LONG and not _is_noise(text, start, end):
        return True
    if end - start == DATE and _is_date(text, start):
        return False
    while not _is(text, last, CAPITAL):
        last -= 1
    for place in range(start, min(last, end - SHORTEST) + 1):
        if place > start and not _is(text, place - 1, SEPARATOR):
            continue
        if _heads[_places[_at(text, place)] << 6 | _places[_at(text, place + 1)]] and (
            end - start >= CERTAIN - LONGEST_PADDING or _may_mean(text, place, end)
        ):
            return True
        if end - place >= LONG - LONGEST_PADDING and 2 <= _decoded(text, place, 0) & 7 <= 5:
            return True  # the only mark of raw deflate
    return False


cdef bint _is_noise(Text text, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Whether all of a long run decodes to nothing that a look finds anything in: no stream begins so, it is text in no
    encoding, and there is no `@` in it."""
    cdef Py_ssize_t size = (end - start) * 3 // 4, place, high = 0
    cdef int byte, first = _decoded(text, start, 0)
    if _may_be_stream(text, start) or 2 <= first & 7 <= 5 or _is_utf8(text, start):
        return False
    for place in range(size):
        byte = _decoded(text, start, place)
        if byte == 0 or byte == 64:
            return False
        high += byte >= 128
    return high * 10 > size


cdef bint _may_be_stream(Text text, Py_ssize_t start) noexcept:
    """Whether a compressed stream, or UTF-16 with its mark, may begin so; see compressed, zstd, binary_text."""
    cdef int first = _decoded(text, start, 0)
    return first & 0x8F == 8 or first in (0x1F, 0xFE, 0xFF) or _decoded(text, start, 1) == 0x2A


cdef bint _is_utf8(Text text, Py_ssize_t start) noexcept:
    """False if the first six bytes break the rules of UTF-8."""
    cdef int byte, more = 0, place
    for place in range(6):
        byte = _decoded(text, start, place)
        if more:
            if byte & 0xC0 != 0x80:
                return False
            more -= 1
        elif byte >= 0xF5 or 0x80 <= byte < 0xC2:
            return False
        elif byte >= 0xC2:
            more = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
    return True


cdef bint _may_mean(Text text, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Whether the few bytes that begin here may be text or a stream: see base64_text."""
    cdef Py_ssize_t place
    if _may_be_stream(text, start) or _is_utf8(text, start):
        return True
    for place in range((end - start) * 3 // 4):
        if _decoded(text, start, place) == 0:
            return True
    return False


cdef int _decoded(Text text, Py_ssize_t start, Py_ssize_t place) noexcept:
    """One of the bytes that the base64 which starts here decodes to."""
    cdef Py_ssize_t group = start + place // 3 * 4 + place % 3
    cdef int two = _places[_at(text, group)] << 6 | _places[_at(text, group + 1)]
    return two >> (4 - place % 3 * 2) & 0xFF


cdef bint _is_doubtful(Text text, Py_ssize_t start, Py_ssize_t end, set clean, is_clean) except -1:
    if not _may_begin(text, start, end):
        return False
    run = text.bytes[start:end]
    return run not in clean and not is_clean(run)


cdef bint _ends_long_line(Text text, Py_ssize_t end) noexcept:
    cdef Py_ssize_t place
    for place in range(end - SHORTEST_LINE, end):
        if not _is(text, place, LINE):
            return False
    return True


def covered(str text not None, set clean not None, is_clean):
    """What `CleanRuns.cover` says of an ASCII text; `clean` are runs known as clean, `is_clean(run)` looks into others."""
    return _covers(_text(text), clean, is_clean)


cdef bint _covers(Text whole, set clean, is_clean) except -1:
    cdef Py_ssize_t place = 0, start
    cdef int kinds
    while place < whole.size:
        start, kinds = place, 0
        while _is(whole, place, RUN):
            kinds |= _kinds[_at(whole, place)]
            place += 1
        if place - start >= SHORTEST and kinds & CAPITAL and _is_doubtful(whole, start, place, clean, is_clean):
            return False
        if _at(whole, place) == 10 and (
            _ends_long_line(whole, place) or (_at(whole, place - 1) == 13 and _ends_long_line(whole, place - 1))
        ):
            return False
        place += 1
    return True


# ---- the gate: see gate


cdef inline bint _is_hex(int byte) noexcept:
    return 48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102


cdef inline bint _is_letter(int byte) noexcept:
    return 65 <= byte <= 90 or 97 <= byte <= 122


cdef bint _is_entity(Text text, Py_ssize_t start) noexcept:
    cdef Py_ssize_t place = start
    while place < start + LONG and (_is_letter(_at(text, place)) or 48 <= _at(text, place) <= 57):
        place += 1
    return place > start and _at(text, place) == 59


cdef bint _is_unit(Text text, Py_ssize_t place, int byte) noexcept:
    """Whether `%`, `&` or `=` begins anything here; a break of a line may be written as an escape."""
    cdef int following = _at(text, place + 1)
    if byte == 38:
        return following == 35 or _is_entity(text, place + 1)
    if _is_hex(following) and _is_hex(_at(text, place + 2)):
        return True
    return following == 117 if byte == 37 else following in (9, 10, 13, 32, 92)


def look(bytes raw not None, set clean not None, is_clean):
    """The string literals in an item's JSON in which something may be found: (start, end, whether their runs are clean)
    each, and (start, end) of each binary's content. None if the whole item must be decoded to tell."""
    cdef Text item
    item.bytes = <const unsigned char*>PyBytes_AS_STRING(raw)
    item.size = len(raw)
    cdef list literals = [], binaries = []
    cdef Py_ssize_t place = 0, start, run
    cdef int byte, kinds
    cdef bint shows, doubtful
    while place < item.size:
        byte = _at(item, place)
        place += 1
        if byte != 34:
            if _kinds[byte] & SIGN and byte not in (9, 10, 13):
                return None
            continue
        start, shows, doubtful = place, False, False
        while True:
            run, kinds = place, 0
            while _is(item, place, RUN):
                kinds |= _kinds[_at(item, place)]
                place += 1
            if place - run >= SHORTEST and kinds & CAPITAL and not doubtful:
                doubtful = _is_doubtful(item, run, place, clean, is_clean)
            byte = _at(item, place)
            if byte == 34:
                break
            if not _kinds[byte] & SIGN:
                if byte == OUTSIDE:
                    return None
            elif byte == 92:
                place += 1
                byte = _at(item, place)
                if byte == 92:
                    shows = True
                elif byte == 110:
                    doubtful = (
                        doubtful or _ends_long_line(item, place - 1)
                        or (_at(item, place - 2) == 114 and _ends_long_line(item, place - 3))
                    )
                elif byte not in (34, 114, 116):
                    return None
            elif byte == 64:
                shows = True
            elif byte == 0xEF:
                shows = shows or _is_wide_at_sign(item, place)
            elif byte < 32:
                return None
            elif not shows:
                shows = _is_unit(item, place, byte)
            place += 1
        if shows or doubtful:
            literals.append((start, place, not doubtful))
        byte = _at(item, place + 1)
        if _at(item, start) == 66 and (place == start + 1 or (place == start + 2 and _at(item, start + 1) == 83)):
            if place == start + 2:
                return None
            if byte == 58:
                if _at(item, place + 2) == 34:
                    start = place = place + 3
                    while _is(item, place, RUN) or _at(item, place) == 61:
                        place += 1
                    if _at(item, place) != 34:
                        return None
                    binaries.append((start, place))
                elif _at(item, place + 2) != 123:
                    return None
            elif byte not in (44, 93, 125):
                return None
        place += 1
    return literals, binaries


cdef bint _is_wide_at_sign(Text text, Py_ssize_t place) noexcept:
    return (_at(text, place + 1) == 0xBC and _at(text, place + 2) == 0xA0) or (
        _at(text, place + 1) == 0xB9 and _at(text, place + 2) == 0xAB
    )


# ---- addresses: see address, nested, escapes


cdef enum:
    STRUCTURE = 1  # what a quote that is JSON's own decodes to


def apart(str text not None):
    """Where the addresses are in an ASCII text, (start, end) each, if no decoder reads anything in it and each of them
    stands apart, see nested; None if that is not so, or is not to be told as simply."""
    return _apart(_text(text))


def apart_in_view(str text not None, set clean not None, is_clean):
    """What `apart` says of what an ASCII text decodes to, if it is JSON with simple escapes in it, or percent-encoded,
    and nothing else: (start, end, address) each, by the characters of the text that it is written with. None too if a
    run of the decoded text may be base64 of anything."""
    cdef Text raw = _text(text), view
    cdef unsigned char* decoded = <unsigned char*>PyMem_Malloc(raw.size + 1)
    cdef Py_ssize_t* places = <Py_ssize_t*>PyMem_Malloc((raw.size + 1) * sizeof(Py_ssize_t))
    try:
        if decoded == NULL or places == NULL:
            return None
        view.bytes = decoded
        view.size = _unescaped(raw, decoded, places) if _is_json(raw) else _unquoted(raw, decoded, places)
        if view.size < 0 or not _covers(view, clean, is_clean):
            return None
        found = _apart(view)
        if found is None:
            return None
        return [(places[start], places[end], decoded[start:end].decode("ascii")) for start, end in found]
    finally:
        PyMem_Free(decoded)
        PyMem_Free(places)


def apart_in_literal(bytes raw not None, Py_ssize_t start, Py_ssize_t end):
    """What `apart` says of the string that a literal in an item's JSON means: (start, end, address) each, by the bytes of
    the item that it is written with. The literal is one that `look` has named."""
    cdef Text literal, meant
    if not 0 <= start <= end <= len(raw):
        raise ValueError("a literal lies within its item")
    literal.bytes = <const unsigned char*>PyBytes_AS_STRING(raw) + start
    literal.size = end - start
    cdef unsigned char* decoded = <unsigned char*>PyMem_Malloc(literal.size + 1)
    cdef Py_ssize_t* places = <Py_ssize_t*>PyMem_Malloc((literal.size + 1) * sizeof(Py_ssize_t))
    try:
        if decoded == NULL or places == NULL:
            return None
        meant.bytes = decoded
        meant.size = _meant(literal, decoded, places)
        found = _apart(meant) if meant.size >= 0 else None
        if found is None:
            return None
        return [
            (start + places[first], start + places[last], decoded[first:last].decode("ascii"), _at(meant, first - 1) == 61)
            for first, last in found
        ]
    finally:
        PyMem_Free(decoded)
        PyMem_Free(places)


cdef Py_ssize_t _meant(Text literal, unsigned char* decoded, Py_ssize_t* places) noexcept:
    """The string that a literal means, and where each character of it begins; -1 if that is not plain ASCII."""
    cdef Py_ssize_t place = 0, size = 0
    cdef int byte
    while place < literal.size:
        byte = _at(literal, place)
        places[size] = place
        if byte == 92:
            place += 1
            byte = _at(literal, place)
            if byte == 110:
                byte = 10
            elif byte == 114:
                byte = 13
            elif byte == 116:
                byte = 9
            elif byte != 34:
                return -1
        elif byte < 32 or byte >= 128:
            return -1
        decoded[size] = byte
        size += 1
        place += 1
    places[size] = literal.size
    return size


cdef bint _is_json(Text text) noexcept:
    cdef Py_ssize_t place = 0
    while _at(text, place) in (9, 10, 13, 32):
        place += 1
    return _at(text, place) in (34, 91, 123)


cdef Py_ssize_t _unescaped(Text raw, unsigned char* decoded, Py_ssize_t* places) noexcept:
    """JSON decoded, and where each character of it begins in `raw`; how many they are, -1 if it is not as simple."""
    cdef Py_ssize_t place = 0, size = 0
    cdef int byte
    cdef bint escaped = False
    while place < raw.size:
        byte = _at(raw, place)
        places[size] = place
        if byte == 34:
            byte = STRUCTURE
        elif byte == 92:
            escaped = True
            place += 1
            byte = _at(raw, place)
            if byte == 110:
                byte = 10
            elif byte == 114:
                byte = 13
            elif byte == 116:
                byte = 9
            elif byte not in (34, 47):
                return -1
        elif byte == STRUCTURE or (byte in (37, 38, 61) and _is_unit(raw, place, byte)):
            return -1
        decoded[size] = byte
        size += 1
        place += 1
    places[size] = raw.size
    return size if escaped else -1


cdef Py_ssize_t _unquoted(Text raw, unsigned char* decoded, Py_ssize_t* places) noexcept:
    """The same for percent-encoding."""
    cdef Py_ssize_t place = 0, size = 0
    cdef int byte
    while place < raw.size:
        byte = _at(raw, place)
        places[size] = place
        if byte == 37 and _is_unit(raw, place, byte):
            if _at(raw, place + 1) == 117:
                return -1
            byte = _digit(_at(raw, place + 1)) << 4 | _digit(_at(raw, place + 2))
            if byte <= STRUCTURE or byte >= 128:
                return -1
            place += 2
        elif byte in (STRUCTURE, 92) or (byte in (38, 61) and _is_unit(raw, place, byte)):
            return -1
        decoded[size] = byte
        size += 1
        place += 1
    places[size] = raw.size
    return size if size < raw.size else -1


cdef inline int _digit(int byte) noexcept:
    return byte - 48 if byte <= 57 else (byte | 32) - 87


cdef list _apart(Text whole):
    cdef Py_ssize_t place, floor = 0, start, end
    cdef int byte
    cdef list found = []
    for place in range(whole.size):
        byte = _at(whole, place)
        if not _kinds[byte] & SIGN or byte in (STRUCTURE, 9, 10, 13, 34):
            continue
        if byte in (37, 38, 61):
            if _is_unit(whole, place, byte):
                return None
            continue
        if byte != 64:
            return None
        start = place
        while start > floor and _is(whole, start - 1, LOCAL):
            start -= 1
        while start < place and _at(whole, start) in (37, 39, 46):
            start += 1
        end = place + 1
        while _is(whole, end, HOST):
            if _at(whole, end) == 95:
                return None
            end += 1
        while end > place + 1 and _at(whole, end - 1) in (45, 46):
            end -= 1
        if start == place or end == place + 1 or not _stands_apart(whole, start, end):
            return None
        found.append((start, end))
        floor = end
    return found


cdef bint _stands_apart(Text text, Py_ssize_t start, Py_ssize_t end) noexcept:
    cdef int byte = _at(text, start - 1)
    if byte == 61:
        if _may_be_senders(text, start, end):
            return False
    elif not (byte in (OUTSIDE, STRUCTURE, 34) or _kinds[byte] & BESIDE):
        return False
    if _at(text, end) == 46:
        end += 1
    byte = _at(text, end)
    return byte in (OUTSIDE, STRUCTURE, 38, 63) or _kinds[byte] & BESIDE != 0 or (byte == 34 and _at(text, end + 1) != 64)


cdef bint _may_be_senders(Text text, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Whether what stands before the `=` before an address may belong to it: `bounces+bob=gmail.com@…`."""
    cdef Py_ssize_t place = start - 2
    while _is(text, place, LOCAL):
        if _at(text, place) in (43, 46):
            return True
        place -= 1
    place = start
    while _at(text, place) != 64:
        if _at(text, place) == 46 and _may_be_last_label(text, place + 1):
            return True
        place += 1
    return False


cdef bint _may_be_last_label(Text text, Py_ssize_t start) noexcept:
    cdef Py_ssize_t place = start
    while _is_letter(_at(text, place)):
        place += 1
    return place > start and _at(text, place) == 64
