"""Previews of the masking: files and items of production go through the masking that a refresh uses.

Nothing is written to AWS; production is only read, gently. An item that is refused is left out and told, never shown.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson

from downstage.app.clock import SystemClock
from downstage.app.runs import Project
from downstage.app.sampling import look_at
from downstage.app.wiring import Sides
from downstage.aws.session import calling
from downstage.aws.tables import TableControl
from downstage.domain.refs import SourceTable
from downstage.errors import MaskingError, UsageError
from downstage.masking.compile import ItemMasker, TableShape
from downstage.planning import guards
from downstage.ports import Item
from downstage.wire.lines import Document, documents, is_item


@dataclass(frozen=True, slots=True)
class Refusal:
    """An item that was not masked and is not written: where it stood, and why, without its data."""

    line: int
    item: int
    reason: str


@dataclass(slots=True)
class MaskedFile:
    """How the masking of a file went. Filled as it goes on."""

    items: int = 0
    changed: int = 0
    refused: int = 0

    def summary(self, masker: ItemMasker) -> dict[str, Any]:
        """In numbers."""
        return {
            "items": self.items,
            "written": self.items - self.refused,
            "changed": self.changed,
            "refused": self.refused,
            "addresses": masker.replaced,
            "kept": masker.kept,
            "opaque": masker.opaque,
            "unknown": masker.unknown,
        }


def masked_documents(
    masker: ItemMasker, stream: BinaryIO, result: MaskedFile, refuse: Callable[[Refusal], None]
) -> Iterator[bytes]:
    """Each document of the stream, masked, in the shape in which it came. Refused items are left out and told."""
    for document in documents(stream):
        written = list(_masked_items(masker, document, result, refuse))
        yield document.written(written)


def _masked_items(
    masker: ItemMasker, document: Document, result: MaskedFile, refuse: Callable[[Refusal], None]
) -> Iterator[Item]:
    for number, item in enumerate(document.items, 1):
        result.items += 1
        try:
            masked = masker(item)
        except MaskingError as error:
            result.refused += 1
            refuse(Refusal(document.line, number, str(error)))
            continue
        result.changed += masked is not item
        yield masked


def nth_item(stream: BinaryIO, number: int) -> Item:
    """The item of that number (from 1) in a stream. Raises UsageError if there are fewer."""
    seen = 0
    for document in documents(stream):
        if seen + len(document.items) >= number:
            return document.items[number - seen - 1]
        seen += len(document.items)
    raise UsageError(f"there is no item {number}: the file holds {seen}")


class SourceTables:
    """The source's tables of one environment, read gently. Raises GuardRefused for credentials of another account."""

    def __init__(self, project: Project, environment: str) -> None:
        self._sides = Sides.of(project.plan(environment))
        self.plan = self._sides.plan
        guards.check_identity(self.plan.source, self._sides.source.caller(), project.environments())

    def names(self, only: str | None = None) -> tuple[str, ...]:
        """The source tables that the environment copies. Raises UsageError if `only` is none of them."""
        return table_names([pair.source.name for pair in self.plan.tables], only)

    def shape(self, table: str) -> TableShape:
        """The table's name and keys, from AWS."""
        facts = TableControl(self._sides.source).facts(table)
        return TableShape(facts.name, facts.key_names, facts.index_key_names)

    def visit(self, table: str, visit: Callable[[Item], None], count: int | None, rate: float | None) -> int:
        """Calls `visit` with `count` items from all over the table (None: all)."""
        source = SourceTable(self.plan.source.account, self.plan.source.region, table)
        return look_at(self._sides.source, source, visit, clock=SystemClock(), count=count, rate=rate)

    def item(self, table: str, key: Item) -> Item:
        """One item by its key. Raises UsageError if there is none."""
        with calling(self.plan.source, f"read an item of table {table}"):
            client = self._sides.source.client("dynamodb")
            answer = client.get_item(TableName=table, Key=_for_boto(key), ConsistentRead=True)
        if "Item" not in answer:
            raise UsageError(f"table {table} has no item of that key")
        item: Item = _from_boto(answer["Item"])
        return item


def table_names(tables: Sequence[str], only: str | None) -> tuple[str, ...]:
    """All of them, or the one that is asked for."""
    if only is None:
        return tuple(dict.fromkeys(tables))
    if only not in tables:
        raise UsageError(f"'{only}' is no source table of this environment: it copies {', '.join(tables) or 'none'}")
    return (only,)


def parse_key(text: str) -> Item:
    """A key in typed JSON from the command line."""
    try:
        key = orjson.loads(text)
    except orjson.JSONDecodeError:
        key = None
    if not is_item(key):
        raise UsageError('--key must be typed JSON such as \'{"pk": {"S": "…"}, "sk": {"S": "…"}}\'')
    found: Item = key
    return found


def _for_boto(value: Any) -> Any:
    return {name: _binary(held, base64.b64decode) for name, held in value.items()}


def _from_boto(value: Any) -> Any:
    return {name: _binary(held, lambda raw: base64.b64encode(bytes(raw)).decode()) for name, held in value.items()}


def _binary(attribute: Any, change: Callable[[Any], Any]) -> Any:
    ((kind, content),) = attribute.items()
    if kind == "B":
        return {kind: change(content)}
    if kind == "BS":
        return {kind: [change(member) for member in content]}
    if kind == "M":
        return {kind: {name: _binary(held, change) for name, held in content.items()}}
    if kind == "L":
        return {kind: [_binary(held, change) for held in content]}
    return attribute
