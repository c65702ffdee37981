"""The truth about the planted data: which address stands where, in which encoding, and what must not change.

Why: a test that asks our own detector where the addresses are proves nothing.
Rules: written down while the data is made, never derived from it afterwards by reading; kept beside the sandbox
(`truth.json`), outside the tables it describes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from downstage.sandbox.encodings import BY_NAME, Value
from downstage.sandbox.people import Mailbox

Item = dict[str, Value]
"""One DynamoDB item in typed form as boto3's client takes it (`B` is bytes, sets are lists)."""


@dataclass(frozen=True)
class Planting:
    """One address in one attribute of one item. `attribute` is the top-level attribute's name."""

    address: str
    form: str
    encoding: str
    table: str
    entity: str
    pk: str
    sk: str
    attribute: str

    @property
    def place(self) -> str:
        return f"{self.table}/{self.entity}.{self.attribute}"


@dataclass(frozen=True)
class Survivor:
    """A value without an address in it, however much it looks like one: it must come through byte for byte."""

    table: str
    pk: str
    sk: str
    attribute: str
    value: Value


@dataclass
class Ledger:
    """All items of production, by table, and what is known about them."""

    items: dict[str, list[Item]] = field(default_factory=dict)
    plantings: list[Planting] = field(default_factory=list)
    survivors: list[Survivor] = field(default_factory=list)

    def draft(self, table: str, entity: str, pk: str, sk: str) -> Draft:
        """A new item, already entered under `table`, to be filled in."""
        item: Item = {"pk": {"S": pk}, "sk": {"S": sk}, "entityName": {"S": entity}}
        self.items.setdefault(table, []).append(item)
        return Draft(self, table, item)


@dataclass(frozen=True)
class Draft:
    """One item that is being written, with the ledger that watches."""

    ledger: Ledger
    table: str
    item: Item

    def put(self, attribute: str, value: Value) -> None:
        """Set an attribute in which there is no address."""
        self.item[attribute] = value

    def text(self, attribute: str, text: str) -> None:
        self.put(attribute, {"S": text})

    def embed(self, attribute: str, encoding: str, *mailboxes: Mailbox) -> None:
        """Set an attribute to the mailboxes in the named encoding."""
        form = BY_NAME[encoding]
        self.put(attribute, form.embed(mailboxes))
        self.note(attribute, encoding, mailboxes[: form.uses])

    def note(self, attribute: str, encoding: str, mailboxes: Sequence[Mailbox]) -> None:
        """Enter that `attribute`, which is set already, holds these mailboxes."""
        pk, sk, entity = (self.item[name]["S"] for name in ("pk", "sk", "entityName"))
        self.ledger.plantings.extend(
            Planting(box.address, box.form, encoding, self.table, entity, pk, sk, attribute) for box in mailboxes
        )

    def survivor(self, attribute: str, value: Value) -> None:
        """Set an attribute that must never change."""
        self.put(attribute, value)
        self.ledger.survivors.append(Survivor(self.table, self.item["pk"]["S"], self.item["sk"]["S"], attribute, value))
