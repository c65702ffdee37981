"""Which top-level domains make a chance find look like a real host.

Used only where bytes or digits can look like an address by accident (opaque binary, `=40` in a query string).
In plain text an address is an address whatever its host.
"""

from __future__ import annotations

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

_GENERIC: Final = "com|org|net|edu|gov|mil|int|info|biz|name|example|test|invalid|local|internal"
COMMON_TOP_LEVEL: Final = "|".join([_GENERIC, *sorted(COUNTRIES)])
"""A regular expression alternative of the domains that people's addresses mostly end in."""


def looks_real(domain: str) -> bool:
    """Whether an ASCII domain found in opaque bytes is hardly an accident: each label in one case (a capital
    may begin it), two characters before a top-level domain of 2-24 letters, two letters only if it is in
    use."""
    *labels, top = domain.split(".")
    if not labels or len(labels[-1]) < 2 or not top.isalpha() or not 2 <= len(top) <= 24:
        return False
    if len(top) == 2 and top.lower() not in COUNTRIES:
        return False
    return all(label.isupper() or label[1:] == label[1:].lower() for label in (*labels, top))
