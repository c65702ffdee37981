"""A sync that is cut into pieces by a time box, again and again: no gap, and nothing is copied or deleted twice."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from downstage.masking.compile import compile_pseudonyms
from downstage.masking.nested import NestedMasker
from downstage.syncing.whole import SyncState
from downstage.testing import s3_faults as faults
from downstage.testing.s3_faults import Call, Strike
from downstage.testing.world import KEY, plan_of
from tests.faults.sync_world import strikes, world

OBJECTS = 600
CONNECTIONS = 8


@pytest.mark.parametrize("ranges", [1, 3])
@pytest.mark.parametrize("calls_a_box", [40, 77, 150])
def test_pieces_make_one_sync(ranges: int, calls_a_box: int) -> None:
    """The fake's clock goes on by a millisecond a call: a box of 40 ms ends after about 40 calls."""
    with world(OBJECTS, share_there=0.2) as found:
        state = SyncState()
        pieces = 0
        while True:
            result = found.sync(
                ranges=ranges,
                state=state,
                stop_at=found.fake.now + calls_a_box / 1000,
                clock=lambda: found.fake.now,
                connections=CONNECTIONS,
                copies_at_once=CONNECTIONS,
            )
            pieces += 1
            assert pieces < OBJECTS
            if result.complete:
                break
            state = pickle.loads(pickle.dumps(state))
        assert pieces >= found.wanted // (calls_a_box + CONNECTIONS)
        assert found.arrived()
        assert found.fake.calls["CopyObject"] == found.wanted
        assert set(found.fake.copies.values()) == {1}
        assert set(found.fake.deletes.values()) == {1}
        assert (result.counters["copied"], result.counters["deleted"]) == (found.wanted, found.unwanted)
        assert result.counters["unchanged"] == OBJECTS - found.wanted


def test_pieces_among_faults_copy_each_object_once_and_once_more_for_each_fault() -> None:
    shares = {("CopyObject", Strike.SLOW_DOWN): 0.1, ("CopyObject", Strike.LOST): 0.1, ("CopyObject", Strike.CUT): 0.1}
    with world(OBJECTS, share_there=0.2) as found:
        struck = strikes(found, faults.chance(3, shares))
        state = SyncState()
        for _ in range(OBJECTS):
            result = found.sync(
                ranges=2,
                state=state,
                stop_at=found.fake.now + 0.1,
                clock=lambda: found.fake.now,
                connections=CONNECTIONS,
            )
            if result.complete:
                break
        assert found.arrived()
        assert struck.of("CopyObject") > 50
        # A piece may end between a fault and its other try: then the object is found to be there, and not tried again.
        assert found.wanted <= found.fake.calls["CopyObject"] <= found.wanted + struck.of("CopyObject")


def test_a_box_that_is_over_before_it_begins_writes_nothing() -> None:
    with world(50) as found:
        before = found.target.likeness()
        result = found.sync(stop_at=found.fake.now - 1, clock=lambda: found.fake.now)
        assert not result.complete
        assert found.target.likeness() == before


def test_once_the_time_is_up_nothing_new_begins() -> None:
    with world(OBJECTS, share_there=0.0, extra=0) as found:
        late: list[str] = []
        stop_at = found.fake.now + 0.2

        def after(call: Call) -> None:
            if found.fake.now > stop_at:
                late.append(call.operation)

        found.fake.after = after
        result = found.sync(
            stop_at=stop_at, clock=lambda: found.fake.now, connections=CONNECTIONS, copies_at_once=CONNECTIONS
        )
        assert not result.complete
        assert 0 < found.fake.copies.total() < found.wanted
        assert late.count("CopyObject") <= CONNECTIONS


PARTS = 64
LARGE = bytes(range(256)) * 200
IN_PARTS = {"largest_copy": 5000, "part_size": len(LARGE) // PARTS}


@pytest.mark.parametrize("name", ["large", "mail/ada@court.example.org"])
def test_a_large_object_is_copied_over_several_pieces_and_no_part_twice(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("downstage.syncing.pausing._LOOK_SECONDS", 0.001)
    pseudonyms = compile_pseudonyms(plan_of().masking, KEY)
    masker = NestedMasker(pseudonyms.replace, pseudonyms.is_kept).text
    with world(20, share_there=0.5) as found:
        found.source.add(name, LARGE, metadata={"a": "b"}, tags={"c": "d e"})
        options = replace(found.pair.options, on_personal_key="mask")
        state, pieces = SyncState(), 0
        while True:
            result = found.sync(
                state=state,
                stop_at=found.fake.now + 0.03,
                clock=lambda: found.fake.now,
                settings=IN_PARTS,
                options=options,
                personal=masker,
            )
            pieces += 1
            assert pieces < PARTS
            if result.complete:
                break
            state = pickle.loads(pickle.dumps(state))
        assert pieces > 2
        assert found.fake.calls["UploadPartCopy"] == PARTS
        assert found.fake.calls["CreateMultipartUpload"] == found.fake.calls["CompleteMultipartUpload"] == 1
        assert (found.target.aborted, result.counters["copied"]) == (0, found.wanted + 1)
        kept = found.target.objects[masker(name)]
        assert (kept.body, kept.metadata, kept.tags) == (LARGE, {"a": "b"}, {"c": "d e"})
        assert kept.etag.endswith(f'-{PARTS}"')


def test_a_large_object_that_changes_between_two_pieces_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downstage.syncing.pausing._LOOK_SECONDS", 0.001)
    with world(0) as found:
        found.source.add("large", LARGE)
        state = SyncState()

        def piece(length: float) -> bool:
            return found.sync(
                state=state, stop_at=found.fake.now + length, clock=lambda: found.fake.now, settings=IN_PARTS
            ).complete

        assert not piece(0.02)
        assert found.target.uploads
        found.source.add("large", LARGE[::-1])
        assert piece(10.0)
        assert found.target.objects["large"].body == LARGE[::-1]
        assert found.target.aborted == 1
