"""From an item to the documents that it calls for: by a function of the user's, or from attributes that are named.

A function is `module:function(item)`. It is handed one item of the *target's* table (already masked) in typed JSON, a
copy of its own, and gives `(index, id, document)`, a list of such, or None. A document is plain JSON; its numbers may
be Decimals. What it does wrong is told by the class of the error alone: whatever it says may quote the item.

Without a function a document holds the named attributes as plain JSON: numbers digit by digit as they are, sets as
lists, binaries as base64 text.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from downstage.errors import ConfigError
from downstage.ports import Item, NewDocument

ItemMapping = Callable[[Item], Sequence[NewDocument]]
"""The documents of one item. Raises `MappingFailed`, or ConfigError for what is wrong with every item."""

LONGEST_ID = 512
"""Bytes of a document's id."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


class MappingFailed(Exception):
    """An item's documents cannot be made. The text is a reason that holds no data."""


def by_function(call: str) -> ItemMapping:
    """The mapping that calls `module:function`. Raises ConfigError if there is no such function."""
    function = load(call)

    def documents(item: Item) -> Sequence[NewDocument]:
        try:
            answer = function(item)
        except Exception as error:  # noqa: BLE001  a user's function may raise anything
            raise MappingFailed(f"{call} raised {type(error).__name__}") from None
        if answer is None:
            return ()
        found = answer if isinstance(answer, list) else [answer]
        return [_checked(call, one) for one in found]

    return documents


def by_attributes(attributes: Sequence[str], wanted: Callable[[Item], Sequence[tuple[str, str]]]) -> ItemMapping:
    """The mapping that takes `attributes` (`*`: all) into a document for each (index, id) that `wanted` gives."""
    every = "*" in attributes

    def documents(item: Item) -> Sequence[NewDocument]:
        places = wanted(item)
        if not places:
            return ()
        names = item if every else [name for name in attributes if name in item]
        source = orjson.dumps({name: plain(item[name]) for name in names})
        return [NewDocument(index, _identified(document_id), source) for index, document_id in places]

    return documents


def load(call: str) -> Callable[[Item], Any]:
    """The function that `module:function` names. Raises ConfigError."""
    module_name, _, name = call.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001  a module may raise anything while it is imported
        raise ConfigError(
            f"search.backfill.call: cannot import '{module_name}' ({type(error).__name__}): it must be installed, or "
            "stand on PYTHONPATH"
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"search.backfill.call: finds no function '{name}' in the module '{module_name}'")
    loaded: Callable[[Item], Any] = function
    return loaded


def plain(value: Mapping[str, Any]) -> Any:
    """A typed value as `orjson` writes it plainly."""
    ((kind, content),) = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return _number(content)
        case "NS":
            return [_number(member) for member in content]
        case "M":
            return {name: plain(member) for name, member in content.items()}
        case "L":
            return [plain(member) for member in content]
        case _:
            return content


def _number(content: str) -> Any:
    return orjson.Fragment(content) if _NUMBER.fullmatch(content) else content


def _checked(call: str, answer: Any) -> NewDocument:
    """One answer of a function as a document."""
    if not isinstance(answer, tuple) or len(answer) != 3:
        raise MappingFailed(f"{call} returned {type(answer).__name__}, not (index, id, document)")
    index, document_id, document = answer
    if not isinstance(index, str) or not index or not isinstance(document_id, str):
        raise MappingFailed(f"{call} returned an index or id that is no text")
    if not isinstance(document, Mapping):
        raise MappingFailed(f"{call} returned a document that is no mapping")
    try:
        source = orjson.dumps(dict(document), default=_default)
    except (TypeError, ValueError):
        raise MappingFailed(f"{call} returned a document that is no JSON") from None
    return NewDocument(index, _identified(document_id), source)


def _identified(document_id: str) -> str:
    try:
        size = len(document_id.encode())
    except UnicodeEncodeError:
        raise MappingFailed("an id cannot be written as UTF-8") from None
    if not 0 < size <= LONGEST_ID:
        raise MappingFailed(f"an id is empty, or longer than {LONGEST_ID} bytes")
    return document_id


def _default(value: Any) -> Any:
    """What `orjson` cannot write by itself."""
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError
