"""Addresses in a text that is all plain, where each of them stands apart. See address and nested."""

cdef enum:
    STRUCTURE = 1  # what a quote that is JSON's own decodes to


def apart(str text not None):
    """Where the addresses are in an ASCII text, (start, end) each, if no decoder reads anything in it and each of them
    stands apart, see nested; None if that is not so, or is not to be told as simply."""
    return _apart(_text(text))


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
