"""Documents made from items: what a mapping may give, how batches are sent until each document has its answer, and what
a segment's checkpoint counts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from types import ModuleType
from typing import Any

import orjson
import pytest

from downstage.errors import AwsError, ConfigError, Unreachable, VerificationFailed
from downstage.indexing.bulk import Bulk, Limits, batches
from downstage.indexing.mapping import LONGEST_ID, MappingFailed, by_attributes, by_function
from downstage.indexing.segment import MOST_REFUSED, IndexTask, index_segment
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, Item, Made, NewDocument
from downstage.testing.faults import Killed
from downstage.testing.simple import JumpingClock
from downstage.testing.tables import MemoryReader, MemoryTable
from downstage.testing.world import KEY

CASE: Item = {"pk": {"S": "case|1"}, "sk": {"S": "case|1"}, "filed": {"N": "7"}}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A user's module, `court_search`."""
    made = ModuleType("court_search")
    monkeypatch.setitem(sys.modules, "court_search", made)
    return made


def mapped(module: ModuleType, function: Callable[[Item], Any], item: Item = CASE) -> Sequence[NewDocument]:
    module.documents = function  # type: ignore[attr-defined]
    return by_function("court_search:documents")(item)


# ---- mapping


def test_a_function_gives_none_one_or_several_documents(module: ModuleType) -> None:
    assert mapped(module, lambda item: None) == ()
    (one,) = mapped(module, lambda item: ("case", item["pk"]["S"], {"filed": Decimal("1.50"), "of": [{"x": None}]}))
    assert (one.index, one.document_id) == ("case", "case|1")
    assert one.source == b'{"filed":1.50,"of":[{"x":null}]}'
    both = mapped(module, lambda item: [("a", "1", {}), ("b", "2", {})])
    assert [(one.index, one.document_id) for one in both] == [("a", "1"), ("b", "2")]


def _raises(item: Item) -> Any:
    raise KeyError("ada@court.example.org")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_raises, "court_search:documents raised KeyError"),
        (lambda item: "case", "returned str, not"),
        (lambda item: [("case", "1")], "returned tuple, not"),
        (lambda item: ("case", 1, {}), "no text"),
        (lambda item: ("", "1", {}), "no text"),
        (lambda item: ("case", "1", [1]), "no mapping"),
        (lambda item: ("case", "1", {"x": object()}), "no JSON"),
        (lambda item: ("case", "1", {"x": Decimal("NaN")}), "no JSON"),
        (lambda item: ("case", "", {}), "empty"),
        (lambda item: ("case", "é" * (LONGEST_ID // 2 + 1), {}), "longer than 512 bytes"),
        (lambda item: ("case", "\ud800", {}), "UTF-8"),
    ],
)
def test_what_a_function_does_wrong_is_told_without_data(
    module: ModuleType, function: Callable[[Item], Any], said: str
) -> None:
    with pytest.raises(MappingFailed, match=said) as caught:
        mapped(module, function)
    assert "@" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "said"),
    [("no_such_module_here:f", "cannot import"), ("court_search:nothing", "finds no function 'nothing'")],
)
def test_a_function_that_is_not_there_is_a_mistake_in_the_configuration(
    module: ModuleType, call: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        by_function(call)


def test_attributes_become_plain_json_digit_by_digit() -> None:
    item: Item = {
        "n": {"N": "12345678901234567890123456789012345678"},
        "e": {"N": "1E+2"},
        "ns": {"NS": ["1.0", "2"]},
        "ss": {"SS": ["a"]},
        "b": {"B": "AAE="},
        "m": {"M": {"l": {"L": [{"BOOL": True}, {"NULL": True}]}}},
        "secret": {"S": "x"},
    }
    wanted = [("case", "1")]
    (one,) = by_attributes(["n", "e", "ns", "ss", "b", "m", "absent"], lambda _item: wanted)(item)
    assert one.source == (
        b'{"n":12345678901234567890123456789012345678,"e":1E+2,"ns":[1.0,2],"ss":["a"],"b":"AAE=",'
        b'"m":{"l":[true,null]}}'
    )
    (whole,) = by_attributes(["*"], lambda _item: wanted)(item)
    assert set(orjson.loads(whole.source)) == set(item)
    assert by_attributes(["*"], lambda _item: [])(item) == ()


# ---- batches


def documents(count: int, size: int = 10, index: str = "case") -> list[NewDocument]:
    return [NewDocument(index, str(number), b"x" * size) for number in range(count)]


class Domain:
    """Answers from a script: for each request a function of a document; the last one stays. Keeps the requests."""

    def __init__(self, *script: Callable[[NewDocument], Made] | Exception) -> None:
        self.requests: list[list[str]] = []
        self._script = list(script)

    async def make(self, batch: Sequence[NewDocument]) -> Sequence[Made]:
        self.requests.append([document.document_id for document in batch])
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(answer, Exception):
            raise answer
        return [answer(document) for document in batch]


def made(_document: NewDocument) -> Made:
    return Made(201)


def busy(_document: NewDocument) -> Made:
    return Made(429, "rejected_execution_exception")


def write(domain: Domain, batch: Sequence[NewDocument], limits: Limits | None = None) -> tuple[dict[str, int], Any]:
    """What is counted, and the clock that was slept on."""
    clock = JumpingClock()

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)

    bulk = Bulk(domain.make, sleep=sleep, clock=clock.monotonic, jitter=lambda: 1.0, limits=limits or Limits())
    return dict(asyncio.run(bulk.write(batch))), clock


