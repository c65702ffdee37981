"""The words and the three shapes of a difference: a text that is another, a named part that is another, a side that is
not known. What can be compared is compared as the text that is shown, so that no two equal lines ever differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from downstage.domain.table_schema import Difference, Encryption, Index, KeyPart, Remedy, Scaling, Units, Unknown

NONE = "none"
ONLY_TARGET = "only the target has it: remove it yourself, or accept it"


def differing(
    fact: str, place: str, ours: str, theirs: str, *, remedy: Remedy = "change", note: str = ""
) -> Iterator[Difference]:
    """The difference, if the texts differ."""
    if ours != theirs:
        yield Difference(fact, place, ours, theirs, remedy=remedy, note=note)


def unknown(fact: str, ours: Any, theirs: Any, *, place: str = "") -> Difference:
    """At least one side is not known: that is a difference."""
    texts = [f"not known: {side.reason}" if isinstance(side, Unknown) else "known" for side in (ours, theirs)]
    return Difference(
        fact, place, texts[0], texts[1], "unknown", "none", "allow the role to look, or accept it in the configuration"
    )


def named(fact: str, ours: Mapping[str, str] | Unknown, theirs: Mapping[str, str] | Unknown) -> Iterator[Difference]:
    """Facts with a name each: what the source lacks is only shown."""
    if isinstance(ours, Unknown) or isinstance(theirs, Unknown):
        yield unknown(fact, ours, theirs)
        return
    for name in sorted({*ours, *theirs}):
        if name not in ours:
            yield Difference(fact, name, NONE, theirs[name], remedy="by hand", note=ONLY_TARGET)
        elif ours[name] != theirs.get(name):
            yield Difference(fact, name, ours[name], theirs.get(name, NONE), remedy="change")


def keys_text(keys: Iterable[KeyPart]) -> str:
    """A key in words."""
    return ", ".join(f"{key.name} {key.type} {key.role}" for key in keys) or NONE


def index_text(index: Index) -> str:
    """An index in words: its key and what it projects."""
    attributes = f" ({', '.join(index.attributes)})" if index.attributes else ""
    return f"{keys_text(index.keys)}; {index.projection}{attributes}"


def units_text(units: Units, way: str) -> str:
    """The read or write units."""
    return number_text(getattr(units, way))


def number_text(number: int | None) -> str:
    """A number, or that there is none."""
    return NONE if number is None else str(number)


def place_of(index: str | None, way: str) -> str:
    """Where units belong: "read", "by-name write"."""
    return f"{index} {way}" if index else way


def scaling_text(one: Scaling) -> str:
    """A range and its policies."""
    return f"{one.minimum} to {one.maximum}, {json_text(list(one.policies))}"


def key_text(encryption: Encryption) -> str:
    """Whose key it is, and which."""
    kinds = {"aws-owned": "AWS-owned key", "aws-managed": "AWS-managed key", "customer": "customer key"}
    return f"{kinds[encryption.kind]} {encryption.key}" if encryption.key else kinds[encryption.kind]


def list_text(names: Iterable[str]) -> str:
    """Names in order."""
    return ", ".join(sorted(names)) or NONE


def json_text(value: Any) -> str:
    """A document in one line, the same text for the same content."""
    return json.dumps(value, sort_keys=True, separators=(", ", ": "), ensure_ascii=False, default=dict)
