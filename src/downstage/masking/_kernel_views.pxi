"""The same in what a text decodes to, with the place of each in the text. See escapes and inline."""

def apart_in_literal(bytes raw not None, Py_ssize_t start, Py_ssize_t end):
    """What `apart` says of the string that a literal in an item's JSON means: (start, end, address, whether a `=` stands
    before it) each, by the bytes of the item that it is written with. The literal is one that `look` has named."""
    cdef Text literal
    if not 0 <= start <= end <= len(raw):
        raise ValueError("a literal lies within its item")
    literal.bytes = <const unsigned char*>PyBytes_AS_STRING(raw) + start
    literal.size = end - start
    found = _apart_in(literal, True, None, None)
    if found is None:
        return None
    return [(start + first, start + last, address, assigned) for first, last, address, assigned in found]


def apart_in_view(str text not None, set clean not None, is_clean):
    """The same of what an ASCII text decodes to, if it is JSON with simple escapes in it, or percent-encoded, and nothing
    else, by the characters of the text. None too if a run of the decoded text may be base64 of anything."""
    return _apart_in(_text(text), False, clean, is_clean)


cdef list _apart_in(Text raw, bint literal, set clean, is_clean):
    """The addresses in what `raw` decodes to, by the places in `raw`. Neither decoding makes a text longer."""
    cdef Text view
    cdef unsigned char* decoded = <unsigned char*>PyMem_Malloc(raw.size + 1)
    cdef Py_ssize_t* places = <Py_ssize_t*>PyMem_Malloc((raw.size + 1) * sizeof(Py_ssize_t))
    try:
        if decoded == NULL or places == NULL:
            return None
        view.bytes = decoded
        if literal or _is_json(raw):
            view.size = _unescaped(raw, decoded, places, literal)
        else:
            view.size = _unquoted(raw, decoded, places)
        if view.size < 0 or not (literal or _covers(view, clean, is_clean)):
            return None
        found = _apart(view)
        if found is None:
            return None
        return [
            (places[start], places[end], decoded[start:end].decode("ascii"), _at(view, start - 1) == 61)
            for start, end in found
        ]
    finally:
        PyMem_Free(decoded)
        PyMem_Free(places)


cdef bint _is_json(Text text) noexcept:
    cdef Py_ssize_t place = 0
    while _at(text, place) in (9, 10, 13, 32):
        place += 1
    return _at(text, place) in (34, 91, 123)


cdef Py_ssize_t _unescaped(Text raw, unsigned char* decoded, Py_ssize_t* places, bint literal) noexcept:
    """A literal of an item's JSON, or a whole text that is JSON, decoded, and where each character of it begins in `raw`;
    how many they are, -1 if it is not as simple. A text without an escape says what it seems to say, and is no view."""
    cdef Py_ssize_t place = 0, size = 0
    cdef int byte
    cdef bint escaped = literal
    while place < raw.size:
        byte = _at(raw, place)
        places[size] = place
        if byte == 92:
            escaped = True
            place += 1
            byte = _undone(_at(raw, place))
            if byte < 0:
                return -1
        elif byte >= 128 or byte == STRUCTURE or (literal and byte < 32):
            return -1
        elif not literal:
            if byte == 34:
                byte = STRUCTURE
            elif byte in (37, 38, 61) and _is_unit(raw, place, byte):
                return -1
        decoded[size] = byte
        size += 1
        place += 1
    places[size] = raw.size
    return size if escaped else -1


cdef inline int _undone(int byte) noexcept:
    """What a backslash before `byte` makes of it, where everybody writes that; -1 else."""
    if byte == 110:
        return 10
    if byte == 114:
        return 13
    if byte == 116:
        return 9
    return byte if byte in (34, 47) else -1


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
