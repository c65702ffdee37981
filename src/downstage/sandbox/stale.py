"""What stands in the test account before a refresh: old data that must all be gone afterwards.

Why: a wipe that wipes nothing looks the same as a good one if there was nothing to wipe.
Rules: deterministic; no address anywhere; every key says `stale`, so that a left-over is recognised at sight.
"""

from __future__ import annotations

from downstage.sandbox.generator import indexed
from downstage.sandbox.layout import TEST_BETA_TABLE, TEST_TABLE, TEST_USERS_TABLE
from downstage.sandbox.ledger import Item

STALE_ITEMS = {TEST_TABLE: 240, TEST_BETA_TABLE: 160, TEST_USERS_TABLE: 30}
ORPHAN_DOCUMENTS = 25


def stale_item(entity: str, label: str, number: int) -> Item:
    """One old item."""
    return {
        "pk": {"S": f"{entity.lower()}|stale-{label}-{number}"},
        "sk": {"S": f"{entity.lower()}|stale-{label}-{number}"},
        "entityName": {"S": entity},
        "name": {"S": "from last month's refresh"},
        "docketNumber": {"S": f"{number}-19"},
    }


def stale_tables() -> dict[str, list[Item]]:
    """The old items by table."""
    return {
        table: [
            stale_item(
                "User" if table == TEST_USERS_TABLE else ("Case", "DocketEntry", "Archive")[number % 3], table, number
            )
            for number in range(count)
        ]
        for table, count in STALE_ITEMS.items()
    }


def stale_documents() -> dict[str, list[Item]]:
    """The old search documents by index: those of the alpha and users tables, and some that no table has."""
    tables = stale_tables()
    orphans = [stale_item("Case", "orphan", number) for number in range(ORPHAN_DOCUMENTS)]
    return indexed([*tables[TEST_TABLE], *tables[TEST_USERS_TABLE], *orphans])


def deploy_flags() -> list[Item]:
    """The deploy table with last month's values: beta is current, a migration is on."""
    return [
        {"pk": {"S": "source-table-version"}, "sk": {"S": "source-table-version"}, "current": {"S": "beta"}},
        {"pk": {"S": "destination-table-version"}, "sk": {"S": "destination-table-version"}, "current": {"S": "beta"}},
        {"pk": {"S": "migrate"}, "sk": {"S": "migrate"}, "current": {"BOOL": True}},
        {"pk": {"S": "maintenance-mode"}, "sk": {"S": "maintenance-mode"}, "current": {"BOOL": False}},
    ]


def bystanders() -> list[Item]:
    """An unrelated table's items, which nobody may touch."""
    return [{"pk": {"S": f"other|{number}"}, "sk": {"S": "x"}, "value": {"N": str(number)}} for number in range(12)]
