"""Everything that production holds, and the truth about it, made from (cases, seed) alone.

Why: the same two numbers give the same sandbox on every machine, so a failure can be told to somebody else.
Rules: pure: no clock, no global random source, no I/O. What the truth file says comes from the ledger that was kept
while planting, except plain counts of items.
"""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from downstage.errors import SandboxError
from downstage.sandbox.court import Court
from downstage.sandbox.documents import Buckets, lay_out
from downstage.sandbox.layout import INDEX_OF_ENTITY, PROD_BUCKET, PROD_TABLE, TEST_BUCKET, TTL_ATTRIBUTE
from downstage.sandbox.ledger import Item, Ledger, Planting
from downstage.sandbox.specimens import TTL_ANCIENT, TTL_FUTURE, plant_specimens


@dataclass(frozen=True)
class World:
    """Production as it is to be seeded: items by table, objects of both buckets, and what was planted."""

    cases: int
    seed: int
    ledger: Ledger
    buckets: Buckets

    @property
    def tables(self) -> dict[str, list[Item]]:
        return self.ledger.items


def generate(cases: int, seed: int) -> World:
    """About ten items of about 1 KB a case, and the specimens. SandboxError if `cases` is below 1."""
    if cases < 1:
        raise SandboxError(f"a sandbox needs at least one case, not {cases}: give --cases a positive number")
    random = Random(seed)  # noqa: S311 - reproducible test data, not a secret
    ledger = Ledger()
    court = Court(ledger, random, cases)
    court.fill()
    plant_specimens(ledger, random, court.counsel + court.clerks)
    return World(cases, seed, ledger, lay_out(random))


def document_id(item: Item) -> str:
    """The search document's id for an item: `{pk}_{sk}`."""
    return f"{item['pk']['S']}_{item['sk']['S']}"


def indexed(items: Iterable[Item]) -> dict[str, list[Item]]:
    """The items that search must hold, by index."""
    by_index: dict[str, list[Item]] = {index: [] for index in INDEX_OF_ENTITY.values()}
    for item in items:
        index = INDEX_OF_ENTITY.get(item["entityName"]["S"])
        if index is not None:
            by_index[index].append(item)
    return by_index


def to_json(value: object) -> str:
    """JSON text in which bytes are base64 text, as DynamoDB writes them on the wire."""
    return json.dumps(value, default=lambda data: base64.b64encode(data).decode("ascii"), ensure_ascii=False)


def truth(world: World) -> dict[str, Any]:
    """The content of truth.json: see the keys below. Index ids are those of production, before masking."""
    everything = [item for items in world.tables.values() for item in items]
    by_index = indexed(everything)
    return {
        "version": 1,
        "cases": world.cases,
        "seed": world.seed,
        "addresses": addresses(world.ledger.plantings),
        "survivors": [
            {
                "table": kept.table,
                "pk": kept.pk,
                "sk": kept.sk,
                "attribute": kept.attribute,
                "value": json.loads(to_json(kept.value)),
            }
            for kept in world.ledger.survivors
        ],
        "items": {
            table: {
                "total": len(items),
                "by_entity": dict(sorted(Counter(i["entityName"]["S"] for i in items).items())),
            }
            for table, items in world.tables.items()
        },
        "indexes": {
            index: {"count": len(items), "ids": sorted(document_id(item) for item in items)}
            for index, items in by_index.items()
        },
        "ttl": {"table": PROD_TABLE, "attribute": TTL_ATTRIBUTE, **expiries(world.tables[PROD_TABLE])},
        "buckets": {
            "objects": {PROD_BUCKET: len(world.buckets.source), TEST_BUCKET: len(world.buckets.target)},
            "sync": {
                "copy": world.buckets.to_copy,
                "delete": world.buckets.to_delete,
                "equal": world.buckets.equal,
            },
        },
    }


def addresses(plantings: Iterable[Planting]) -> list[dict[str, Any]]:
    """One entry an address: its form, the encodings it is written in, and its places (`table/Entity.attribute`)."""
    grouped: defaultdict[str, list[Planting]] = defaultdict(list)
    for planting in plantings:
        grouped[planting.address].append(planting)
    return [
        {
            "address": address,
            "form": found[0].form,
            "encodings": sorted({planting.encoding for planting in found}),
            "places": sorted({planting.place for planting in found}),
        }
        for address, found in sorted(grouped.items())
    ]


def expiries(items: Iterable[Item]) -> dict[str, int]:
    """How many items expire in the future, have expired, did so too long ago for DynamoDB, have no number, no time."""
    counts = {"future": 0, "expired": 0, "ancient": 0, "not_a_number": 0, "absent": 0}
    for item in items:
        time = item.get(TTL_ATTRIBUTE)
        if time is None:
            counts["absent"] += 1
        elif "N" not in time:
            counts["not_a_number"] += 1
        else:
            number = int(time["N"])
            counts["future" if number >= TTL_FUTURE else "ancient" if number == TTL_ANCIENT else "expired"] += 1
    return counts
