"""The sandbox's own data, made by code that knows nothing of the masker, judged by a scanner that shares none of it."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from downstage.masking.compile import ItemMasker
from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.sandbox.generator import World, generate
from downstage.verify.leaks import LeakScanner

PSEUDONYMS = EmailPseudonyms(MaskKey(bytes(range(64))), "test", "u-{token}@test.example.com")


def on_the_wire(value: Any) -> Any:
    """Bytes as base64 text, as DynamoDB sends them."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: on_the_wire(member) for name, member in value.items()}
    return [on_the_wire(member) for member in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def world() -> World:
    return generate(150, 7)


@pytest.fixture(scope="module")
def items(world: World) -> list[dict[str, Any]]:
    return [on_the_wire(item) for items in world.tables.values() for item in items]


def test_nothing_leaks_and_a_second_pass_changes_nothing(items: list[dict[str, Any]]) -> None:
    masker, again = ItemMasker(PSEUDONYMS), ItemMasker(PSEUDONYMS)
    scanner = LeakScanner(allowed=PSEUDONYMS.allowed, fingerprint=PSEUDONYMS.fingerprint)
    for item in items:
        masked = masker(item)
        assert scanner.scan_item(masked) == []
        assert again(masked) is masked
    assert again.replaced == 0


def test_no_planted_address_is_left_in_plain_sight(world: World, items: list[dict[str, Any]]) -> None:
    masker = ItemMasker(PSEUDONYMS)
    written = b"\n".join(orjson.dumps(masker(item)) for item in items).decode()
    assert world.ledger.plantings
    for planting in world.ledger.plantings:
        assert planting.address not in written


def test_what_is_planted_is_changed_and_what_must_survive_is_not(world: World) -> None:
    places = {
        (table, item["pk"]["S"], item["sk"]["S"]): on_the_wire(item)
        for table, items in world.tables.items()
        for item in items
    }
    masker = ItemMasker(PSEUDONYMS)
    for planting in world.ledger.plantings:
        item = places[planting.table, planting.pk, planting.sk]
        assert masker(item)[planting.attribute] != item[planting.attribute]
    for survivor in world.ledger.survivors:
        item = places[survivor.table, survivor.pk, survivor.sk]
        assert orjson.dumps(masker(item)[survivor.attribute]) == orjson.dumps(on_the_wire(survivor.value))


def test_keys_stay_distinct(items: list[dict[str, Any]]) -> None:
    masker = ItemMasker(PSEUDONYMS)
    before = {orjson.dumps([item["entityName"], item["pk"], item["sk"]]) for item in items}
    after = {orjson.dumps([masked["entityName"], masked["pk"], masked["sk"]]) for masked in map(masker, items)}
    assert len(after) == len(before)
