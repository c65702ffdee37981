"""Bytes, and what kinds of characters they are. No byte is read but through `_at`."""

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


cdef inline bint _is_hex(int byte) noexcept:
    return 48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102


cdef inline bint _is_letter(int byte) noexcept:
    return 65 <= byte <= 90 or 97 <= byte <= 122
