"""`index` on the command line and in the configuration: `index ENV` is `index wait ENV`; what cannot be is one line."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from typer.testing import CliRunner

from downstage.app.index_worker import mapping_of, mapping_version
from downstage.cli.main import app
from downstage.domain.plan import Backfill, SearchPlan, Streams
from downstage.errors import ConfigError, UsageError
from downstage.planning.consumers import expected_hold
from downstage.ports import TableFacts
from downstage.testing.world import plan_of
from tests.unit.test_config_sample import changed, refusal
from tests.unit.test_config_schema import REFRESH

SEARCH = cast("SearchPlan", plan_of().search)


@pytest.mark.parametrize("arguments", [["index", "test"], ["index", "wait", "test"], ["index", "backfill", "test"]])
def test_every_way_to_say_it_reads_the_configuration(arguments: list[str], tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, [*arguments, "--config", str(tmp_path / "none.yaml")])
    assert isinstance(answer.exception, ConfigError)
    assert "none.yaml" in str(answer.exception)


def test_a_dry_run_has_nothing_to_go_on_with(tmp_path: Path) -> None:
    arguments = ["index", "backfill", "test", "--dry-run", "--time-box", "5m", "-c", str(tmp_path / "none.yaml")]
    answer = CliRunner().invoke(app, arguments)
    assert isinstance(answer.exception, UsageError)
    assert "--time-box" in str(answer.exception)


def test_without_a_command_the_help_is_shown() -> None:
    answer = CliRunner().invoke(app, ["index"])
    assert "wait" in answer.output
    assert "backfill" in answer.output


@pytest.mark.parametrize(
    ("backfill", "said"),
    [
        ("{}", "must hold exactly one of call and attributes"),
        ('{call: "a:b", attributes: [pk]}', "must hold exactly one of call and attributes"),
        ("{call: a.b}", f"{REFRESH}.search.backfill.call must be written module:function"),
        ('{call: "a:b", automatic: maybe}', f"{REFRESH}.search.backfill.automatic"),
        ('{cal: "a:b"}', "did you mean 'call'?"),
    ],
)
def test_a_backfill_is_said_in_one_way(backfill: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, changed("patience: 15m", f"backfill: {backfill}"))


def test_what_becomes_of_other_consumers_is_one_of_three(tmp_path: Path) -> None:
    text = changed("regions: [us-east-1", "others: perhaps, regions: [us-east-1")
    assert "must be 'fail', 'warn' or 'off'" in refusal(tmp_path, text)
    assert Streams(()).others == "fail"


def test_another_mapping_is_told_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("court_search")
    module.document = lambda item: None  # type: ignore[attr-defined]
    module.document.version = "1"
    monkeypatch.setitem(sys.modules, "court_search", module)
    call = Backfill(call="court_search:document")
    first = mapping_version(SEARCH, call)
    assert mapping_version(SEARCH, call) == first
    module.document.version = "2"
    assert mapping_version(SEARCH, call) != first
    some = Backfill(attributes=("pk",))
    assert mapping_version(SEARCH, some) != mapping_version(SEARCH, Backfill(attributes=("pk", "sk")))
    assert mapping_version(SEARCH, some) != mapping_version(replace(SEARCH, document_id="{pk}"), some)
    with pytest.raises(ConfigError, match="finds no function"):
        mapping_version(SEARCH, Backfill(call="court_search:other"))


def test_without_a_function_the_documents_are_those_that_are_expected() -> None:
    item = {"pk": {"S": "case|1"}, "sk": {"S": "x"}, "entityName": {"S": "Case"}}
    (made,) = mapping_of(replace(SEARCH, backfill=Backfill(attributes=("sk",))))(item)
    assert (made.index, made.document_id, made.source) == ("app-case", "case|1_x", b'{"sk":"x"}')
    assert not mapping_of(replace(SEARCH, backfill=Backfill(attributes=("sk",))))(item | {"entityName": {"S": "User"}})
    with pytest.raises(ConfigError):
        mapping_of(SEARCH)


def test_how_long_the_consumers_will_be_off_at_least() -> None:
    plan = plan_of()
    (pair,) = plan.tables

    def facts(items: int, size: int) -> TableFacts:
        return TableFacts("t", "arn", "id", "ACTIVE", ("pk",), items, size)

    million = facts(1_000_000, 1_700_000_000)  # 1.7 KB an item: 2 units each
    assert expected_hold(plan, [(pair, million)]) == pytest.approx(2_000_000 / 4000 + 1_700_000_000 / 4096 / 12_000)
    slow = replace(plan, rates=replace(plan.rates, write=100.0, verify=1000.0))
    assert expected_hold(slow, [(pair, million)]) == pytest.approx(20_000 + 1_700_000_000 / 4096 / 1000)
    read = replace(plan, rates=replace(plan.rates, read=10.0))
    assert expected_hold(read, [(pair, million)]) > 1_700_000_000 / 8192 / 10
    assert expected_hold(plan, [(pair, facts(0, 0))]) == 0.0
    assert expected_hold(plan, []) == 0.0
    alone, three = expected_hold(plan, [(pair, million)]), [(pair, million)] * 3
    for workers, times in ((1, 3.0), (2, 1.5), (3, 1.0), (64, 1.0)):  # side by side, as far as there are lanes
        many = replace(plan, engine=replace(plan.engine, name="local", workers=workers))
        assert expected_hold(many, three) == pytest.approx(times * alone)
    serial = replace(plan, engine=replace(plan.engine, name="serial", workers=64))
    assert expected_hold(serial, three) == pytest.approx(3 * alone)
    shared = replace(slow, engine=replace(plan.engine, name="local", workers=64))  # a set rate is of all together
    assert expected_hold(shared, three) == pytest.approx(3 * expected_hold(shared, [(pair, million)]))
