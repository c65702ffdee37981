"""Runs of base64: which of them may hold anything. See clean_runs and base64_text."""

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
