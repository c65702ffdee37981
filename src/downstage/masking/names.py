"""Whether the name of a map's entry may be a person's, for a lock and a draft that name nobody.

`votes: {JohnRoberts: …, alice: …}` has people for names, and they look like fields. So each word of a name (split at
`_`, `-` and camel case) is looked up in the given and family names of seven languages. Some of those are words for
fields as well, and for some it cannot be said:

* FIELD words (`page`, `case`, `price`) are nobody's name here;
* the others that are ordinary words (`grace`, `mark`, `bill`) count only in company: `people_among` says how;
* every other word of the lists is a name, whatever stands beside it.

A name that is in no list is not recognised, unless most of those beside it are.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Collection, Iterator
from enum import IntEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from downstage.errors import ConfigError

_LANGUAGES = ("de", "en", "en-ca", "es", "es-mx", "fr", "it")
_NAME = re.compile(r"[A-Z][a-z]{2,14}")
_FEWEST = 1000
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LETTERS = re.compile(r"[A-Za-z]+")
_LONGEST = 256

FIELD = frozenset(
    re.findall(
        r"[a-z]+",
        """
    able angle april argo august ball banks battle beach best black bond branch brand bridges bright brown carrier
    case cash chance church city constant cross day delta diamond echo else english face fidelity field fields
    flowers forest french gates gene geo german glass golden good grand grant gray green gross hall head hill holder
    honor house hue irish january junior justice key kit lady lane lang lien line little loan lon long mac major man
    manual many marine marks mason max mile miles min mine miss name noble numbers omega page pages pagination papa
    parent park parks ping pope portal porter powers price prune rice ring rivers rush season see sellers september
    sha sharp short silver singleton small snow son song spring sterling stone strong sunday sweet temple tiny val
    van vars villa wall walls wan ward ware water waters weeks west white winter wise wolf wood woods young
        """,
    )
)
"""Words of the lists that are fields' names far more often than anybody's."""

_ORDINARY = frozenset(
    re.findall(
        r"[a-z]+",
        """
    adi alexa amber angel arabia arena argentina art aurora austin baker barry bass bee bell bill bird bishop bureau
    bush cafe campus canon carol carolina carry carter casino chad champion charlotte chase cherry china cisco clay
    cleveland cliff cole columbus cook cooper cotton craft cuba dakota dale dallas dean del dell denver desire dick
    don dot drake drew duke earl eula eve farmer ferry fisher florida ford fort foster foto fox france frank frost
    glen grace guy hamilton hang hardy harper hart heath hertz hood houston hunt hunter ike iris israel jack jackson
    jade jay jean jewel jordan joy juliet kelly kendra king knight lamb lance lee les liberty lies lily lincoln lord
    lou love madison maine mar maria marina mark martin maryland may mercury merit mike mills montana moon moss
    nadir nail nevada nick nielsen orlando oscar pace pain paris parker pat peg piper potter potts prince randy
    ranger ray reed regis rich rob robin rocky rod roman romeo rory rose ross roy royal sage said sal sam sandy
    savage savannah shaw shelby sid sierra sonny spears star sydney tam tango tanner taylor ted terry thu tracy troy
    tucker tyler valentine victor virginia wade washington wayne wells wes will york
        """,
    )
)


class Likeness(IntEnum):
    """How much the name of an entry looks like somebody's."""

    NOT = 0
    PERHAPS = 1
    SURELY = 2


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case: `bob_SmithII` is bob, smith, ii."""
    return [word.lower() for word in _CAMEL.findall(name[:_LONGEST])]


@lru_cache(maxsize=4096)
def likeness(name: str) -> Likeness:
    """What the words of one name say. Raises ConfigError if the lists cannot be read."""
    known = _names()
    # a whole run counts too: `McDonald` is two words, and one name
    runs = [run.lower() for run in _LETTERS.findall(name[:_LONGEST])]
    listed = [word for word in dict.fromkeys((*words_of(name), *runs)) if word in known and word not in FIELD]
    if not listed:
        return Likeness.NOT
    return Likeness.PERHAPS if _ORDINARY.issuperset(listed) else Likeness.SURELY


def people_among(names: Collection[str]) -> set[str]:
    """The names of one map that may be people's.

    All of them, if half look so, and one of these surely; or if more than half do, surely or perhaps. Else only
    those that surely do: `mark` among many plain fields is a field.
    """
    likely = {name: likeness(name) for name in names}
    surely = {name for name, like in likely.items() if like is Likeness.SURELY}
    doubled = 2 * sum(like is not Likeness.NOT for like in likely.values())
    if doubled > len(likely) or (surely and doubled == len(likely)):
        return set(likely)
    return surely


@cache
def _names() -> frozenset[str]:
    """Every given and family name of the languages, in lower case: plain ASCII words of three letters or more."""
    spec = importlib.util.find_spec("mimesis")
    if spec is None or spec.origin is None:
        raise _missing()
    root = Path(spec.origin).parent / "datasets"
    try:
        people = [json.loads((root / language / "person.json").read_text(encoding="utf-8")) for language in _LANGUAGES]
        found = [name for person in people for kind in ("names", "surnames") for name in _flat(person[kind])]
    except (OSError, ValueError, KeyError):
        raise _missing() from None
    names = frozenset(name.lower() for name in found if isinstance(name, str) and _NAME.fullmatch(name))
    if len(names) < _FEWEST:
        raise _missing()
    return names


def _flat(entries: Any) -> Iterator[Any]:
    """Names stand in a list, or in one for men and one for women."""
    for entry in entries.values() if isinstance(entries, dict) else [entries]:
        yield from entry


def _missing() -> ConfigError:
    return ConfigError(
        "the lists of people's names cannot be read, without which names of people cannot be told from names of "
        "fields: install Downstage again, with mimesis 22"
    )
