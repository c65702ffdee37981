"""What flags were before a refresh: in the journal, sealed and nowhere readable, and as they were at the first look."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from downstage.errors import JournalError
from downstage.journals.sqlite import SqliteJournal
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.testing.world import KEY, SOURCE, World
from downstage.workflow.prepare import values_before
from downstage.workflow.refresh import forget_from
from tests.unit.search_world import up_to


def test_what_flags_were_is_in_the_journal_sealed_and_nowhere_readable(tmp_path: Path) -> None:
    world = World()
    for flag in world.plan.flags:
        world.flags.write(flag)
    secret = "s3cr3t of ada@court.example.org"
    label = world.plan.flags[0].label
    world.flags.items[label] = {"current": {"S": secret}}
    world.flags.parameters["/app/test/colour"] = secret
    path = tmp_path / "journal.sqlite"
    world.journal = SqliteJournal(path)
    world.refresh(chosen=up_to("flags"))
    run = world.journal.run("run-1")
    assert run is not None
    found = values_before(world.journal, run, KeySealer(KEY))
    assert found == [(label, {"current": {"S": secret}}), ("/app/test/colour", secret)]
    with sqlite3.connect(path) as base:
        text = "\n".join(base.iterdump())
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert "run-1" in text
    for piece in ("s3cr3t", "ada@court"):
        assert piece not in text
        assert piece.encode() not in kept
    with pytest.raises(JournalError):
        values_before(world.journal, run, KeySealer(MaskKey(bytes(range(1, 33)))))


def test_a_second_look_at_the_flags_does_not_take_the_place_of_the_first() -> None:
    world = World()
    world.flags.parameters["/app/test/colour"] = "old"
    world.refresh(chosen=up_to("flags"))
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "flags")
    world.refresh(taken, chosen=("flags",))
    found = dict(values_before(world.journal, taken, KeySealer(KEY)))
    assert found["/app/test/colour"] == "old"
    assert SOURCE not in world.target_tables.tables
