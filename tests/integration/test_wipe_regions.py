"""A wipe in two regions of moto, by the commands: what `plan` shows of it, what `wipe` deletes, and where.

moto keeps regions apart, and knows deletion protection. It models no replicas (`tests/unit/test_aws_replicas.py` does)
and serves no documents, so that a search domain is deleted here without its indices being emptied first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from downstage.aws.opensearch import DomainControl
from downstage.cli.main import app
from downstage.testing.search import MemoryIndex

pytestmark = pytest.mark.integration

EAST, WEST, NORTH = "us-east-1", "us-west-1", "eu-north-1"
ACCOUNT = "123456789012"
CONFIG = f"""\
version: 1
journal: sqlite
environments:
  prod: {{account: "{ACCOUNT}", region: {EAST}}}
  test:
    account: "{ACCOUNT}"
    region: {EAST}
    refresh:
      from: prod
      wipe: {{tables: ["app-test*"], domains: ["search-test*"], regions: [{EAST}, {WEST}]}}
      tables: [{{from: app-prod, to: app-test}}]
masking: {{key: "env:MASK"}}
"""


def dynamodb(region: str) -> Any:
    return boto3.client("dynamodb", region_name=region)


def opensearch(region: str) -> Any:
    return boto3.client("opensearch", region_name=region)


def make(region: str, name: str, *, protected: bool = False) -> None:
    dynamodb(region).create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=protected,
    )


def there(region: str) -> tuple[list[str], list[str]]:
    domains = opensearch(region).list_domain_names()["DomainNames"]
    return sorted(dynamodb(region).list_tables()["TableNames"]), sorted(one["DomainName"] for one in domains)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("MASK", bytes(range(32)).hex())
    monkeypatch.setattr(DomainControl, "index", lambda _self, domain: MemoryIndex(domain, []))
    path = tmp_path / "downstage.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    with mock_aws():
        for region in (EAST, WEST, NORTH):
            for name in ("app-prod", "downstage-other", "flags"):
                make(region, name)
            make(region, "app-test", protected=True)
            opensearch(region).create_domain(DomainName="search-test")
            opensearch(region).create_domain(DomainName="search-other")
        make(WEST, "app-test-old")
        yield path


def run(config: Path, *command: str) -> Any:
    return CliRunner().invoke(app, [*command, "--config", str(config)])


def test_the_plan_shows_what_goes_in_each_region(config: Path) -> None:
    answer = run(config, "plan", "test", "--json")
    assert answer.exit_code == 0, answer.output
    shown = json.loads(answer.stdout)
    text = json.dumps(shown)
    for line in (f"app-test in {EAST}", f"app-test in {WEST}", f"app-test-old in {WEST}", f"search-test in {WEST}"):
        assert line in text
    assert NORTH not in text
    assert there(WEST)[0] == ["app-prod", "app-test", "app-test-old", "downstage-other", "flags"]


def test_the_wipe_deletes_in_each_region_and_nowhere_else(config: Path) -> None:
    untouched = there(NORTH)
    answer = run(config, "wipe", "test")
    assert answer.exit_code == 0, answer.output
    assert "3 tables and 2 search domains deleted in 2 regions" in answer.output
    for region in (EAST, WEST):
        assert there(region) == (["app-prod", "downstage-other", "flags"], ["search-other"])
    assert there(NORTH) == untouched


def test_one_region_is_the_default(config: Path) -> None:
    config.write_text(CONFIG.replace(f", regions: [{EAST}, {WEST}]", ""), encoding="utf-8")
    untouched = there(WEST)
    shown = run(config, "plan", "test").output
    assert "app-test in" not in shown
    answer = run(config, "wipe", "test")
    assert answer.exit_code == 0, answer.output
    assert there(EAST)[0] == ["app-prod", "downstage-other", "flags"]
    assert there(WEST) == untouched


def test_what_is_read_is_wiped_in_no_region(config: Path) -> None:
    config.write_text(CONFIG.replace('"app-test*"', '"app-*"'), encoding="utf-8")
    before = there(EAST), there(WEST)
    for command in ("check", "wipe"):
        answer = run(config, command, "test")
        said = answer.output + str(answer.exception)  # the command's own way out is `cli.main.main`
        assert "wiping tables with 'app-*': it matches 'app-prod', which is read from" in said
    assert (there(EAST), there(WEST)) == before
