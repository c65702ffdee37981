"""A masking plan and a key become one callable: item in, masked item out.

The walk goes over typed DynamoDB JSON. Numbers, booleans and nulls are never touched; an item, map, list or set in
which nothing changed is handed on as the same object. Addresses are replaced in strings, string sets, binaries,
binary sets, and names of attributes and map entries. If two members or names become one, the item is refused:
a silent loss is worse than a quarantined item.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from downstage.domain.plan import MaskingPlan
from downstage.errors import MaskingError
from downstage.masking.email import ALGORITHM, EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.nested import NestedMasker
from downstage.ports import Item

_NAMES_REMEMBERED = 4096
_CONTENT: Mapping[str, type] = {"S": str, "B": str, "M": dict, "L": list, "SS": list, "BS": list}
_NOT_TYPED_JSON = "an attribute is not in typed JSON: the item is refused"


class ItemMasker:
    """The compiled masking of one environment. Pure: equal items give equal results in every process and run."""

    def __init__(self, pseudonyms: EmailPseudonyms) -> None:
        self._nested = NestedMasker(pseudonyms.replace)
        self._clean_names: set[str] = set()

    @property
    def replaced(self) -> int:
        """How many addresses were replaced so far (a statistic of this object)."""
        return self._nested.replaced

    def __call__(self, item: Item) -> Item:
        """The masked item. Raises MaskingError if it cannot be masked; it must then not be written."""
        return self._attributes(item)

    def _attributes(self, attributes: dict[str, Any]) -> dict[str, Any]:
        changed = False
        masked: dict[str, Any] = {}
        for name, value in attributes.items():
            new_name = name if name in self._clean_names else self._name(name)
            new_value = self._value(value)
            if new_name is not name or new_value is not value:
                changed = True
            masked[new_name] = new_value
        if len(masked) != len(attributes):
            raise MaskingError("two names of one map have the same pseudonym")
        return masked if changed else attributes

    def _name(self, name: str) -> str:
        """The masked name; names are few and come again, so clean ones are remembered."""
        masked = self._nested.text(name)
        if masked is name and len(self._clean_names) < _NAMES_REMEMBERED:
            self._clean_names.add(name)
        return masked

    def _value(self, value: dict[str, Any]) -> dict[str, Any]:
        try:
            ((kind, content),) = value.items()
        except (AttributeError, ValueError):
            raise MaskingError(_NOT_TYPED_JSON) from None
        if not _fits(kind, content):
            raise MaskingError(_NOT_TYPED_JSON)
        masked: Any
        if kind == "S":
            masked = self._nested.text(content)
        elif kind == "M":
            masked = self._attributes(content)
        elif kind == "L":
            masked = self._list(content)
        elif kind == "B":
            masked = self._binary(content)
        elif kind == "SS":
            masked = self._set(content, self._nested.text)
        elif kind == "BS":
            masked = self._set(content, self._binary)
        elif kind in ("N", "NS", "BOOL", "NULL"):
            return value
        else:
            raise MaskingError("an attribute has a type that DynamoDB does not know")
        return value if masked is content else {kind: masked}

    def _list(self, members: list[dict[str, Any]]) -> list[dict[str, Any]]:
        masked = [self._value(member) for member in members]
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
        masked = self._nested.binary(raw)
        return content if masked is raw else base64.b64encode(masked).decode()


def _fits(kind: str, content: object) -> bool:
    return type(content) is _CONTENT.get(kind, type(content))


def compile_pseudonyms(plan: MaskingPlan, key: MaskKey) -> EmailPseudonyms:
    """The pseudonyms that `plan` describes."""
    return EmailPseudonyms(key, plan.environment, plan.sink, plan.keep_domains, plan.keep_addresses)


def fingerprint(plan: MaskingPlan, key: MaskKey) -> str:
    """16 hex digits that change if anything that decides a masked value changes; a resumed run must show the same."""
    parts: Mapping[str, Any] = {
        "algorithm": ALGORITHM,
        "key": key.check,
        "environment": plan.environment,
        "sink": plan.sink,
        "keep": sorted(plan.keep_domains),
        "keep_addresses": sorted(plan.keep_addresses),
    }
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()[:16]