def test_a_batch_is_bounded_in_number_and_in_bytes() -> None:
    by_number = list(batches(documents(7), Limits(documents=3)))
    assert [len(batch) for batch in by_number] == [3, 3, 1]
    by_size = list(batches([*documents(2, size=40), *documents(1, size=500), *documents(1)], Limits(size=100)))
    assert [len(batch) for batch in by_size] == [2, 1, 1]  # one that is too large alone is a batch of its own


def test_only_what_was_not_taken_is_asked_for_again_later_and_later() -> None:
    half = lambda document: made(document) if document.document_id in "01" else busy(document)  # noqa: E731
    domain = Domain(busy, busy, half, made)
    counts, clock = write(domain, documents(4))
    assert counts == {"made:case": 4}
    assert domain.requests == [["0", "1", "2", "3"]] * 3 + [["2", "3"]]
    assert clock.slept == [0.5, 1.0, 0.5]  # it goes faster again once something got through


def test_what_is_there_already_and_what_is_refused_is_counted_and_not_asked_again() -> None:
    answers = {"0": Made(201), "1": Made(409), "2": Made(400, "mapper_parsing_exception"), "3": Made(400)}
    domain = Domain(lambda document: answers[document.document_id])
    counts, _ = write(domain, documents(4))
    assert counts == {
        "made:case": 1,
        "there:case": 1,
        "refused: mapper_parsing_exception": 1,
        "refused: HTTP 400": 1,
    }
    assert len(domain.requests) == 1


def test_a_request_that_is_too_large_is_halved_until_it_fits() -> None:
    domain = Domain(made)

    async def make(batch: Sequence[NewDocument]) -> Sequence[Made]:
        domain.requests.append([document.document_id for document in batch])
        return [Made(413 if len(batch) > 2 or "4" in {one.document_id for one in batch} else 201)] * len(batch)

    domain.make = make  # type: ignore[method-assign]
    counts, clock = write(domain, documents(5))
    assert counts == {"made:case": 4, "refused: HTTP 413": 1}
    assert clock.slept == []


def test_no_answer_is_asked_for_again_and_not_for_ever() -> None:
    domain = Domain(Unreachable("gone"), made)
    assert write(domain, documents(2))[0] == {"made:case": 2}
    silent = Domain(Unreachable("gone"))
    with pytest.raises(Unreachable):
        write(silent, documents(1), Limits(patience=60.0))
    assert len(silent.requests) < 12
    full = Domain(busy)
    with pytest.raises(AwsError, match="has taken no document for 60 s"):
        write(full, documents(1), Limits(patience=60.0))
    assert len(full.requests) < 12


