"""`downstage iam`: what it prints and writes, that Terraform's text is HCL and says the same, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hcl2
import pytest
from typer.testing import CliRunner

from downstage.cli.main import app
from downstage.errors import DownstageError
from tests.permissions.configurations import EVERYTHING, project

NAMES = ["source", "target", "glue", "launcher"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    project(tmp_path, EVERYTHING)
    return tmp_path / "downstage.yaml"


def run(config: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["iam", "test", "--config", str(config), *arguments])


def printed(config: Path, *arguments: str) -> dict[str, Any]:
    answer = run(config, *arguments)
    assert answer.exit_code == 0, answer.output
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def test_it_prints_each_role_with_its_trust_and_policies(config: Path) -> None:
    told = printed(config)
    assert list(told) == NAMES
    for record in told.values():
        assert record["trust"]["Version"] == "2012-10-17"
        assert record["policies"]
    assert list(printed(config, "--role", "glue", "--role", "source")) == ["source", "glue"]


def test_json_is_one_line(config: Path) -> None:
    answer = run(config, "--json")
    assert len(answer.stdout.splitlines()) == 1
    assert json.loads(answer.stdout) == printed(config)


def test_notes_do_not_mix_with_the_documents(config: Path) -> None:
    answer = run(config)
    assert "note:" in answer.stderr
    assert "note:" not in answer.stdout


def test_it_writes_a_file_for_each_role(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "iam"
    answer = run(config, "--out", str(out))
    assert answer.exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{name}.json" for name in NAMES)
    assert {name: json.loads((out / f"{name}.json").read_text()) for name in NAMES} == printed(config)


def test_terraform_is_hcl_and_says_what_the_json_says(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "tf"
    assert run(config, "--format", "terraform", "--out", str(out)).exit_code == 0
    told = printed(config)
    for name in NAMES:
        parsed = parsed_file(out / f"{name}.tf")
        documents = {label: document_of(body) for label, body in labelled(parsed, "data", "aws_iam_policy_document")}
        (role,) = labelled(parsed, "resource", "aws_iam_role")
        assert plain(role[1]["name"]) == told[name]["role"].rpartition("/")[2]
        assert normal(documents[f"downstage_{name}_trust"]) == normal(told[name]["trust"]["Statement"])
        policies = {plain(body["name"]): label for label, body in labelled(parsed, "resource", "aws_iam_policy")}
        assert set(policies) == set(told[name]["policies"])
        attached = dict(labelled(parsed, "resource", "aws_iam_role_policy_attachment"))
        for policy, label in policies.items():
            assert normal(documents[label]) == normal(told[name]["policies"][policy]["Statement"])
            assert f"aws_iam_policy.{label}.arn" in attached[label]["policy_arn"]
        for bucket, policy in told[name].get("bucket_policies", {}).items():
            assert normal(documents["bucket_" + bucket.replace("-", "_")]) == normal(policy["Statement"])


def test_terraforms_providers_are_those_that_the_resources_name(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "tf"
    run(config, "--format", "terraform", "--out", str(out))
    declared = (out / "providers.tf").read_text()
    parsed_file(out / "providers.tf")
    for name in NAMES:
        text = (out / f"{name}.tf").read_text()
        used = {line.split("=")[1].strip() for line in text.splitlines() if line.strip().startswith("provider ")}
        assert used
        assert all(f"{provider}," in declared for provider in used)


def test_one_text_holds_all_of_it(config: Path) -> None:
    answer = run(config, "--format", "terraform")
    parsed = hcl2.loads(answer.stdout)
    assert len(list(labelled(parsed, "resource", "aws_iam_role"))) == 4


def test_policy_variables_survive_terraform(tmp_path: Path) -> None:
    project(tmp_path, EVERYTHING.replace('from_prefix: "cases/"', 'from_prefix: "a*%{x}/"'))
    answer = run(tmp_path / "downstage.yaml", "--format", "terraform", "--role", "target")
    assert '"arn:aws:s3:::docs-prod/a$${*}%%{x}/*"' in answer.stdout


@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        (("", ""), ["nowhere"], "there is no environment 'nowhere'"),
        (("", ""), ["prod"], "has no 'refresh'"),
        (('"old-[ab]"', '"old-[a-z][a-z]"'), ["test"], "too many characters open"),
        (("engine: {glue", "# engine: {glue"), ["test", "--role", "glue"], "no Glue job"),
        (("", ""), ["test", "--format", "terraform", "--json"], "--json goes with"),
        (("trust: [ecs-tasks.amazonaws.com]", "trust: ['*']"), ["test"], "never '*'"),
        (("role/downstage-glue", "role/"), ["test"], "must be a role"),
        (("external_id: acme-7f3a", "external_id: 'a b'"), ["test"], "external_id"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, change: tuple[str, str], arguments: list[str], words: str
) -> None:
    path = tmp_path / "downstage.yaml"
    path.write_text(EVERYTHING.replace(*change) if change[0] else EVERYTHING, encoding="utf-8")
    answer = CliRunner().invoke(app, ["iam", *arguments, "--config", str(path)])
    assert isinstance(answer.exception, DownstageError)
    assert answer.exception.exit_code == 2
    assert words in str(answer.exception)
    assert len(str(answer.exception).splitlines()) == 1


def test_a_directory_that_cannot_be_written_is_one_line(config: Path) -> None:
    answer = run(config, "--out", str(config))
    assert isinstance(answer.exception, DownstageError)
    assert "cannot be written" in str(answer.exception)


def parsed_file(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as file:
        parsed: dict[str, Any] = hcl2.load(file)
    return parsed


def labelled(parsed: dict[str, Any], block: str, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """(label, body) of the blocks of one kind."""
    return [
        (plain(label), body)
        for one in parsed.get(block, [])
        for found, labels in one.items()
        if plain(found) == kind
        for label, body in labels.items()
        if not plain(label).startswith("__")
    ]


def plain(text: str) -> str:
    """A text without the quotes that the parser leaves on it, and its escapes undone."""
    return text.strip('"').replace("$${", "${").replace("%%{", "%{")


def document_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements as JSON would have them."""
    found = []
    for statement in body["statement"]:
        said: dict[str, Any] = {"Sid": plain(statement["sid"]), "Effect": plain(statement["effect"])}
        for name, key in _NAMES.items():
            if name in statement:
                said[key] = [plain(value) for value in statement[name]]
        for principal in statement.get("principals", []):
            said.setdefault("Principal", {})[plain(principal["type"])] = [
                plain(one) for one in principal["identifiers"]
            ]
        for condition in statement.get("condition", []):
            test = said.setdefault("Condition", {}).setdefault(plain(condition["test"]), {})
            test[plain(condition["variable"])] = [plain(value) for value in condition["values"]]
        found.append(said)
    return found


_NAMES = {"actions": "Action", "not_actions": "NotAction", "resources": "Resource", "not_resources": "NotResource"}


def normal(statements: Any) -> Any:
    """Single values as lists of one, everywhere."""
    if isinstance(statements, dict):
        return {
            key: value if key in ("Sid", "Effect") else normal(value)
            for key, value in statements.items()
            if not key.startswith("__")
        }
    if isinstance(statements, list):
        return [value if isinstance(value, str) else normal(value) for value in statements]
    return [statements] if isinstance(statements, str) else statements


def test_the_comparison_itself_sees_a_difference() -> None:
    assert normal([{"Sid": "A", "Action": "x"}]) == normal([{"Sid": "A", "Action": ["x"]}])
    assert normal([{"Sid": "A", "Action": "x"}]) != normal([{"Sid": "A", "Action": "y"}])
