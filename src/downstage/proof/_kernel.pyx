# cython: language_level=3, wraparound=False, cdivision=True
"""The canonical JSON of an item from the bytes it travels in, compiled: names sorted, all else as it stands.

An accelerator and nothing else: `digest` decodes the item and writes it again, and is asked whenever this gives None,
which it does for all that is not in its one form already: sets, numbers such as `1.10`, white space, odd escapes, and
for maps of many names. Sorting changes no length, so it is done in place, in a copy, the innermost map first. No byte is
read but through `_at`, which has an answer beyond either end too.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcpy

cdef extern from "Python.h":
    const char* PyBytes_AS_STRING(object raw)

cdef enum:
    OUTSIDE = 256
    DEEPEST = 100
    LONGEST_NUMBER = 38
    MANY = 96  # members of a map
    LONGEST_NAME = 256  # each is compared with many

cdef struct Text:
    unsigned char* bytes
    Py_ssize_t size


cdef inline int _at(Text text, Py_ssize_t place) noexcept:
    if 0 <= place < text.size:
        return text.bytes[place]
    return OUTSIDE


def canonical(bytes raw not None):
    """The canonical JSON of one item; None if it must be decoded to tell."""
    cdef Text item, spare
    cdef Py_ssize_t end
    item.size = spare.size = len(raw)
    copy = PyBytes_FromStringAndSize(NULL, item.size)
    other = PyBytes_FromStringAndSize(NULL, item.size)
    item.bytes, spare.bytes = <unsigned char*>PyBytes_AS_STRING(copy), <unsigned char*>PyBytes_AS_STRING(other)
    memcpy(item.bytes, PyBytes_AS_STRING(raw), item.size)
    end = _sort_value(item, spare, 0, 0)
    return copy if end == item.size else None


cdef Py_ssize_t _sort_value(Text item, Text spare, Py_ssize_t start, int depth) noexcept:
    """Sorts within the value that starts here; where it ends, or -1 if it is not known how it is to be written."""
    cdef int byte = _at(item, start)
    if byte == 34:
        return _string_end(item, start)
    if depth == DEEPEST:
        return -1
    if byte == 123:
        return _sort_map(item, spare, start, depth)
    if byte == 91:
        return _sort_list(item, spare, start, depth)
    if byte == 116:
        return start + 4 if _stands(item, start, b"true", 4) else -1
    if byte == 102:
        return start + 5 if _stands(item, start, b"false", 5) else -1
    return start + 4 if _stands(item, start, b"null", 4) else -1


cdef Py_ssize_t _sort_list(Text item, Text spare, Py_ssize_t start, int depth) noexcept:
    cdef Py_ssize_t place = start + 1
    if _at(item, place) == 93:
        return place + 1
    while True:
        place = _sort_value(item, spare, place, depth + 1)
        if place < 0:
            return -1
        if _at(item, place) == 93:
            return place + 1
        if _at(item, place) != 44:
            return -1
        place += 1


cdef Py_ssize_t _sort_map(Text item, Text spare, Py_ssize_t start, int depth) noexcept:
    cdef Py_ssize_t[MANY + 1] starts
    cdef Py_ssize_t[MANY + 1] ends
    cdef Py_ssize_t place = start + 1, name_end
    cdef int count = 0
    cdef bint in_order = True
    if _at(item, place) == 125:
        return place + 1
    while True:
        name_end = _name_end(item, place)
        if count >= MANY or name_end < 0 or _at(item, name_end) != 58 or not _is_sound(item, place, name_end):
            return -1
        starts[count] = place
        if count and _order(item, starts[count - 1], place) >= 0:
            in_order = False
        place = _sort_value(item, spare, name_end + 1, depth + 1)
        if place < 0:
            return -1
        ends[count] = place
        count += 1
        if _at(item, place) == 125:
            break
        if _at(item, place) != 44:
            return -1
        place += 1
    if in_order or _put_in_order(item, spare, starts, ends, count):
        return place + 1
    return -1


cdef bint _put_in_order(Text item, Text spare, Py_ssize_t* starts, Py_ssize_t* ends, int count) noexcept:
    """Sorts a map's members, each from one of `starts` to one of `ends`, commas between; False if two have one name."""
    cdef Py_ssize_t first = starts[0], last = ends[count - 1], at, start, end
    cdef int member, place, order
    for member in range(1, count):
        start, end, place = starts[member], ends[member], member
        while place > 0:
            order = _order(item, starts[place - 1], start)
            if order == 0:
                return False
            if order < 0:
                break
            starts[place], ends[place] = starts[place - 1], ends[place - 1]
            place -= 1
        starts[place], ends[place] = start, end
    at = first
    for member in range(count):
        if member:
            spare.bytes[at] = 44
            at += 1
        memcpy(spare.bytes + at, item.bytes + starts[member], ends[member] - starts[member])
        at += ends[member] - starts[member]
    memcpy(item.bytes + first, spare.bytes + first, last - first)
    return True


