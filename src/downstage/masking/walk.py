"""The walk over one item when no rule applies: every text, binary and name is looked through for addresses.

It goes over typed DynamoDB JSON. Numbers, booleans and nulls are never touched; an item, map, list or set in which
nothing changed is handed on as the same object. If two members or names become one, the item is refused: a silent
loss is worse than a quarantined item.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from downstage.errors import MaskingError
from downstage.masking.nested import NestedMasker
from downstage.masking.strategies.base import Attribute

_NAMES_REMEMBERED = 4096
_CONTENT: Mapping[str, type] = {"S": str, "B": str, "M": dict, "L": list, "SS": list, "NS": list, "BS": list}
_NOT_TYPED_JSON = "an attribute is not in typed JSON: the item is refused"


class AddressWalk:
    """Replaces addresses wherever they stand. `nested` does it for one value, and counts."""

    def __init__(self, nested: NestedMasker) -> None:
        self.nested = nested
        self._clean_names: set[str] = set()

    def attributes(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """An item, or the content of a map. Raises MaskingError if it cannot be masked."""
        changed = False
        masked: dict[str, Any] = {}
        for name, value in attributes.items():
            new_name = name if name in self._clean_names else self.name(name)
            new_value = self.value(value)
            if new_name is not name or new_value is not value:
                changed = True
            masked[new_name] = new_value
        if len(masked) != len(attributes):
            raise MaskingError("two names of one map have the same pseudonym")
        return masked if changed else attributes

    def name(self, name: str) -> str:
        """The masked name; names are few and come again, so clean ones are remembered."""
        if name in self._clean_names:
            return name
        masked = self.nested.text(name)
        if masked is name and len(self._clean_names) < _NAMES_REMEMBERED:
            self._clean_names.add(name)
        return masked

    def value(self, value: Attribute) -> Attribute:
        """One attribute value; the same object if nothing changes."""
        kind, content = opened(value)
        masked: Any
        if kind == "S":
            masked = self.nested.text(content)
        elif kind == "M":
            masked = self.attributes(content)
        elif kind == "L":
            masked = self._list(content)
        elif kind == "B":
            masked = self._binary(content)
        elif kind == "SS":
            masked = self._set(content, self.nested.text)
        elif kind == "BS":
            masked = self._set(content, self._binary)
        elif kind in ("N", "NS", "BOOL", "NULL"):
            return value
        else:
            raise MaskingError("an attribute has a type that DynamoDB does not know")
        return value if masked is content else {kind: masked}

    def _list(self, members: list[Attribute]) -> list[Attribute]:
        masked = [self.value(member) for member in members]
        return masked if any(new is not old for new, old in zip(masked, members, strict=True)) else members

    def _set(self, members: list[str], mask: Callable[[str], str]) -> list[str]:
        if not all(isinstance(member, str) for member in members):
            raise MaskingError(_NOT_TYPED_JSON)
        masked = [mask(member) for member in members]
        if all(new is old for new, old in zip(masked, members, strict=True)):
            return members
        if len(set(masked)) != len(members):
            raise MaskingError("two members of one set have the same pseudonym")
        return masked

    def _binary(self, content: str) -> str:
        try:
            raw = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            raise MaskingError("a binary attribute is not base64") from None
        masked = self.nested.binary(raw)
        return content if masked is raw else base64.b64encode(masked).decode()


def opened(value: Attribute) -> tuple[str, Any]:
    """The type and the content of an attribute value. Raises MaskingError if it is not typed JSON."""
    try:
        ((kind, content),) = value.items()
    except (AttributeError, ValueError):
        raise MaskingError(_NOT_TYPED_JSON) from None
    if type(content) is not _CONTENT.get(kind, type(content)):
        raise MaskingError(_NOT_TYPED_JSON)
    return kind, content
