"""Reading the target again: the same digest, every leak once, and which documents the items call for."""

from __future__ import annotations

import asyncio

import pytest

from downstage.domain.leak_outcome import LeakPlace
from downstage.domain.plan import IndexExpectation
from downstage.errors import ConfigError
from downstage.masking.email import EmailPseudonyms
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, Item, ItemReader
from downstage.proof import digest
from downstage.testing.faults import Killed, Trip, faulty
from downstage.testing.tables import MemoryReader, MemoryTable
from downstage.testing.world import KEY, case
from downstage.verify.compare import (
    ID_MODULUS,
    Expected,
    IndexExpectations,
    expected_documents,
    id_digest,
    verify_segment,
)
from downstage.verify.leaks import LeakScanner

PSEUDONYMS = EmailPseudonyms(KEY, "test", "u-{token}@test.example.com")
CASES = IndexExpectations("{pk}_{sk}", [IndexExpectation("app-case", "entityName.S == 'Case'")])


def verify(reader: ItemReader, start: Checkpoint, saved: list[Checkpoint], leaks: list[LeakPlace]) -> Checkpoint:
    return asyncio.run(
        verify_segment(
            "target",
            "run-1/verify/target",
            start,
            reader=reader,
            scanner=LeakScanner(allowed=PSEUDONYMS.allowed, fingerprint=PSEUDONYMS.fingerprint),
            expectations=CASES,
            sealer=KeySealer(KEY),
            save=saved.append,
            leak=leaks.append,
        )
    )


def table_of(items: list[Item]) -> MemoryTable:
    table = MemoryTable("target", ("pk", "sk"), "1")
    table.put(items)
    return table


CLEAN = [case(number, PSEUDONYMS.replace(f"p{number}@court.example.org")) for number in range(7)]


def test_it_counts_digests_and_expects() -> None:
    saved: list[Checkpoint] = []
    leaks: list[LeakPlace] = []
    other: Item = {"pk": {"S": "user|1"}, "sk": {"S": "x"}}
    done = verify(MemoryReader(table_of([*CLEAN, other])), Checkpoint(0, 1), saved, leaks)
    assert done.done
    assert not leaks
    assert (done.counters["items"], done.counters["leaks"]) == (8, 0)
    total = 0
    for item in [*CLEAN, other]:
        total = digest.add(total, digest.item_digest(item))
    assert done.digest == total
    ids = sum(id_digest(f"case|{number}_case|{number}") for number in range(7)) % ID_MODULUS
    assert expected_documents([done], "app-case") == Expected(7, ids)
    assert expected_documents([done], "unknown") == Expected(0, 0)
    first = Checkpoint(0, 2, counters={"ids:i": ID_MODULUS - 1, "expected:i": 1})
    assert expected_documents([first, Checkpoint(1, 2, counters={"ids:i": 3})], "i") == Expected(1, 2)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_resume_from_any_page_says_the_same(page: int) -> None:
    undisturbed = verify(MemoryReader(table_of(CLEAN)), Checkpoint(0, 1), [], [])
    saved: list[Checkpoint] = [Checkpoint(0, 1)]
    with pytest.raises(Killed):
        verify(faulty(MemoryReader(table_of(CLEAN)), Trip(page)), saved[-1], saved, [])
    resumed = verify(MemoryReader(table_of(CLEAN)), saved[-1], saved, [])
    assert (resumed.digest, resumed.counters) == (undisturbed.digest, undisturbed.counters)
    assert verify(faulty(MemoryReader(table_of(CLEAN)), Trip(1)), resumed, saved, []) is resumed


def test_a_leak_is_told_by_place_and_fingerprint() -> None:
    leaks: list[LeakPlace] = []
    leaking = case(1, "ada@court.example.org")
    done = verify(MemoryReader(table_of([*CLEAN[2:], leaking])), Checkpoint(0, 1), [], leaks)
    assert done.counters["leaks"] == 1
    assert leaks == [LeakPlace("target", "email", (), PSEUDONYMS.fingerprint("ada@court.example.org"))]


def test_document_ids_come_from_strings_and_numbers() -> None:
    expectations = IndexExpectations("c:{pk}/{n}!", [IndexExpectation("i", "`true`"), IndexExpectation("j", "nothing")])
    assert expectations.of({"pk": {"S": "a"}, "n": {"N": "7"}}) == [("i", "c:a/7!")]
    for item in ({"pk": {"S": "a"}}, {"pk": {"S": "a"}, "n": {"BOOL": True}}):
        with pytest.raises(ConfigError, match="'n'"):
            expectations.of(item)
