"""`preflight` and `prices` in the configuration: the defaults are the list prices, bad values are refused plainly."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstage.domain.prices import Prices
from downstage.planning.build import build_plan
from tests.unit.test_config_sample import SAMPLE, read, refusal


def test_the_defaults_are_the_list_prices(tmp_path: Path) -> None:
    config = read(tmp_path, SAMPLE).config
    assert Prices(**config.prices.model_dump()) == Prices()
    assert not Prices().own
    assert build_plan(config, "test", base=tmp_path).source_role == "fail"


def test_a_price_of_ones_own(tmp_path: Path) -> None:
    text = SAMPLE + "\nprices: {write: 0.5, requests: 0}\npreflight: {source_role: warn}\n"
    config = read(tmp_path, text).config
    prices = Prices(**config.prices.model_dump())
    assert (prices.write, prices.requests, prices.own) == (0.5, 0.0, True)
    assert build_plan(config, "test", base=tmp_path).source_role == "warn"


def test_a_price_may_come_from_the_environment(tmp_path: Path) -> None:
    config = read(tmp_path, SAMPLE, {"DOWNSTAGE__PRICES__READ": "0.25"}).config
    assert config.prices.read == 0.25


@pytest.mark.parametrize("value", ["-1", "free", "true", ".inf", ".nan", "[1]"])
def test_a_price_that_is_none(tmp_path: Path, value: str) -> None:
    said = refusal(tmp_path, SAMPLE + f"\nprices: {{write: {value}}}\n")
    assert "must be a number of dollars that is not negative" in said


def test_a_word_that_is_not_known(tmp_path: Path) -> None:
    assert "preflight.source_role" in refusal(tmp_path, SAMPLE + "\npreflight: {source_role: ignore}\n")
    said = refusal(tmp_path, SAMPLE + "\nprices: {writes: 1}\n")
    assert "unknown key 'writes' in prices; did you mean 'write'?" in said
