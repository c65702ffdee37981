"""How a number of things is said."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 item`, `2,000 items`, `2 addresses`, `3 canaries`."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """More than one of them."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("s", "x")) else "s")
