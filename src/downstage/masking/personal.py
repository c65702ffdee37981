"""What looks personal: the shape of a value, the name of a field, and what a draft policy should say of it.

A guess for a person to look at, never a decision: nothing here masks anything. Addresses need no rule, for they are
found everywhere. Rules: a value is looked at for its shape alone and nothing of it is kept; a name such as `name`,
which says little, counts only if the values agree; a shape counts only if it is distinctive (`(202) 555-0100` is,
`2025550100` is not), so phone numbers are stricter here than where the strategy `text` looks for them. Work is
bounded: no more than `LOOKED_AT` characters of a text are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from downstage.domain.paths import KEY, Name, Steps
from downstage.domain.policy import StrategySpec
from downstage.masking.address import find
from downstage.masking.observation import Leaf
from downstage.masking.shapes import Finder, cards, ips, postcodes, ssns

LOOKED_AT = 2048
_LONGEST_VALUE = 100

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_PHONE = re.compile(
    r"(?<![\w.-])(?<!\d )(?:\+\d{1,3}[ .-]?|1[ .-])?(?:\(\d{2,4}\) ?|\d{2,4}[ .-])\d{3,4}[ .-]\d{3,4}(?![\w-]|[ .]\d)"
)
_PLUS_PHONE = re.compile(r"(?<![\w.-])\+\d{8,15}(?!\w)")
_DATE = re.compile(r"(?:19|20)\d\d-\d\d-\d\d(?:T\S{0,30})?|\d{1,2}/\d{1,2}/(?:19|20)\d\d")
_PERSON = re.compile(r"(?:[A-Z][a-z'’-]{1,20}|[A-Z]\.?)(?: (?:[A-Z][A-Za-z'’-]{1,20}|[A-Z]\.?)){1,3}")
_STREET = re.compile(
    r"\d{1,6}[A-Za-z]? (?:[\w.'’-]{1,30} ){0,5}"
    r"(?:st|street|ave|avenue|rd|road|blvd|boulevard|ln|lane|dr|drive|ct|court|way|pl|place|sq|square|hwy)\b.{0,60}",
    re.IGNORECASE,
)
_SHORTEST_IP = 5

EMAIL, PHONE, SSN, CARD, IP = "email", "phone", "ssn", "card", "ip"
DATE, PERSON, STREET, POSTCODE = "date", "person", "street", "postcode"
IN_TEXT = "-in-text"
_IN_TEXT_STRATEGY = ("phone", "ssn", "card", "ip")


def shapes_of(text: str) -> tuple[str, ...]:
    """The shapes of `text` as a whole (`phone`, `date`), or else those that stand somewhere in it (`phone-in-text`)."""
    looked = text[:LOOKED_AT].strip()
    if len(looked) <= _LONGEST_VALUE:
        whole = tuple(name for name, has in _WHOLE.items() if has(looked))
        if whole:
            return whole
    rest = _without_addresses(looked)
    found = tuple(name + IN_TEXT for name, holds in _WITHIN.items() if holds(rest))
    return found if rest is looked else (EMAIL + IN_TEXT, *found)


def _without_addresses(text: str) -> str:
    """The text without its addresses; `text` itself if it has none. An IP literal may be part of one."""
    pieces: list[str] = []
    end = 0
    for start, stop in find(text) if "@" in text else ():
        pieces.append(text[end:start])
        end = stop
    return " ".join((*pieces, text[end:])) if pieces else text


def _is(finder: Finder) -> Callable[[str], bool]:
    """Whether a text is, from end to end, one thing of this form."""
    return lambda text: list(finder(text)) == [(0, len(text))]


def _holds(finder: Finder) -> Callable[[str], bool]:
    """Whether a thing of this form stands in a text."""
    return lambda text: next(finder(text), None) is not None


_WHOLE: Mapping[str, Callable[[str], bool]] = {
    EMAIL: lambda text: "@" in text and _is(find)(text),
    SSN: _is(ssns),
    PHONE: lambda text: (_PHONE.fullmatch(text) or _PLUS_PHONE.fullmatch(text)) is not None,
    CARD: _is(cards),
    IP: lambda text: len(text) >= _SHORTEST_IP and _is(ips)(text),
    DATE: lambda text: _DATE.fullmatch(text) is not None,
    STREET: lambda text: _STREET.fullmatch(text) is not None,
    POSTCODE: _is(postcodes),
    PERSON: lambda text: _PERSON.fullmatch(text) is not None,
}
_WITHIN: Mapping[str, Callable[[str], bool]] = {
    SSN: _holds(ssns),
    PHONE: lambda text: (_PHONE.search(text) or _PLUS_PHONE.search(text)) is not None,
    CARD: _holds(cards),
    IP: _holds(ips),
}


# ---- by the field's name


@dataclass(frozen=True, slots=True)
class _Named:
    """What a name suggests. `shape` must be that of at least `share` of the values, if it is not empty."""

    words: tuple[str, ...]
    strategy: str
    shape: str = ""
    share: float = 0.0


_BY_NAME: tuple[_Named, ...] = tuple(
    _Named(tuple(words.split()), strategy, shape, share)
    for words, strategy, shape, share in (
        ("email hash", "hash", "", 0.0),
        ("gravatar", "hash", "", 0.0),
        ("first name", "given_name", "", 0.0),
        ("given name", "given_name", "", 0.0),
        ("firstname", "given_name", "", 0.0),
        ("middle name", "given_name", "", 0.0),
        ("last name", "family_name", "", 0.0),
        ("lastname", "family_name", "", 0.0),
        ("family name", "family_name", "", 0.0),
        ("maiden name", "family_name", "", 0.0),
        ("surname", "family_name", "", 0.0),
        ("full name", "name", "", 0.0),
        ("fullname", "name", "", 0.0),
        ("display name", "name", "", 0.0),
        ("contact name", "name", "", 0.0),
        ("person name", "name", "", 0.0),
        ("customer name", "name", "", 0.0),
        ("recipient name", "name", "", 0.0),
        ("spouse", "name", PERSON, 0.5),
        ("signatory", "name", PERSON, 0.5),
        ("name", "name", PERSON, 0.5),
        ("phone", "phone", "", 0.0),
        ("telephone", "phone", "", 0.0),
        ("mobile", "phone", PHONE, 0.3),
        ("cell", "phone", PHONE, 0.3),
        ("fax", "phone", PHONE, 0.3),
        ("ssn", "ssn", "", 0.0),
        ("social security", "ssn", "", 0.0),
        ("tin", "ssn", SSN, 0.3),
        ("tax id", "ssn", SSN, 0.3),
        ("birth date", "date_shift", "", 0.0),
        ("birthdate", "date_shift", "", 0.0),
        ("birth day", "date_shift", "", 0.0),
        ("birthday", "date_shift", "", 0.0),
        ("date of birth", "date_shift", "", 0.0),
        ("dob", "date_shift", "", 0.0),
        ("zip", "postcode", "", 0.0),
        ("zipcode", "postcode", "", 0.0),
        ("postal code", "postcode", "", 0.0),
        ("postalcode", "postcode", "", 0.0),
        ("postcode", "postcode", "", 0.0),
        ("post code", "postcode", "", 0.0),
        ("city", "city", "", 0.0),
        ("town", "city", "", 0.0),
        ("street", "address", "", 0.0),
        ("address line", "address", "", 0.0),
        ("mailing address", "address", "", 0.0),
        ("home address", "address", "", 0.0),
        ("address", "address", STREET, 0.3),
        ("credit card", "card", "", 0.0),
        ("card number", "card", "", 0.0),
        ("ip address", "ip", "", 0.0),
        ("source ip", "ip", "", 0.0),
        ("client ip", "ip", "", 0.0),
    )
)
_BY_SHAPE: Mapping[str, str] = {SSN: "ssn", PHONE: "phone", CARD: "card", IP: "ip", STREET: "address"}
_MOSTLY = 0.2
_BY_CHANCE = 0.1
"""One number in ten has a card's check digit."""
_NUMBERS = frozenset(("N", "NS"))
_FOR_TEXTS = frozenset(("S", "SS"))
_FOR_NUMBERS = frozenset(("phone", "ssn", "postcode", "date_shift"))
_LOOKS_LIKE: Mapping[str, str] = {
    PHONE: "a phone number",
    SSN: "a social security number",
    CARD: "a card number",
    IP: "an IP address",
    DATE: "a date",
    PERSON: "a person's name",
    STREET: "a street address",
    POSTCODE: "a postcode",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule for the draft: `values` is how many texts were seen at the path, `reason` why, with shares, no values.
    One of `doubt` should not hold before a person has looked at it."""

    path: Steps
    strategy: StrategySpec
    reason: str
    values: int
    doubt: bool = False


def suggest(leaf: Leaf) -> Suggestion | None:
    """What a draft policy should say of the values at one path, or None if nothing looks personal.

    A rule holds for all that stands at its path: where other types stand there too, it is of doubt.
    """
    found = _guess(leaf) if leaf.values else None
    if found is None:
        return None
    treated = _FOR_TEXTS | (_NUMBERS if found.strategy.name in _FOR_NUMBERS else frozenset())
    others = sorted(set(leaf.types) - treated - {"NULL"})
    if not others or found.strategy.name == "redact":
        return found
    return replace(found, reason=f"{found.reason}; but also holds {' '.join(others)}, which it refuses", doubt=True)


def _guess(leaf: Leaf) -> Suggestion | None:
    named = _named(leaf)
    if named is not None:
        return _suggestion(leaf, named.strategy, "by its name")
    for shape, strategy in _BY_SHAPE.items():
        if leaf.shapes.get(shape, 0) > _MOSTLY * leaf.values:
            return _suggestion(leaf, strategy, "")
    if set(leaf.types) <= _NUMBERS:
        return None
    kinds = tuple(
        kind for kind in _IN_TEXT_STRATEGY if _count(leaf, kind) > (_BY_CHANCE * leaf.values if kind == CARD else 0)
    )
    if kinds:
        held = ", ".join(f"{_share(_count(leaf, kind), leaf.values)} hold {_LOOKS_LIKE[kind]}" for kind in kinds)
        return Suggestion(leaf.path, StrategySpec("text", {"kinds": kinds}), held, leaf.values)
    named_in_text = leaf.shapes.get(PERSON + IN_TEXT, 0)
    if named_in_text:
        reason = f"free text; names of people in {_share(named_in_text, leaf.values)}"
        return Suggestion(leaf.path, StrategySpec("redact"), reason, leaf.values, doubt=True)
    return None


def _named(leaf: Leaf) -> _Named | None:
    step = next((step for step in reversed(leaf.path) if isinstance(step, Name)), None)
    if step is None or KEY in leaf.path:
        return None
    words = [word.lower() for word in _WORD.findall(step.name)]
    for named in _BY_NAME:
        if not _stand_in(words, named.words) or (set(leaf.types) <= _NUMBERS and named.strategy not in _FOR_NUMBERS):
            continue
        if leaf.shapes.get(named.shape, 0) >= named.share * leaf.values:
            return named
    return None


def _stand_in(words: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether `wanted` stand next to each other in `words`; a plural counts too."""
    size = len(wanted)
    for at in range(len(words) - size + 1):
        *front, last = words[at : at + size]
        if (*front, last) == (*wanted,) or (*front, last.removesuffix("s")) == (*wanted,):
            return True
    return False


def _suggestion(leaf: Leaf, strategy: str, reason: str) -> Suggestion:
    shape = {"date_shift": DATE, "name": PERSON, "address": STREET}.get(strategy, strategy)
    reasons = [reason] if reason else []
    if shape in _LOOKS_LIKE and leaf.shapes.get(shape):
        reasons.append(f"{_share(leaf.shapes[shape], leaf.values)} look like {_LOOKS_LIKE[shape]}")
    return Suggestion(leaf.path, _spec(strategy), ", ".join(reasons), leaf.values)


def _spec(strategy: str) -> StrategySpec:
    options: Mapping[str, Any] = {}
    if strategy == "date_shift":
        options = {"days": 30}
    elif strategy in (CARD, IP):
        return StrategySpec("text", {"kinds": (strategy,)})
    return StrategySpec(strategy, options)


def _count(leaf: Leaf, kind: str) -> int:
    return leaf.shapes.get(kind, 0) + leaf.shapes.get(kind + IN_TEXT, 0)


def _share(count: int, of: int) -> str:
    """A share in whole percent; never 0% or 100% unless it is so."""
    if count == of:
        return "all"
    return f"{min(max(round(100 * count / of), 1), 99)}%"