cdef Py_ssize_t _string_end(Text item, Py_ssize_t start) noexcept:
    """Where the string that starts here ends; -1 if it is not written in the one way it could be."""
    cdef Py_ssize_t place = start + 1
    cdef int byte
    while True:
        byte = _at(item, place)
        if byte == 34:
            return place + 1
        if byte == 92:
            place += 1
            if _at(item, place) not in (34, 92, 98, 102, 110, 114, 116):
                return -1
        elif byte < 32 or byte == OUTSIDE:
            return -1
        place += 1


cdef Py_ssize_t _name_end(Text item, Py_ssize_t start) noexcept:
    """The same of a name, which must be one that sorts with its quotes as without them."""
    cdef Py_ssize_t place = start + 1
    cdef int byte
    if _at(item, start) != 34:
        return -1
    while True:
        byte = _at(item, place)
        if byte == 34:
            return place + 1
        if byte < 34 or byte == 92 or byte == OUTSIDE or place - start > LONGEST_NAME:
            return -1
        place += 1


cdef bint _is_sound(Text item, Py_ssize_t name, Py_ssize_t name_end) noexcept:
    """Whether what has this name is no set, and no number that could be written otherwise."""
    cdef int last = _at(item, name_end - 2)
    if last == 83 and _at(item, name_end + 1) == 91:
        return False
    if last == 78 and name_end - name == 3 and _at(item, name_end + 1) == 34:
        return _is_canonical_number(item, name_end + 2)
    return True


cdef bint _is_canonical_number(Text item, Py_ssize_t start) noexcept:
    cdef Py_ssize_t place = start, first
    if _at(item, place) == 48 and _at(item, place + 1) == 34:
        return True
    if _at(item, place) == 45:
        place += 1
    first = place
    while 48 <= _at(item, place) <= 57:
        place += 1
    if place == first or place - first > LONGEST_NUMBER:
        return False
    if _at(item, first) == 48 and (place - first > 1 or _at(item, place) != 46):
        return False
    if _at(item, place) == 46:
        first = place + 1
        place = first
        while 48 <= _at(item, place) <= 57:
            place += 1
        if place == first or place - first >= LONGEST_NUMBER or _at(item, place - 1) == 48:
            return False
    return _at(item, place) == 34


cdef bint _stands(Text item, Py_ssize_t start, const unsigned char* word, int length) noexcept:
    cdef int place
    for place in range(length):
        if _at(item, start + place) != word[place]:
            return False
    return True


cdef int _order(Text item, Py_ssize_t first, Py_ssize_t second) noexcept:
    """-1, 0 or 1, as the name at `first` sorts before, with or after the one at `second`."""
    cdef Py_ssize_t place = 1
    while _at(item, first + place) == _at(item, second + place):
        if _at(item, first + place) == 34:
            return 0
        place += 1
    return -1 if _at(item, first + place) < _at(item, second + place) else 1
