"""Text in S3's XML: written so that no parser changes it, read back as it was written. No I/O.

`html.unescape` will not do: it reads `&#128;` as another character, and names that XML does not know.
"""

from __future__ import annotations

import re
from functools import cache

_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_WRITTEN = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
_LARGEST = 0x10FFFF


def holds(text: str) -> bool:
    """Whether XML 1.0 can hold the text at all: it has no word for most control characters."""
    return _impossible().search(text) is None


def written(text: str) -> str:
    """The text as it stands between two tags. White space is written so that it is not folded."""
    return text.translate(_WRITTEN)


def read(text: str) -> str:
    """What stands between two tags."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


@cache
def _impossible() -> re.Pattern[str]:
    """Compiled when it is first needed: that takes a twentieth of a sync's start-up."""
    return re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _character(match: re.Match[str]) -> str:
    hexadecimal, decimal, name = match.groups()
    if name is not None:
        return _NAMED[name]
    number = int(hexadecimal, 16) if hexadecimal is not None else int(decimal)
    return chr(number) if number <= _LARGEST else match.group()
