"""In which string literals of an item's JSON a decoder could find anything. See gate."""

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
