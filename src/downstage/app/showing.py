"""What may be shown of an item that was masked: to whoever asks with `reveal` everything, to anybody else no data.

Of a value that was there before, its type and the class of its length are told; of what stands there now, only what is
certainly made up: the output of strategies that invent a whole value, and the pseudonyms of addresses. What stands
round a pseudonym in a text may be anybody's, and is `…`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from downstage.app.setting import Setting
from downstage.masking.address import find
from downstage.masking.changes import Change, changes
from downstage.masking.compile import ItemMasker, Touch
from downstage.masking.locked import UNKNOWN
from downstage.masking.naming import Naming
from downstage.masking.strategies.base import Attribute
from downstage.masking.tokens import LENGTH
from downstage.ports import Item

HIDDEN = "●●●●"

_MADE_UP = frozenset(
    ("phone", "ssn", "postcode", "name", "given_name", "family_name", "address", "city")  # one kind of thing each
) | {"redact", "null", "hash", "pick", "template"}
"""Strategies whose whole output is made up: it may be shown. Of all others only pseudonyms of addresses are."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A changed leaf, fit to be shown: what it was before in words, what it is now as far as that is made up."""

    path: str
    kind: str
    before: str
    after: str
    by: str
    rule: str
    strategy: str
    place: str


class Shower:
    """Makes the changes of items fit to be shown. `reveal` shows the values as they are."""

    def __init__(self, setting: Setting, masker: ItemMasker, table: str, *, reveal: bool) -> None:
        self._masker = masker
        self._naming = naming(setting, table)
        self._pseudonyms = setting.pseudonyms()
        self._length = len(setting.plan.sink.replace("{token}", "")) + LENGTH
        self._reveal = reveal

    def explain(self, item: Item) -> tuple[list[Touch], list[Shown]]:
        """What touched each leaf of the item, and its changed leaves. Raises MaskingError."""
        masked, touches = self._masker.explain(item)
        by_path: dict[str, list[Touch]] = {}
        for touch in touches:
            by_path.setdefault(touch.path, []).append(touch)
        found = [
            self._shown(change, by_path.get(change.path, [])) for change in changes(item, masked, self._naming.of(item))
        ]
        return touches, found

    def _shown(self, change: Change, touches: Sequence[Touch]) -> Shown:
        touch = next((touch for touch in touches if touch.changed), None)
        why = (touch.by, touch.rule, touch.strategy, touch.place) if touch is not None else ("", "", "", "")
        made_up = bool(touches) and all(touch.by == "rule" and touch.strategy in _MADE_UP for touch in touches)
        return Shown(change.path, change.kind, self._before(change), self._after(change, made_up), *why)

    def _before(self, change: Change) -> str:
        return value_text(change.before) if self._reveal else hidden(change.before)

    def _after(self, change: Change, made_up: bool) -> str:
        if change.after is None:
            return "—"
        if self._reveal or made_up:
            return value_text(change.after)
        return self._pseudonyms_alone(change.after)

    def _pseudonyms_alone(self, value: Attribute) -> str:
        """The pseudonyms that stand in a value; everything round them as `…`."""
        ((_, content),) = value.items()
        texts = [content] if isinstance(content, str) else content if isinstance(content, list) else []
        shown = [self._pseudonyms_in(text) for text in texts if isinstance(text, str)]
        return ", ".join(text for text in shown if text) or HIDDEN

    def _pseudonyms_in(self, text: str) -> str:
        pieces: list[str] = []
        end = 0
        for start, stop in find(text):
            address = text[start:stop]
            # What stands in front of a pseudonym may be somebody's: only one from end to end is shown.
            if len(address) == self._length and self._pseudonyms.is_pseudonym(address):
                pieces += ["…"] * (start > end) + [address]
                end = stop
        return "".join(pieces) + "…" * (bool(pieces) and end < len(text))


def naming(setting: Setting, table: str) -> Naming:
    """What may be shown of a table's names. A lock that does not name the table writes out none of them."""
    known = setting.known(table)
    return Naming(setting.rules(table), UNKNOWN if known is None and setting.plan.lock is not None else known)


def hidden(value: Attribute) -> str:
    """A value in words: how long it is, roughly, and nothing of what it says."""
    ((kind, content),) = value.items()
    if kind in ("S", "N", "B"):
        return f"{HIDDEN} {_class(len(content))}"
    if isinstance(content, (list, dict)):
        return f"{HIDDEN} {len(content)} {'member' if len(content) == 1 else 'members'}"
    return HIDDEN


def _class(length: int) -> str:
    if length == 0:
        return "empty"
    upper = 4
    while upper < length:
        upper *= 2
    return f"{upper // 2 + 1 if upper > 4 else 1}–{upper}"


def value_text(value: Attribute) -> str:
    """A value as it stands, for a line."""
    ((_, content),) = value.items()
    return content if isinstance(content, str) else orjson.dumps(content).decode()
