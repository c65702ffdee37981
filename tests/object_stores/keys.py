"""Keys that have been lost by one tool or another, and what each store does to them before any sync sees them.

What a store does otherwise than S3 is data here: a test that meets anything else fails, a store that has learnt too.
"""

from __future__ import annotations

from typing import Literal

AWKWARD = {
    "dot segment first": "./dots",
    "dot segment inside": "m/./dots",
    "two dots": "two/../dots",
    "two dots at the end": "up/..",
    "only a dot": ".",
    "only two dots": "..",
    "two slashes": "n//slashes",
    "slash first": "/slash",
    "two slashes first": "//slashes",
    "folder": "folder/",
    "plus": "plus+plus",
    "percent that is no escape": "percent%zz",
    "percent that looks like an escape": "%41",
    "percent that looks like a slash": "slash%2Fslash",
    "question mark and hash": "what?x=1#part",
    "ampersand": "amp&amp;&lt;<>\"'",
    "equals and comma": "k=v,w;x:y@z",
    "space inside": "in side",
    "space first": " first",
    "space last": "last ",
    "newline": "new\nline",
    "carriage return": "carriage\rreturn",
    "tab": "tab\ttab",
    "backslash": "back\\slash",
    "control character": "ctl\x01\x1f",
    "delete character": "del\x7f",
    "next line": "nel\x85nel",
    "composed": "cafe-\u00e9",
    "decomposed": "cafe-e\u0301",
    "below the surrogates": "order-\uff5e",
    "beyond the first plane": "order-\U0001f600",
    "not a character": "order-\ufffe",
    "one long part": "long-" + "x" * 1019,
    "long in parts": "parts/" + "/".join(["y" * 200] * 5) + "/" + "z" * 13,
    "long in bytes": "é" * 512,
    "tilde and star": "~*!()",
    "right to left": "\u202eabc",
}
"""By what is awkward about them. Each is at most 1,024 bytes of UTF-8. No two differ only by what follows a folder's
name, so that a store that lists folder by folder keeps the order."""

Otherwise = Literal["refused"] | str
"""`refused`: the store does not take the key. Any other text: the key under which it keeps the object."""

_WRONG: dict[str, dict[str, Otherwise]] = {
    # Routes by a pattern that knows no newline: 404.
    "moto": {"newline": "refused"},
    # A file system behind: no dot segments, no part of a name beyond 255 bytes, a backslash is a slash.
    "seaweedfs": {
        "dot segment first": "refused",
        "dot segment inside": "refused",
        "two dots": "refused",
        "two dots at the end": "refused",
        "only a dot": "refused",
        "only two dots": "refused",
        "two slashes": "n/slashes",
        "slash first": "slash",
        "two slashes first": "slashes",
        "backslash": "back/slash",
        "one long part": "refused",
        "long in bytes": "refused",
    },
    "ministack": {},
}


UNCOPIED: dict[str, dict[str, str]] = {
    # A folder is no object there: it is listed, keeps no content, and cannot be copied.
    "seaweedfs": {"folder": "gone"},
    "ministack": {},
    "moto": {},
}
"""What a store lists and then does not copy, with what the copy ends as."""


def kept_as(engine: str) -> dict[str, Otherwise]:
    """What becomes of each awkward key in a store, by what is awkward about it."""
    return {**AWKWARD, **_WRONG[engine]}
