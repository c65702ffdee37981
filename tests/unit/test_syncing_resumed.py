"""A sync that was cut off or stopped in time: it is brought to its end from where it was, and a slow copy holds up
neither the others nor what is kept."""

from __future__ import annotations

import asyncio
import base64
import pickle

import pytest

from downstage.errors import JournalError
from downstage.ports import Checkpoint
from downstage.syncing.bucket import sync_range
from downstage.syncing.keys import KeyFilter
from downstage.syncing.listing import KeyRange
from downstage.syncing.task import RangeTask
from downstage.syncing.whole import SyncState
from downstage.testing.faults import Killed, Trip, faulty
from tests.unit.syncing_world import OPTIONS, PAIR, SEALER, Odd, Sync, Ticking


@pytest.mark.parametrize("after", [False, True])
def test_a_sync_cut_off_at_any_call_is_brought_to_its_end(after: bool) -> None:
    calls = Trip()
    Sync().range(faulty(Sync().transfer, calls), clock=Ticking())
    assert calls.calls > 10
    for at in range(1, calls.calls + 1):
        sync = Sync()
        with pytest.raises(Killed):
            sync.range(faulty(sync.transfer, Trip(at, after=after)), clock=Ticking())
        done = sync.range()
        assert sync.arrived, f"call {at}"
        counters = done.counters
        assert counters["copied"] + counters["unchanged"] == 7
        assert counters["skipped"] == 1
        assert counters["deleted"] <= 2


def test_the_cursor_is_sealed_and_fits_its_own_run_buckets_and_options_only() -> None:
    sync = Sync()
    sync.range(stop_at=9.0, clock=Ticking())
    cursor = sync.saved[-1].cursor
    assert cursor is not None
    assert b"case" not in base64.b64decode(cursor)
    with pytest.raises(JournalError):
        sync.range(context="run-1/sync/other")


def test_stopped_in_time_it_goes_on_where_it_stopped_and_copies_nothing_twice() -> None:
    sync = Sync()
    state = SyncState()
    pieces = 0
    clock = Ticking()
    while True:
        result = sync.whole(state=state, stop_at=clock.now + 16, clock=clock, copies_at_once=1)
        pieces += 1
        assert pieces < 100
        if result.complete:
            break
        state = pickle.loads(pickle.dumps(state))
    assert pieces > 2
    assert sync.arrived
    assert sync.transfer.calls["copy"] == 6
    assert (result.counters["copied"], result.counters["deleted"], result.counters["unchanged"]) == (6, 2, 1)


def test_a_slow_copy_is_parked_and_holds_up_neither_the_others_nor_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downstage.syncing.bucket._WINDOW", 4)
    sync = Sync()
    for number in range(40):
        sync.store.put("from", f"d/{number:02}", b"x")
    odd = Odd(sync)
    odd.slow = {"case/0-\U0001f4c4.pdf"}
    cursors: list[str | None] = []

    def save(checkpoint: Checkpoint) -> None:
        sync.saved.append(checkpoint)
        if len(odd.store.buckets["to"]) > 40 and not odd.open.is_set():
            cursors.append(checkpoint.cursor)
            odd.open.set()

    sync.saved = []
    task = RangeTask("c", PAIR, KeyRange(), "etag", 99)
    done = asyncio.run(
        sync_range(
            task, Checkpoint(0, 1), transfer=odd, sealer=SEALER, save=save, chosen=KeyFilter(OPTIONS), clock=Ticking()
        )
    )
    assert cursors
    assert cursors[0] is not None
    state = SEALER.open(cursors[0], "c").decode()
    assert '"parked":["case/0-' in state
    assert '"after":"d/' in state
    assert done.done
    assert sync.arrived
    assert done.counters["copied"] == 46
