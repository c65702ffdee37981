"""A refresh that is cut into pieces by its time-box, each in a fresh directory, on the control table in the target's
account. In a file of its own, for it takes as long as some suites: files are shared out over processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli, Place
from tests.e2e.looking import emptied, essence, outcome_of, slowed, started

pytestmark = pytest.mark.e2e

MOST_PIECES = 25


def test_a_refresh_in_many_pieces_is_one_refresh(cli: Cli, place: Place, elsewhere: Callable[[], Path]) -> None:
    emptied(place)
    whole = outcome_of(cli("refresh", "test", "--config", elsewhere(), "--json"))
    assert whole["result"] == "proven"

    emptied(place)
    answer = cli("refresh", "test", "--config", slowed(elsewhere(), 60), "--time-box", "5s", "--json")
    run_id = answer.lines[0]["run_id"]
    pieces, begun = [answer], started(answer)
    while answer.code == 75:
        assert len(pieces) < MOST_PIECES
        refused = cli("refresh", "test", "--config", elsewhere(), "--json")
        assert refused.code == 3
        assert run_id in refused.lines[-1]["message"]
        done = {step["name"] for step in outcome_of(answer)["steps"] if step["state"] == "done"}
        box = f"{5 + len(pieces)}s"  # a step that only looks begins anew in each piece, and must fit into one
        answer = cli("resume", run_id, "--config", slowed(elsewhere(), 60), "--time-box", box, "--json")
        assert not done & set(started(answer)), "a finished step was done again"
        pieces.append(answer)
        begun += started(answer)

    assert answer.code == 0, answer.err
    assert len(pieces) > 2
    assert begun.count("wipe") == 1
    assert essence(outcome_of(answer)) == essence(whole)
