"""Strategies that do not look at the value: redact, drop, null, keep. All but keep take maps, lists and sets whole."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from downstage.masking.strategies.base import DROPPED, Attribute, Place, Strategy
from downstage.masking.strategies.leaves import refusal
from downstage.masking.strategies.options import Options

_REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class Redact:
    """Every value becomes the same text, 0, or false, inside maps and lists too; a set becomes one such member.
    The names in maps stay: they are scanned as all names are."""

    text: str
    injective: bool = False
    idempotent: bool = True
    whole: bool = True

    def replace(self, value: Attribute, place: Place) -> Attribute:
        """See Strategy."""
        ((kind, content),) = value.items()
        if kind == "M":
            return {"M": {name: self.replace(inner, place) for name, inner in content.items()}}
        if kind == "L":
            return {"L": [self.replace(inner, place) for inner in content]}
        if kind == "NULL" or content == "":
            return value
        leaves: dict[str, Any] = {"S": self.text, "N": "0", "B": self._binary(), "BOOL": False}
        leaves |= {"SS": [self.text], "NS": ["0"], "BS": [self._binary()]}
        if kind not in leaves:
            raise refusal("redact", kind)
        return {kind: leaves[kind]}

    def _binary(self) -> str:
        return base64.b64encode(self.text.encode()).decode()


@dataclass(frozen=True, slots=True)
class Drop:
    """No value is written, not even NULL."""

    injective: bool = False
    idempotent: bool = True
    whole: bool = True

    def replace(self, value: Attribute, place: Place) -> Attribute:
        """See Strategy."""
        return DROPPED


@dataclass(frozen=True, slots=True)
class Null:
    """Every value becomes NULL, the empty string too."""

    injective: bool = False
    idempotent: bool = True
    whole: bool = True

    def replace(self, value: Attribute, place: Place) -> Attribute:
        """See Strategy."""
        return {"NULL": True}


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing is replaced here; the address scan that follows replaces what it finds, as everywhere."""

    injective: bool = True
    idempotent: bool = True
    whole: bool = False

    def replace(self, value: Attribute, place: Place) -> Attribute:
        """See Strategy."""
        return value


def make_redact(options: Options) -> Strategy:
    """`redact`: `with` is the text that stands instead."""
    return Redact(options.text("with", _REDACTED))
