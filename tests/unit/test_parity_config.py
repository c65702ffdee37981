"""`parity`, `accept` and `warm_throughput` in the configuration: what they become in the plan, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from downstage.config.load import load
from downstage.domain.table_schema import ParityTerms, Units
from downstage.errors import ConfigError
from downstage.planning.build import build_plan

PROD, TEST = "111111111111", "222222222222"
KEY = f"arn:aws:kms:us-east-1:{PROD}:key/a"


def terms(path: Path, parity: dict[str, Any], **of_table: Any) -> ParityTerms:
    """What the plan says of the only table."""
    refresh = {"from": "prod", "parity": parity, "tables": [{"from": "app-prod", "to": "app-test", **of_table}]}
    config = {
        "version": 1,
        "environments": {
            "prod": {"account": PROD, "region": "us-east-1", "protected": True},
            "test": {"account": TEST, "region": "us-east-1", "refresh": refresh},
        },
        "masking": {"key": "env:KEY"},
    }
    file = path / "downstage.yaml"
    file.write_text(json.dumps(config), encoding="utf-8")
    (pair,) = build_plan(load(file, environ={}).config, "test", base=path).tables
    return pair.terms


def test_what_is_said_of_all_tables_and_of_one_comes_together(tmp_path: Path) -> None:
    found = terms(
        tmp_path,
        {"accept": ["billing"], "kms": {KEY: "alias/app"}, "accounts": {PROD: TEST}, "functions": {"a": "b"}},
        accept=["tags:stage"],
        warm_throughput={"write": 40000},
    )
    assert found == ParityTerms(
        ("billing", "tags:stage"), {KEY: "alias/app"}, {PROD: TEST}, {"a": "b"}, Units(write=40000)
    )


def test_nothing_said_accepts_nothing(tmp_path: Path) -> None:
    assert terms(tmp_path, {}) == ParityTerms()


@pytest.mark.parametrize(
    ("parity", "of_table", "message"),
    [
        ({"accept": ["tag"]}, {}, "must be one of local_indexes, global_indexes, billing"),
        ({"accept": ["keys"]}, {}, "must be one of local_indexes"),
        ({}, {"accept": ["billing:x"]}, "or global_indexes:NAME, tags:NAME"),
        ({}, {"accept": ["tags:"]}, "or global_indexes:NAME, tags:NAME"),
        ({"kms": {"alias/a": "alias/b"}}, {}, "a key's ARN, no alias"),
        ({"kms": {KEY: "b"}}, {}, "must be a key's ARN, or an alias such as alias/app-test"),
        ({"kms": {KEY: f"arn:aws:kms:us-east-1:{PROD}:key/b"}}, {}, f"name a key of account {TEST}"),
        ({"accounts": {PROD: "222"}}, {}, "must be an account id: 12 digits in quotes"),
        ({}, {"warm_throughput": {"write": 0}}, "warm_throughput.write"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    tmp_path: Path, parity: dict[str, Any], of_table: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        terms(tmp_path, parity, **of_table)
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
