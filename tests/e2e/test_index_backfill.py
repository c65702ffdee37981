"""Documents that the streams have lost, made from the tables by a function of the user that sees the flags: counted
beforehand, killed half way, resumed, and proven by id; an index with a mapping of its own is there again after a
wipe."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Answer, Cli, Place

pytestmark = pytest.mark.e2e

PATIENCE = 120.0
INDEXES = ("efcms-case", "efcms-docket-entry", "efcms-message", "efcms-user", "efcms-work-item")
FUNCTION = """
import os, time
INDEX = {"Case": "efcms-case", "DocketEntry": "efcms-docket-entry", "User": "efcms-user", "Message": "efcms-message",
         "WorkItem": "efcms-work-item"}

def document(item):
    time.sleep(float(os.environ.get("COURT_SLOW", 0)))
    index = INDEX.get(item.get("entityName", {}).get("S"))
    if index is None:
        return None
    colour = os.environ["DOWNSTAGE_FLAG_DESTINATION_TABLE_VERSION"]
    made = {"pk": item["pk"]["S"], "entityName": item["entityName"]["S"], "colour": colour}
    return index, f"{item['pk']['S']}_{item['sk']['S']}", made
"""


class Engine:
    """The test domain's search engine, asked directly."""

    def __init__(self, place: Place) -> None:
        text = place.config.read_text(encoding="utf-8")
        found = re.search(r'efcms-search-test-alpha: "(http://127\.0\.0\.1:\d+)"', text)
        assert found is not None
        self._url = found[1]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._url}/{path}", data=data, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def count(self) -> int:
        return sum(int(self.ask("GET", f"{index}/_count")["count"]) for index in INDEXES)

    def forget(self) -> None:
        """No document is left; the indices stay."""
        for index in INDEXES:
            self.ask("POST", f"{index}/_delete_by_query?refresh=true", {"query": {"match_all": {}}})


@pytest.fixture
def function(place: Place, tmp_path: Path) -> dict[str, str]:
    """The configuration names the function; the environment variable that finds it."""
    (tmp_path / "court_search.py").write_text(FUNCTION, encoding="utf-8")
    text = place.config.read_text(encoding="utf-8")
    wanted = text.replace('id: "{pk}_{sk}"', 'id: "{pk}_{sk}"\n        backfill: {call: "court_search:document"}', 1)
    assert wanted != text
    place.config.write_text(wanted, encoding="utf-8")
    return {"PYTHONPATH": str(tmp_path)}


def step(answer: Answer, name: str) -> str:
    """How a step of a run ended, in its own words."""
    (found,) = [line for line in answer.lines if line.get("event") == "step_finished" and line["step"] == name]
    return str(found["detail"])


def test_documents_that_were_lost_are_made_from_the_tables(cli: Cli, place: Place, function: dict[str, str]) -> None:
    engine = Engine(place)
    dates = {"properties": {"at": {"type": "date"}}}
    engine.ask("PUT", "app-audit", {"mappings": dates, "aliases": {"audit": {}}})
    refreshed = cli("refresh", "test", "--config", place.config, "--json", environ=function)
    assert refreshed.code == 0, refreshed.err
    assert step(refreshed, "backfill") == "not needed: the streams kept every record"
    again = engine.ask("GET", "app-audit")["app-audit"]
    assert (again["mappings"], list(again["aliases"])) == (dates, ["audit"])
    whole = engine.count()
    assert whole > 100

    engine.forget()
    backfill = ("index", "backfill", "test", "--config", place.config)
    dry = cli(*backfill, "--dry-run", "--json", environ=function)
    assert dry.code == 0, dry.err
    assert step(dry, "backfill").startswith(f"would make {whole:,} documents (efcms-case ")
    assert engine.count() == 0

    cut = cli.start(*backfill, environ={**function, "COURT_SLOW": "0.03"})
    try:
        until = time.monotonic() + PATIENCE
        while engine.count() == 0:
            assert time.monotonic() < until
            assert cut.poll() is None
            time.sleep(0.1)
    finally:
        cut.kill()
        cut.wait(timeout=30)
    assert 0 < engine.count() < whole
    runs = cli("runs", "--config", place.config, "--json", environ=function)
    run = [line["run_id"] for line in runs.lines if line["kind"] == "backfill"][-1]
    resumed = cli("resume", run, "--config", place.config, "--json", environ=function)
    assert resumed.code == 0, resumed.err
    assert engine.count() == whole
    assert "no address in them" in step(resumed, "verify-index")
    (hit,) = engine.ask("GET", "efcms-case/_search?size=1")["hits"]["hits"]
    assert hit["_source"]["colour"] == "alpha"  # the worker processes saw the flag

    once_more = cli(*backfill, "--json", environ=function)
    assert step(once_more, "backfill") == f"0 documents made, {whole:,} were there already"


def test_a_function_that_is_not_there_is_one_clear_line(cli: Cli, place: Place) -> None:
    answer = cli("index", "backfill", "test", "--config", place.config, "--dry-run")
    assert answer.code == 2
    assert "cannot import 'court_search'" in answer.err
    assert "Traceback" not in answer.err
