"""Which top-level domains make a chance find look like a real host.

Used only where bytes or digits can look like an address by accident (opaque binary, `=40` in a query string).
In plain text an address is an address whatever its host.
"""

from __future__ import annotations

import re
from typing import Final

COUNTRIES: Final = frozenset(
    first + second
    for first, seconds in {
        "a": "cdefgilmoqrstuwxz",
        "b": "abdefghijmnorstwyz",
        "c": "acdfghiklmnoruvwxyz",
        "d": "ejkmoz",
        "e": "cegrstu",
        "f": "ijkmor",
        "g": "adefghilmnpqrstuwy",
        "h": "kmnrtu",
        "i": "delmnoqrst",
        "j": "emop",
        "k": "eghimnprwyz",
        "l": "abcikrstuvy",
        "m": "acdeghklmnopqrstuvwxyz",
        "n": "acefgilopruz",
        "o": "m",
        "p": "aefghklmnrstwy",
        "q": "a",
        "r": "eosuw",
        "s": "abcdeghiklmnorstuvxyz",
        "t": "cdfghjklmnortvwz",
        "u": "agksyz",
        "v": "aceginu",
        "w": "fs",
        "y": "et",
        "z": "amw",
    }.items()
    for second in seconds
)
"""Two-letter top-level domains in use (ISO 3166 and the few besides), by their first letter."""

GENERIC: Final = "com|org|net|edu|gov|mil|int|info|biz|name|example|test|invalid|local|internal"
TWO_LETTERS: Final = "|".join(sorted(COUNTRIES))
COMMON_TOP_LEVEL: Final = f"{GENERIC}|{TWO_LETTERS}"
"""A regular expression alternative of the domains that people's addresses mostly end in."""

_COMMON_GENERIC: Final = frozenset(GENERIC.split("|"))
_THREE_LETTERS: Final = re.compile(r"[A-Za-z]{3}")


def looks_real(local: str, domain: str) -> bool:
    """Whether an ASCII address found in opaque bytes is hardly an accident: less than one in 10^8 random bytes
    begins such.

    Each label of the domain is in one case (a capital may begin it), and its top-level domain has 2-24 letters,
    two only if it is in use. Under a well-known generic one (`com`) that is enough. Else the local part and the
    label before it have two characters each; or one of them has one, and then the other has three, letters in the
    label.
    """
    *labels, top = domain.split(".")
    if not labels or not top.isalpha() or not 2 <= len(top) <= 24 or not any(map(str.isalnum, local)):
        return False
    if len(top) == 2 and top.lower() not in COUNTRIES:
        return False
    if not all(label.isupper() or label[1:] == label[1:].lower() for label in (*labels, top)):
        return False
    if top.lower() in _COMMON_GENERIC or (len(local) > 1 and len(labels[-1]) > 1):
        return True
    return len(local) > 2 if len(labels[-1]) == 1 else _THREE_LETTERS.search(labels[-1]) is not None
