"""The fake-data lists: given and family names, cities, streets, as plain tuples that a draw indexes.

They are mimesis's English data files. Its code is never imported: no generator, no seed, only words. An entry that
is not made of plain capitalised words is left out, so a fake never holds a delimiter, an accent or a digit. A list is
read when a strategy that uses it is made; a change in one changes every pseudonym made from it, so its `version`
belongs to the fingerprint of a run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from downstage.errors import ConfigError

_PLAIN = re.compile(r"[A-Z][a-z]{2,14}(?: [A-Z][a-z]{2,14}){0,2}")
_FEWEST = 20

_SOURCES = {
    "given": ("person", ("names",)),
    "family": ("person", ("surnames",)),
    "city": ("address", ("city",)),
    "street": ("address", ("street", "name")),
    "suffix": ("address", ("street", "suffix")),
}


@cache
def fake_list(name: str) -> tuple[str, ...]:
    """The list `given`, `family` (single words), `city`, `street` or `suffix`: sorted, no entry twice.

    Raises ConfigError if the data is not there or is not what it was.
    """
    file, steps = _SOURCES[name]
    entries: Any = _data(file)
    try:
        for step in steps:
            entries = entries[step]
        words = tuple(sorted({entry for entry in _flat(entries) if _PLAIN.fullmatch(entry)}))
    except (KeyError, TypeError):
        words = ()
    if name in ("given", "family"):
        words = tuple(word for word in words if " " not in word)
    if len(words) < _FEWEST:
        raise _missing()
    return words


def version(names: Iterable[str]) -> str:
    """12 hex digits that change when an entry of these lists does; empty if there are none."""
    wanted = sorted(set(names))
    if not wanted:
        return ""
    content = "\0".join(f"{name}\0" + "\n".join(fake_list(name)) for name in wanted)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _flat(entries: Any) -> Iterable[str]:
    """The names for men and for women as one list: a draw must not tell which."""
    return [entry for group in entries.values() for entry in group] if isinstance(entries, dict) else entries


@cache
def _data(file: str) -> Any:
    spec = importlib.util.find_spec("mimesis")
    if spec is None or spec.origin is None:
        raise _missing()
    path = Path(spec.origin).parent / "datasets" / "en" / f"{file}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _missing() from None


def _missing() -> ConfigError:
    return ConfigError(
        "the fake-data lists cannot be read, and the policy uses a strategy that picks from them: "
        "install Downstage again, with mimesis 22"
    )
