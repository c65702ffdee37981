"""What people get wrong: each is told in one line that says what, where and what to do, and nothing is touched.

A mistake in the configuration or on the command line leaves no state directory behind; one that only AWS can tell is
found by the preflight, before the first write.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Answer, Cli, Place
from tests.e2e.snapshot import Change, changed, settings, signed_in_as, snapshot
from tests.e2e.test_guards import reasons, refresh_of, setting

pytestmark = pytest.mark.e2e

PATIENCE_SECONDS = 15.0


def fails(cli: Cli, code: int, said: str, *command: object, environ: dict[str, str] | None = None) -> Answer:
    """The command ends with `code`, and one of its lines says `said`; with --json, one object says the same."""
    answer = cli(*command, environ=environ)
    matching = [line for line in reasons(answer) if said in line]
    assert answer.code == code, (answer.code, answer.err)
    assert len(matching) == 1, answer.err
    if "test" in command and "-o" not in command and command[0] != "check":
        again = cli(*command, "--json", environ=environ)
        assert again.code == code
        assert again.err == ""
        last = again.lines[-1]
        assert (last["event"], last["exit_code"]) == ("error", code)
        assert said in last["message"]
    return answer


def untouched(place: Place, name: str) -> bool:
    """No state directory of that configuration was made."""
    return not (place.directory / f"state-{name}").exists()


def begun(place: Place, name: str) -> set[str]:
    """The steps that any run of that configuration has begun."""
    with closing(sqlite3.connect(place.directory / f"state-{name}" / "journal.sqlite")) as journal:
        return {step for (step,) in journal.execute("select name from steps")}


def closed_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- the file


def test_no_configuration(cli: Cli, tmp_path: Path) -> None:
    fails(cli, 2, "write one with 'downstage init'", "refresh", "test", "--config", tmp_path / "none.yaml")
    fails(cli, 2, "is a directory", "refresh", "test", "--config", tmp_path)
    fails(cli, 2, "no configuration at", "report", "--config", tmp_path / "none.yaml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nenvironments: {\n", "not valid YAML"),
        ("version: 1\n\tstate: x\n", "a tab is used for indentation"),
        ("", "is empty"),
        ("- a\n", "must be a mapping"),
        ("version: 1\nversion: 1\n", "stands here a second time"),
        ("version: 7\n", "version must be 1"),
    ],
)
def test_a_file_that_is_no_configuration(cli: Cli, tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text(text)
    answer = fails(cli, 2, said, "refresh", "test", "--config", config)
    assert all(line.startswith(f"{config}:") for line in reasons(answer))
    assert list(tmp_path.iterdir()) == [config]


def test_an_unknown_key_is_placed_and_the_nearest_is_named(cli: Cli, place: Place) -> None:
    text = place.config.read_text(encoding="utf-8").replace("      buckets:", "      bukets:")
    line = 1 + text[: text.index("bukets:")].count("\n")
    config = place.directory / "unknown-key.yaml"
    config.write_text(text.replace("state: state ", "state: state-unknown-key "), encoding="utf-8")
    answer = fails(cli, 2, "did you mean 'buckets'?", "refresh", "test", "--config", config)
    assert reasons(answer)[0].startswith(f"{config}:{line}:7: unknown key 'bukets' in environments.test.refresh")
    assert untouched(place, "unknown-key")


def test_several_mistakes_are_a_line_each(cli: Cli, place: Place) -> None:
    def break_(values: dict[str, Any]) -> None:
        values["environments"]["test"]["account"] = "12"
        values["masking"]["sink"] = "nobody@gmail.com"
        values["engine"]["workers"] = 0

    config = changed(place, "several", break_)
    answer = fails(cli, 2, "must be an account id", "refresh", "test", "--config", config)
    assert len(reasons(answer)) == 3
    assert untouched(place, "several")


# -- the command line


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["refresh", "tset"], "did you mean 'test'?"),
        (["check", "tset"], "did you mean 'test'?"),
        (["plan", "tset"], "did you mean 'test'?"),
        (["streams", "status", "tset"], "did you mean 'test'?"),
        (["refresh", "prod"], "environment 'prod' has no 'refresh'"),
        (["refresh", "test", "--only", "coppy"], "did you mean 'copy'?"),
        (["refresh", "test", "--skip", "coppy"], "did you mean 'copy'?"),
        (["refresh", "test", "--only", "copy", "--skip", "sync"], "not with both"),
        (
            ["refresh", "test", "--engine", "spork"],
            "command line: engine.default must be 'local', 'serial', 'spark' or 'glue'",
        ),
        (["resume", "test-20200101-000000-ffff"], "there is no run test-20200101-000000-ffff here"),
        (["status", "test-20200101-000000-ffff"], "there is no run test-20200101-000000-ffff here"),
        (["report", "test-20200101-000000-ffff"], "there is no run test-20200101-000000-ffff here"),
        (["report"], "there is no refresh here yet"),
        (["status"], "there is no refresh here yet"),
        (["report", "--html", "--markdown"], "name one of --json"),
        (["report", "--markdown", "--schema"], "name one of --json"),
        (["report", "--html", "-o", "/proc/nowhere/proof.html"], "there is no refresh here yet"),
    ],
)
def test_a_wrong_command_line_is_2_and_makes_no_state(cli: Cli, place: Place, command: list[str], said: str) -> None:
    fails(cli, 2, said, *command, "--config", changed(place, "line"))
    assert untouched(place, "line")


def test_looking_where_nothing_has_run_makes_nothing(cli: Cli, place: Place) -> None:
    answer = cli("runs", "--config", changed(place, "line"))
    assert answer.code == 0
    assert "nothing has run here yet" in answer.out
    assert untouched(place, "line")


def test_a_single_step_with_nothing_to_go_by(cli: Cli, place: Place) -> None:
    config = changed(place, "nothing-before")
    before = snapshot(place)
    for command, step in (("verify", "copy"), ("index", "verify-tables")):
        fails(cli, 1, f"no run of test has done '{step}' yet", command, "test", "--config", config)
    assert snapshot(place) == before


def test_output_that_cannot_be_written(cli: Cli, place: Place, tmp_path: Path) -> None:
    fails(cli, 2, "cannot be written", "report", "--schema", "-o", tmp_path / "none" / "schema.json")
    fails(cli, 2, "cannot be written", "report", "--schema", "-o", tmp_path)
    fails(cli, 2, "cannot be written", "init", tmp_path / "none" / "downstage.yaml")
    (tmp_path / "there.yaml").write_text("mine")
    fails(cli, 2, "is there already", "init", tmp_path / "there.yaml")
    assert (tmp_path / "there.yaml").read_text() == "mine"
    config = changed(place, "no-state", lambda values: values.update(state="mask.key/state"))
    before = snapshot(place)
    fails(cli, 2, "the state directory", "refresh", "test", "--config", config)
    assert snapshot(place) == before


# -- the key and the credentials


def test_the_key_s_variable_is_not_set(cli: Cli, place: Place) -> None:
    config = changed(place, "no-key", lambda values: values["masking"].update(key="env:MASK_KEY_OF_NOBODY"))
    for command in ("refresh", "copy"):
        fails(cli, 2, "the environment variable MASK_KEY_OF_NOBODY is not set", command, "test", "--config", config)
    short = {"MASK_KEY_OF_NOBODY": "too-short"}
    answer = fails(cli, 2, "at least 32 are needed", "refresh", "test", "--config", config, environ=short)
    assert "too-short" not in answer.err + answer.out
    flat = {"MASK_KEY_OF_NOBODY": "a" * 40}
    fails(cli, 2, "is not random", "refresh", "test", "--config", config, environ=flat)
    fails(cli, 2, "MASK_KEY_OF_NOBODY is not set", "check", "test", "--config", config)
    assert untouched(place, "no-key")


def test_the_key_s_file_is_not_there(cli: Cli, place: Place) -> None:
    config = changed(place, "no-key-file", lambda values: values["masking"].update(key="file:none.key"))
    fails(cli, 2, "none.key cannot be read", "refresh", "test", "--config", config)
    assert untouched(place, "no-key-file")


@pytest.mark.parametrize("name", ["prod", "test"])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"profile": "nobody"}, "there is no AWS profile 'nobody'"),
        ({"profile": "nobody", "role": None}, "there is no AWS profile 'nobody'"),
        ({"credentials_file": "aws/none"}, "there is no credentials file"),
        ({"credentials_file": "downstage.yaml"}, "credentials or config file is malformed"),
    ],
)
def test_credentials_that_are_not_there(
    cli: Cli, place: Place, name: str, values: dict[str, str | None], said: str
) -> None:
    def change(config: dict[str, Any]) -> None:
        environment = {**config["environments"][name], **values}
        config["environments"][name] = {key: value for key, value in environment.items() if value is not None}

    config = changed(place, "no-credentials", change)
    answer = fails(cli, 2, said, "refresh", "test", "--config", config)
    assert reasons(answer)[0].startswith(f"environment {name}: ")
    assert untouched(place, "no-credentials")


# -- what only AWS can tell


@pytest.mark.parametrize("name", ["prod", "test"])
@pytest.mark.parametrize("role", [True, False])
def test_an_endpoint_that_nobody_listens_on(cli: Cli, place: Place, name: str, role: bool) -> None:
    """It is told soon, not after minutes of retries."""
    where = f"http://127.0.0.1:{closed_port()}"
    changes: list[Change] = [lambda values: values["environments"][name].update(endpoint=where)]
    if not role:
        changes.append(signed_in_as(place, name, settings(place)["environments"][name]["account"]))
    config = changed(place, "unreachable", *changes)
    before = snapshot(place)
    commands = [["refresh", "test"], ["check", "test"], *([["flags", "test"]] if name == "test" else [])]
    for command in commands:
        begun = time.monotonic()
        answer = cli(*command, "--config", config)
        assert time.monotonic() - begun < PATIENCE_SECONDS
        assert answer.code == 1
        (line,) = reasons(answer)
        assert line.startswith(f"environment {name}: could not ")
        assert f"{where} does not answer; check the endpoint and the network" in line
    assert snapshot(place) == before


def absent_table(values: dict[str, Any]) -> None:
    refresh_of(values)["tables"][0]["from"] = "efcms-prod-nobody"


def absent_bucket(values: dict[str, Any]) -> None:
    refresh_of(values)["buckets"][0]["from"] = "efcms-documents-nobody"


def absent_domain(values: dict[str, Any]) -> None:
    refresh_of(values)["search"]["from"] = "efcms-search-nobody"


ABSENT = (
    (absent_table, "could not describe table efcms-prod-nobody: it does not exist"),
    (absent_bucket, "could not list bucket efcms-documents-nobody: it does not exist"),
    (absent_domain, "there is no search domain efcms-search-nobody in the source: correct search.from"),
    (setting(streams={"functions": ["nobody_*"], "others": "off"}), "streams.functions: no event-source mapping"),
)


@pytest.mark.parametrize(("change", "said"), ABSENT, ids=["table", "bucket", "domain", "consumers"])
def test_what_is_not_there_is_found_before_the_first_write(cli: Cli, place: Place, change: Change, said: str) -> None:
    config = changed(place, "absent", change)
    before = snapshot(place)
    for command in ("check", "refresh"):
        answer = fails(cli, 2 if "streams" in said else 1, said, command, "test", "--config", config)
        assert len(reasons(answer)) == 1
    assert snapshot(place) == before


def test_a_consumer_that_the_configuration_does_not_name_would_see_unverified_data(cli: Cli, place: Place) -> None:
    config = changed(place, "unnamed", setting(streams={"functions": ["streams_test_nobody"]}))
    before = snapshot(place)
    for command in ("check", "refresh"):
        answer = cli(command, "test", "--config", config)
        assert answer.code == 3
        (line,) = [line for line in reasons(answer) if "others: warn" in line]
        assert "would see" in line
    assert snapshot(place) == before


def test_all_that_is_not_there_is_told_at_once(cli: Cli, place: Place) -> None:
    config = changed(place, "all-absent", *(change for change, _ in ABSENT))
    before = snapshot(place)
    for command in ("check", "refresh"):
        answer = cli(command, "test", "--config", config)
        assert answer.code == 2
        assert len(reasons(answer)) == len(ABSENT)
        assert all(any(said in line for line in reasons(answer)) for _, said in ABSENT)
    assert snapshot(place) == before


def test_a_target_domain_that_nothing_makes(cli: Cli, place: Place) -> None:
    def undeployed(values: dict[str, Any]) -> None:
        for part in ("deploy", "wipe", "streams", "tables"):
            refresh_of(values).pop(part)
        refresh_of(values)["search"]["domain"] = "efcms-search-nobody"

    config = changed(place, "undeployed", undeployed)
    said = "there is no search domain efcms-search-nobody in the target: correct search.domain"
    fails(cli, 1, said, "check", "test", "--config", config)


def test_a_search_endpoint_that_nobody_listens_on(cli: Cli, place: Place) -> None:
    def unreachable(values: dict[str, Any]) -> None:
        endpoint = f"http://127.0.0.1:{closed_port()}"
        values["environments"]["prod"]["search_endpoints"]["efcms-search-prod-alpha"] = endpoint

    begun = time.monotonic()
    config = changed(place, "search-unreachable", unreachable)
    fails(cli, 1, "the endpoint does not answer", "deploy", "test", "--config", config)
    assert time.monotonic() - begun < 2 * PATIENCE_SECONDS


# -- a deployer that this version lacks


CIRCLECI = setting(deploy={"circleci": {"project": "github/acme/app", "rerun": "build", "branch": "test"}})
LEFT_OUT = [
    f"--skip={step}"
    for step in ("deploy", "wipe", "copy", "verify-tables", "consumers-off", "consumers-on", "index", "verify-index")
]
NO_TOKEN = "deploy.circleci.token: the environment variable CIRCLE_TOKEN is not set"


def test_a_ci_without_its_token_is_told_before_anything_is_touched(cli: Cli, place: Place) -> None:
    config = changed(place, "circleci", CIRCLECI)
    before = snapshot(place)
    for command in ("refresh", "deploy", "check"):
        fails(cli, 2, NO_TOKEN, command, "test", "--config", config)
        assert begun(place, "circleci") <= {"preflight", "deploy", "stopped"}  # the last says by what
    assert snapshot(place) == before


@pytest.mark.parametrize(
    "command",
    [
        ["refresh", "test", *LEFT_OUT],
        ["refresh", "test", "--only", "flags", "--only", "preflight"],
        ["flags", "test"],
        ["streams", "status", "test"],
        ["key", "check", "test"],
    ],
    ids=lambda command: " ".join(command[:4]),
)
def test_a_ci_does_not_matter_where_it_is_not_used(cli: Cli, place: Place, command: Sequence[str]) -> None:
    answer = cli(*command, "--config", changed(place, "circleci-skipped", CIRCLECI))
    assert reasons(answer) == []
    assert answer.code == (6 if command[0] == "refresh" else 0), answer.err  # parts of a refresh prove nothing


def test_every_line_of_json_is_an_object(cli: Cli, place: Place) -> None:
    answer = cli("refresh", "test", "--json", "--config", changed(place, "json-lines", absent_table))
    assert answer.code == 1
    events = [line["event"] for line in map(json.loads, answer.out.splitlines())]
    assert events[-2:] == ["outcome", "error"]
    assert events.count("error") == 1
