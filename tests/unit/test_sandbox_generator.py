"""The generated world: reproducible, complete, and its truth file true (checked with decoders written here)."""

from __future__ import annotations

import base64
import gzip
import html
import json
import quopri
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from downstage.errors import SandboxError
from downstage.sandbox.encodings import ENCODINGS, KEY_ENCODINGS
from downstage.sandbox.generator import World, document_id, generate, to_json, truth
from downstage.sandbox.layout import PROD_TABLE, PROD_USERS_TABLE
from downstage.sandbox.ledger import Item, Planting
from downstage.sandbox.specimens import NUMBERS

Value = dict[str, Any]
ADDRESS_IN_ASCII = re.compile(rb"[\w.+-]@[\w-]")


@pytest.fixture(scope="module")
def world() -> World:
    return generate(40, 7)


def values(value: Value) -> Iterator[Value]:
    """A typed value and everything inside it."""
    yield value
    for kind, content in value.items():
        if kind == "L":
            for member in content:
                yield from values(member)
        elif kind == "M":
            for member in content.values():
                yield from values(member)


def depth(value: Value) -> int:
    kind, content = next(iter(value.items()))
    members = content if kind == "L" else content.values() if kind == "M" else ()
    return 1 + max((depth(member) for member in members), default=0) if kind in "LM" else 0


def every_value(world: World) -> Iterator[Value]:
    for items in world.tables.values():
        for item in items:
            for value in item.values():
                yield from values(value)


def event_address(text: str) -> str:
    return str(json.loads(text)["to"])


DECODERS: dict[str, Callable[[Value], str | list[str]]] = {
    "plain": lambda v: [inner["S"] for inner in values(v) if "S" in inner],
    "display-name": lambda v: v["S"].partition("<")[2].removesuffix(">"),
    "free-text": lambda v: v["S"],
    "list-of-maps": lambda v: [entry["M"]["email"]["S"] for entry in v["L"]],
    "string-set": lambda v: list(v["SS"]),
    "map-name": lambda v: list(v["M"]),
    "json": lambda v: event_address(v["S"]),
    "json-in-json": lambda v: event_address(json.loads(v["S"])["event"]),
    "json-u0040": lambda v: event_address(v["S"]),
    "percent": lambda v: unquote(v["S"]),
    "percent-twice": lambda v: unquote(unquote(v["S"])),
    "mailto": lambda v: unquote(v["S"]),
    "html-entity": lambda v: html.unescape(v["S"]),
    "quoted-printable": lambda v: quopri.decodestring(v["S"].encode()).decode(),
    "base64-text": lambda v: base64.b64decode(v["S"]).decode(),
    "base64-gzip-json": lambda v: event_address(gzip.decompress(base64.b64decode(v["S"])).decode()),
    "binary-text": lambda v: v["B"].decode(),
    "binary-base64": lambda v: base64.b64decode(v["B"]).decode(),
    "binary-gzip-text": lambda v: gzip.decompress(v["B"]).decode(),
    "binary-gzip-json": lambda v: event_address(gzip.decompress(v["B"]).decode()),
    "binary-zlib": lambda v: zlib.decompress(v["B"]).decode(),
    "partition-key": lambda v: v["S"],
    "sort-key": lambda v: v["S"],
    "gsi-key": lambda v: v["S"],
}
HIDDEN = {"json-u0040", "percent", "percent-twice", "html-entity", "quoted-printable", "base64-text"}


def by_key(world: World) -> dict[tuple[str, str, str], Item]:
    return {(table, item["pk"]["S"], item["sk"]["S"]): item for table, items in world.tables.items() for item in items}


def test_the_same_numbers_give_the_same_world() -> None:
    first, again, other = generate(15, 3), generate(15, 3), generate(15, 4)
    assert first.tables == again.tables
    assert first.buckets == again.buckets
    assert truth(first) == truth(again)
    assert first.tables != other.tables


def test_no_case_is_refused_in_one_line() -> None:
    with pytest.raises(SandboxError, match="at least one case"):
        generate(0, 7)


def test_one_case_still_has_every_encoding_and_form() -> None:
    small = generate(1, 1)
    assert {p.encoding for p in small.ledger.plantings} >= {e.name for e in ENCODINGS} | set(KEY_ENCODINGS)
    assert {p.form for p in small.ledger.plantings} >= {
        "ordinary", "plus", "case-twin", "idn-unicode", "idn-ascii", "nfc", "nfd", "apostrophe", "quoted", "no-dot",
        "ip-literal",
    }  # fmt: skip


def test_every_type_occurs(world: World) -> None:
    found = list(every_value(world))
    kinds = {kind for value in found for kind in value}
    assert kinds == {"S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL"}
    empties: list[Value] = [{"S": ""}, {"B": b""}, {"L": []}, {"M": {}}]
    assert all(empty in found for empty in empties)
    assert {value["N"] for value in found if "N" in value} >= set(NUMBERS)
    assert max(len(value["N"].replace(".", "").strip("0-")) for value in found if "N" in value) == 38
    assert max(depth(value) for value in found) >= 12


