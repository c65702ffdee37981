"""The lines of a sync between its worker processes and the one that shows them: each is told once, a reader that does
not read holds no lane up, and it is said when lines are lost."""

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path

import pytest

from downstage.app import object_lines
from downstage.app.object_lines import Teller, listening
from downstage.domain.events import Event, Note, ObjectSynced


def test_lines_of_other_processes_are_told_each_once() -> None:
    found: list[Event] = []
    with listening(found.append) as place:

        def tell(first: int) -> None:
            teller = Teller(place)
            for number in range(first, first + 5000):
                teller.emit(ObjectSynced("b", "copy", f"k\n{number}", ""))
            teller.close()

        threads = [threading.Thread(target=tell, args=(first,)) for first in (0, 5000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {event.key for event in found if isinstance(event, ObjectSynced)} == {f"k\n{n}" for n in range(10_000)}
    assert len(found) == 10_000


def test_a_worker_that_nobody_listens_to_goes_on() -> None:
    with tempfile.TemporaryDirectory() as folder:
        teller = Teller(str(Path(folder) / "nobody"))
        teller.emit(ObjectSynced("b", "copy", "k"))
        teller.close()


def synced(number: int) -> ObjectSynced:
    return ObjectSynced("bucket", "copy", f"{number:06d}/{'k' * 500}", "")


def test_a_reader_that_does_not_read_holds_a_worker_up_once_and_the_loss_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(object_lines, "_PATIENCE", 0.05)
    found: list[Event] = []
    shown = threading.Event()

    def emit(event: Event) -> None:
        assert shown.wait(60)  # the terminal takes nothing
        found.append(event)

    with listening(emit) as place:
        teller = Teller(place)
        for number in range(20_000):
            teller.emit(synced(number))
        teller.close()  # without a limit of time, the worker would never come here
        shown.set()
        monkeypatch.setattr(object_lines, "_PATIENCE", 60.0)
    lines = [event for event in found if isinstance(event, ObjectSynced)]
    assert lines == [synced(number) for number in range(len(lines))]
    assert 0 < len(lines) < 20_000
    assert [event for event in found if isinstance(event, Note)] == found[-1:]
    assert "some lines of this sync are lost" in str(found[-1])


def test_a_worker_that_ends_early_is_said_and_half_a_line_is_not_told() -> None:
    found: list[Event] = []
    with listening(found.append) as place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
            killed.connect(place)
            killed.sendall(b'["b","copy","whole",""]\n["b","copy","hal')
        teller = Teller(place)
        teller.close()
    assert [event for event in found if isinstance(event, ObjectSynced)] == [ObjectSynced("b", "copy", "whole", "")]
    assert len([event for event in found if isinstance(event, Note)]) == 1
