"""Scan and BatchWriteItem against a transport of our own: throttles, partial batches, poison, read-ahead, the end."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from downstage.aws.dynamodb import BatchWriter, ScanReader
from downstage.copying.pacing import Backoff
from downstage.copying.rates import Pace
from downstage.domain.refs import SourceTable, TargetTable
from downstage.errors import AwsError, CredentialsError, Unreachable
from downstage.ports import Item, Rejected
from downstage.wire.dynamodb import Response

from .scripted import Scripted

SOURCE, TARGET = SourceTable("111111111111", "us-east-1", "s"), TargetTable("222222222222", "us-east-1", "t")
QUICK = Backoff(0.0, 0.0, 4)
PERSON = "ada@court.example.org"


def answer(**body: Any) -> Response:
    return Response(200, orjson.dumps(body))


def fault(code: str, status: int = 400) -> Response:
    return Response(status, orjson.dumps({"__type": code, "message": f"because of {PERSON}"}))


def page(number: int, last: int = 2) -> Response:
    more = {"LastEvaluatedKey": {"pk": {"N": str(number)}}} if number < last else {}
    return answer(Items=[{"pk": {"N": str(number)}}], Count=1, **more)


class Store:
    """A transport that is a table: `refuses` says which item is poison, `takes` how many of a batch are taken."""

    def __init__(
        self, refuses: Callable[[Item], bool] = lambda item: False, takes: Iterator[int] | None = None
    ) -> None:
        self.items: list[Item] = []
        self.calls = 0
        self.under_way = self.most_under_way = 0
        self._refuses = refuses
        self._takes = takes
        self._lock = threading.Lock()

    async def post(self, operation: str, body: bytes) -> Response:
        with self._lock:
            self.calls += 1
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            items = [put["PutRequest"]["Item"] for put in orjson.loads(body)["RequestItems"]["t"]]
            if any(map(self._refuses, items)):
                return fault("ValidationException")
            with self._lock:
                taken = next(self._takes, len(items)) if self._takes is not None else len(items)
                self.items += items[:taken]
            left = {"t": [{"PutRequest": {"Item": item}} for item in items[taken:]]} if items[taken:] else {}
            return answer(UnprocessedItems=left)
        finally:
            with self._lock:
                self.under_way -= 1


def numbered(count: int) -> list[Item]:
    return [{"pk": {"S": f"{number}"}} for number in range(count)]


def scan(transport: Scripted) -> list[Item]:
    async def read() -> list[Item]:
        reader = ScanReader(transport, SOURCE, backoff=QUICK)
        return [orjson.loads(item) async for page in reader.pages(0, 1, None) for item in page.items]

    return asyncio.run(read())


def write(transport: Scripted | Store, items: list[Item], parallel: int = 4) -> list[Rejected]:
    writer = BatchWriter(transport, TARGET, parallel=parallel, backoff=QUICK)
    return list(asyncio.run(writer.put(list(map(orjson.dumps, items)))))


def key(item: Item) -> str:
    return str(item["pk"]["S"])


def test_a_scan_goes_on_from_each_pages_key() -> None:
    transport = Scripted(page(0), page(1), page(2))
    assert [item["pk"]["N"] for item in scan(transport)] == ["0", "1", "2"]
    starts = [body.get("ExclusiveStartKey") for _, body in transport.asked]
    assert starts == [None, {"pk": {"N": "0"}}, {"pk": {"N": "1"}}]


def test_throttles_faults_and_silence_are_waited_out() -> None:
    transport = Scripted(
        fault("ThrottlingException"), fault("InternalServerError", 500), Unreachable("gone"), page(0, 0)
    )
    assert len(scan(transport)) == 1
    assert len(transport.asked) == 4


def test_the_tries_end() -> None:
    transport = Scripted(*[fault("ThrottlingException")] * 5)
    with pytest.raises(Unreachable, match=r"Scan on table s .*ThrottlingException.*resume") as caught:
        scan(transport)
    assert len(transport.asked) == 5
    assert caught.value.code == "ThrottlingException"


@pytest.mark.parametrize(
    ("response", "error", "said"),
    [
        (fault("AccessDeniedException"), AwsError, "AccessDeniedException"),
        (fault("ExpiredTokenException"), CredentialsError, "expired"),
        (fault("ValidationException"), AwsError, "cannot be scanned"),
        (Response(200, b'{"Items": [{"pk": {"S": "' + PERSON.encode()), AwsError, "not whole"),
    ],
)
def test_what_cannot_be_mended_ends_the_scan_and_quotes_nothing(
    response: Response, error: type[Exception], said: str
) -> None:
    transport = Scripted(response)
    with pytest.raises(error, match=said) as caught:
        scan(transport)
    assert PERSON not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(transport.asked) == 1


def test_one_page_is_read_ahead_and_no_more() -> None:
    transport = Scripted(*(page(number, 9) for number in range(10)))
    counts = []

    async def read() -> None:
        async with aclosing(ScanReader(transport, SOURCE).pages(0, 1, None)) as pages:
            async for _ in pages:
                while asyncio.all_tasks() - {asyncio.current_task()}:
                    await asyncio.sleep(0)
                counts.append(len(transport.asked))
                if len(counts) == 3:
                    break

    asyncio.run(read())
    assert counts == [2, 3, 4]


@pytest.mark.parametrize("ahead", [page(1, 9), fault("AccessDeniedException"), Unreachable("gone")])
def test_a_reader_that_is_stopped_leaves_nothing_behind(ahead: Response | Exception, caplog: Any) -> None:
    transport = Scripted(page(0, 9), *[ahead] * 20)

    async def read() -> int:
        async with aclosing(ScanReader(transport, SOURCE, backoff=QUICK).pages(0, 1, None)) as pages:
            async for _ in pages:
                while len(transport.asked) < 2:
                    await asyncio.sleep(0)
                break
        return len(asyncio.all_tasks())

    assert asyncio.run(read()) == 1, "only the test's own task is left"
    gc.collect()
    assert not caplog.records, "no 'Task was destroyed', no 'exception was never retrieved'"


def test_many_batches_are_written_a_few_at_a_time() -> None:
    store = Store()
    assert write(store, numbered(260), parallel=3) == []
    assert sorted(map(key, store.items)) == sorted(map(key, numbered(260)))
    assert store.calls == 11
    assert store.most_under_way <= 3


def test_a_writer_serves_several_event_loops() -> None:
    store = Store()
    writer = BatchWriter(store, TARGET, parallel=1, backoff=QUICK)
    for _ in range(2):
        asyncio.run(writer.put(list(map(orjson.dumps, numbered(100)))))
    assert len(store.items) == 200


def test_unprocessed_items_are_sent_again() -> None:
    store = Store(takes=iter([7, 0, 0, 10]))
    assert write(store, numbered(25)) == []
    assert sorted(map(key, store.items)) == sorted(map(key, numbered(25)))
    assert store.calls == 5


def test_a_table_that_takes_nothing_ends_the_writing() -> None:
    with pytest.raises(Unreachable, match="takes no more items"):
        write(Store(takes=iter([0] * 99)), numbered(25))


@pytest.mark.parametrize("poison", [{"0"}, {"24"}, {"3", "17"}, {str(number) for number in range(25)}])
def test_poison_is_found_and_the_others_are_written(poison: set[str]) -> None:
    store = Store(refuses=lambda item: key(item) in poison)
    rejected = write(store, numbered(25))
    assert {key(orjson.loads(rejection.item)) for rejection in rejected} == poison
    assert {rejection.reason for rejection in rejected} == {"DynamoDB refuses the item"}
    assert {key(item) for item in store.items} == {str(number) for number in range(25)} - poison


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (fault("ResourceNotFoundException"), AwsError),
        (fault("ExpiredTokenException"), CredentialsError),
        (Response(200, b'{"UnprocessedItems": "' + PERSON.encode() + b'"}'), AwsError),
        (Response(200, PERSON.encode()), AwsError),
    ],
)
def test_a_write_that_cannot_be_told_to_have_worked_raises(response: Response, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        write(Scripted(response), numbered(3))
    assert PERSON not in str(caught.value)


def test_a_failed_batch_stops_the_others(caplog: Any) -> None:
    transport = Scripted(fault("AccessDeniedException"), *[fault("ThrottlingException")] * 500)

    async def put() -> int:
        with pytest.raises(AwsError):
            await BatchWriter(transport, TARGET, backoff=Backoff(5.0, 5.0, 9)).put(
                list(map(orjson.dumps, numbered(250)))
            )
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(put()) == 1
    gc.collect()
    assert not caplog.records


class Time:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def costly(number: int, units: float, last: int = 9) -> Response:
    more = {"LastEvaluatedKey": {"pk": {"N": str(number)}}} if number < last else {}
    return answer(Items=[{"pk": {"N": str(number)}}], Count=1, ConsumedCapacity={"CapacityUnits": units}, **more)


def test_a_scan_uses_no_more_than_its_rate() -> None:
    time = Time()
    transport = Scripted(*(costly(number, 100.0) for number in range(10)))

    async def read() -> int:
        reader = ScanReader(transport, SOURCE, pace=Pace(50.0, clock=time, sleep=time.sleep), backoff=QUICK)
        return len([item async for page in reader.pages(0, 1, None) for item in page.items])

    assert asyncio.run(read()) == 10
    assert time.now == pytest.approx((9 * 100.0 - 50.0) / 50.0)  # a second's worth is there to begin with


def test_writes_use_no_more_than_their_rate() -> None:
    time = Time()
    taken = answer(UnprocessedItems={}, ConsumedCapacity=[{"TableName": "t", "CapacityUnits": 25.0}])

    async def write_all() -> None:
        pace = Pace(5.0, clock=time, sleep=time.sleep)
        writer = BatchWriter(Scripted(*[taken] * 4), TARGET, parallel=1, pace=pace, backoff=QUICK)
        await writer.put(list(map(orjson.dumps, numbered(100))))

    asyncio.run(write_all())
    assert time.now == pytest.approx((3 * 25.0 - 5.0) / 5.0)


@pytest.mark.parametrize(
    "refused",
    [fault("ProvisionedThroughputExceededException"), answer(UnprocessedItems={"t": [{"PutRequest": {"Item": {}}}]})],
)
def test_a_throttle_slows_an_automatic_pace_down(refused: Response) -> None:
    pace = Pace()
    writer = BatchWriter(Scripted(refused, answer()), TARGET, pace=pace, backoff=QUICK)
    asyncio.run(writer.put([b"{}"]))
    assert pace.rate is not None