def test_every_planted_address_is_where_the_ledger_says(world: World) -> None:
    items = by_key(world)
    assert len(world.ledger.plantings) > 500
    for planting in world.ledger.plantings:
        value = items[planting.table, planting.pk, planting.sk][planting.attribute]
        assert found(planting, value), (planting.encoding, planting.place)


def found(planting: Planting, value: Value) -> bool:
    decoded = DECODERS[planting.encoding](value)
    if planting.encoding in HIDDEN and planting.address.encode() in to_json(value).encode():
        return False
    return planting.address in decoded


def test_a_planted_address_in_a_deep_value_is_found_deep(world: World) -> None:
    assert any(
        depth(item["imported"]) >= 8 and planting.address in DECODERS["plain"](item["imported"])
        for planting in world.ledger.plantings
        if "imported" in (item := by_key(world)[planting.table, planting.pk, planting.sk])
    )


def test_no_address_stands_where_nothing_was_planted(world: World) -> None:
    planted = {(p.table, p.pk, p.sk, p.attribute) for p in world.ledger.plantings}
    for table, items in world.tables.items():
        for item in items:
            for attribute, value in item.items():
                if (table, item["pk"]["S"], item["sk"]["S"], attribute) not in planted:
                    assert not ADDRESS_IN_ASCII.search(to_json(value).encode()), (table, attribute)


def test_survivors_hold_nothing_like_an_ascii_address_even_in_bytes(world: World) -> None:
    assert len(world.ledger.survivors) > 30
    for survivor in world.ledger.survivors:
        for value in values(survivor.value):
            for data in [value.get("B"), *value.get("BS", [])]:
                assert not data or b"@" not in data


def test_twins_are_distinct_keys(world: World) -> None:
    lookups = {item["pk"]["S"] for item in world.tables[PROD_TABLE] if item["entityName"]["S"] == "UserEmail"}
    assert {"user-email|Bob.Lee@agency.example", "user-email|bob.lee@agency.example"} <= lookups


def test_keys_are_unique_and_sizes_sane(world: World) -> None:
    for items in world.tables.values():
        assert len({document_id(item) for item in items}) == len(items)
        sizes = [len(to_json(item)) for item in items]
        assert max(sizes) < 10_000
        assert all(len(document_id(item).encode()) <= 512 for item in items)
    sizes = [len(to_json(item)) for item in world.tables[PROD_TABLE]]
    assert 400 < sum(sizes) / len(sizes) < 1500
    assert all(item["entityName"]["S"] for items in world.tables.values() for item in items)


def test_addresses_are_reserved_and_never_the_sinks(world: World) -> None:
    hosts = {planting.address.rpartition("@")[2].lower() for planting in world.ledger.plantings}
    reserved = (".example", ".test", ".invalid", "example.org", "example.net")
    assert {host for host in hosts if not host.endswith(reserved)} == {
        "mainframe",
        "docketvax",
        "[192.0.2.7]",
        "[198.51.100.23]",
    }


def test_the_truth_counts_what_is_there(world: World) -> None:
    told = truth(world)
    json.dumps(told)
    for table, items in world.tables.items():
        assert told["items"][table]["total"] == len(items)
        assert told["items"][table]["by_entity"] == dict(Counter(item["entityName"]["S"] for item in items))
    cases = {f"{i['pk']['S']}_{i['sk']['S']}" for i in world.tables[PROD_TABLE] if i["entityName"]["S"] == "Case"}
    assert set(told["indexes"]["efcms-case"]["ids"]) == cases
    assert told["indexes"]["efcms-case"]["count"] == 40
    users = [i for t in (PROD_TABLE, PROD_USERS_TABLE) for i in world.tables[t] if i["entityName"]["S"] == "User"]
    assert told["indexes"]["efcms-user"]["count"] == len(users)
    times = [item.get("ttl") for item in world.tables[PROD_TABLE]]
    assert told["ttl"]["absent"] == times.count(None)
    assert told["ttl"]["not_a_number"] == sum(1 for time in times if time and "S" in time) >= 2
    numbers = [int(time["N"]) for time in times if time and "N" in time]
    assert told["ttl"]["expired"] == sum(1 for number in numbers if 1.6e9 < number < 4e9) >= 3
    assert told["ttl"]["ancient"] == sum(1 for number in numbers if number < 1.6e9) == 2
    assert sum(told["ttl"][name] for name in ("future", "expired", "ancient", "not_a_number", "absent")) == len(times)
    assert {entry["address"] for entry in told["addresses"]} == {p.address for p in world.ledger.plantings}


def test_the_expected_sync_is_what_the_buckets_differ_by(world: World) -> None:
    source = {document.key: document for document in world.buckets.source}
    target = {document.key: document for document in world.buckets.target}
    assert len(source) == len(world.buckets.source)
    assert len(target) == len(world.buckets.target)
    told = truth(world)["buckets"]["sync"]
    assert told["delete"] == len(target.keys() - source.keys()) > 0
    assert told["equal"] == sum(1 for key in source if key in target and source[key].body == target[key].body) > 0
    assert told["copy"] == len(source) - told["equal"]
    assert any(
        k in target and len(target[k].body) == len(d.body) and target[k].body != d.body for k, d in source.items()
    )
    assert not any("@" in key for key in source | target)