def test_an_answer_that_leaves_documents_out_is_none() -> None:
    domain = Domain(made)

    async def make(batch: Sequence[NewDocument]) -> Sequence[Made]:
        return [Made(201)]

    domain.make = make  # type: ignore[method-assign]
    with pytest.raises(AwsError, match="did not answer for each"):
        write(domain, documents(2))


# ---- a segment


def table_of(count: int) -> MemoryTable:
    table = MemoryTable("app-test", ("pk",), "id-1")
    table.put([{"pk": {"S": f"case|{number}"}} for number in range(count)])
    return table


def run_segment(
    table: MemoryTable,
    answer: Callable[[NewDocument], Made],
    *,
    start: Checkpoint | None = None,
    writable: Sequence[str] = ("case",),
    only: Sequence[str] | None = None,
    dry: bool = False,
    give_up_after: int = 1000,
) -> tuple[list[Checkpoint], Domain]:
    domain, saved = Domain(answer), []
    clock = JumpingClock()

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)

    def save(checkpoint: Checkpoint) -> None:
        saved.append(checkpoint)
        if len(saved) == give_up_after:
            raise Killed

    bulk = Bulk(domain.make, sleep=sleep, clock=clock.monotonic, jitter=lambda: 1.0, limits=Limits())
    mapping = by_attributes(["*"], lambda item: [("case", item["pk"]["S"])])
    task = IndexTask("run/backfill/app-test", "search-test", writable, only)
    work = index_segment(
        task,
        start or Checkpoint(0, 1),
        reader=MemoryReader(table),
        mapping=mapping,
        bulk=None if dry else bulk,
        sealer=KeySealer(KEY),
        save=save,
    )
    with suppress(Killed):
        asyncio.run(work)
    return saved, domain


def test_a_segment_goes_on_from_its_checkpoint_and_no_page_is_sent_twice() -> None:
    table = table_of(8)
    first, one = run_segment(table, made, give_up_after=1)
    assert (first[-1].counters["items"], first[-1].done) == (3, False)
    assert "case|" not in repr(first[-1])  # the cursor is sealed
    rest, two = run_segment(table, made, start=first[-1])
    assert (rest[-1].counters["items"], rest[-1].counters["made:case"], rest[-1].done) == (8, 8, True)
    sent = [name for request in (*one.requests, *two.requests) for name in request]
    assert sorted(sent) == sorted(item["pk"]["S"] for item in table.all())


def test_a_dry_one_counts_and_sends_nothing() -> None:
    saved, domain = run_segment(table_of(4), made, dry=True)
    assert saved[-1].counters["would:case"] == 4
    assert saved[-1].counters["bytes"] == 4 * len(b'{"pk":"case|0"}')
    assert domain.requests == []


def test_an_index_that_the_domain_does_not_have_is_never_made_by_a_document() -> None:
    with pytest.raises(ConfigError, match="does not have, of 1 that it has; create that index") as caught:
        run_segment(table_of(1), made, writable=["other"])
    assert "case" not in str(caught.value).partition("(it has")[0].replace("search", "")


def test_only_the_indexes_that_are_asked_for_are_filled() -> None:
    saved, domain = run_segment(table_of(4), made, only=["other"])
    assert (saved[-1].counters["items"], domain.requests) == (4, [[]] * len(domain.requests))
    assert "made:case" not in saved[-1].counters


def test_too_many_refusals_end_it_early() -> None:
    table = table_of(MOST_REFUSED * 3)
    requests: list[str] = []

    def refused(document: NewDocument) -> Made:
        requests.append(document.document_id)
        return Made(400, "mapper_parsing_exception")

    with pytest.raises(VerificationFailed, match="mapper_parsing_exception"):
        run_segment(table, refused)
    assert len(requests) <= MOST_REFUSED + 3
