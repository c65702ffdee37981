"""What must never happen, asked for from the command line: each is refused, said in one line, and nothing is written.

Nothing written means: tables with every item, parameters, objects, consumers and indices of both accounts are what
they were before, by raw AWS calls. The exit code is 3, also where the configuration's own check came first; it is 2
where the configuration merely has nothing of that name.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Answer, Cli, Place
from tests.e2e.snapshot import PROD, STRANGER, TEST, Change, changed, client, settings, signed_in_as, snapshot

pytestmark = pytest.mark.e2e

WRITING = (
    ["refresh", "test"],
    ["flags", "test"],
    ["wipe", "test"],
    ["deploy", "test"],
    ["copy", "test"],
    ["sync", "test"],
    ["streams", "off", "test"],
    ["streams", "on", "test"],
)
REFRESH, COPY, SYNC, WIPE = ["refresh", "test"], ["copy", "test"], ["sync", "test"], ["wipe", "test"]
CHECK = ["check", "test"]


def reasons(answer: Answer) -> list[str]:
    """The lines that say why; nothing that looks like a crash stands beside them."""
    assert "Traceback" not in answer.err + answer.out
    assert "internal error" not in answer.err
    return [line.removeprefix("downstage: ") for line in answer.err.splitlines() if line.startswith("downstage: ")] or [
        line.removeprefix("✗ ") for line in answer.out.splitlines() if line.startswith("✗ ")
    ]


def refused(
    cli: Cli, place: Place, config: Path, commands: Sequence[Sequence[str]], said: str, code: int = 3
) -> list[str]:
    """Every command ends with `code`, says `said` in one line, and changes nothing. Gives the last one's reasons."""
    before = snapshot(place)
    found: list[str] = []
    for command in commands:
        answer = cli(*command, "--config", config)
        found = reasons(answer)
        assert answer.code == code, (command, answer.code, answer.err)
        matching = [line for line in found if said in line]
        assert len(matching) == 1, (command, found)
        assert ";" in matching[0] or ":" in matching[0]  # what happened, and what to do
    assert snapshot(place) == before
    return found


def refresh_of(values: dict[str, Any]) -> dict[str, Any]:
    stanza: dict[str, Any] = values["environments"]["test"]["refresh"]
    return stanza


def setting(**values: Any) -> Change:
    """Replaces parts of the refresh."""
    return lambda config: refresh_of(config).update(values)


# -- the wrong account


def test_a_protected_target(cli: Cli, place: Place) -> None:
    config = changed(place, "protected", lambda values: values["environments"]["test"].update(protected=True))
    refused(cli, place, config, [REFRESH, WIPE, CHECK], "the environment is protected")
    assert not (place.directory / "state-protected").exists()


def test_production_itself_cannot_be_named(cli: Cli, place: Place) -> None:
    commands = [[*command[:-1], "prod"] for command in WRITING]
    refused(cli, place, changed(place, "named"), commands, "'prod' has no 'refresh'", code=2)


def test_a_target_in_the_account_of_production(cli: Cli, place: Place) -> None:
    config = changed(
        place,
        "one-account",
        lambda values: values["environments"]["test"].update(account=PROD),
        signed_in_as(place, "test", PROD),
    )
    refused(cli, place, config, [*WRITING, CHECK], f"its account {PROD} is also that of 'prod', which is protected")


def test_the_target_s_credentials_belong_to_production(cli: Cli, place: Place) -> None:
    config = changed(place, "wrong-credentials", signed_in_as(place, "test", PROD))
    lines = refused(cli, place, config, [*WRITING, CHECK], f"belong to account {PROD}, which is 'prod'")
    assert len(lines) == 1


def test_the_target_s_role_belongs_to_production(cli: Cli, place: Place) -> None:
    role = settings(place)["environments"]["prod"]["role"]
    config = changed(place, "wrong-role", lambda values: values["environments"]["test"].update(role=role))
    refused(cli, place, config, [REFRESH, WIPE, CHECK], "is a role of another account")


def test_an_account_that_the_configuration_does_not_name(cli: Cli, place: Place) -> None:
    config = changed(place, "stranger", signed_in_as(place, "test", STRANGER))
    refused(cli, place, config, [*WRITING, CHECK], f"credentials for 'test' belong to account {STRANGER}")


def test_the_source_s_credentials_belong_to_another_account(cli: Cli, place: Place) -> None:
    config = changed(place, "wrong-source", signed_in_as(place, "prod", STRANGER))
    refused(cli, place, config, [REFRESH, CHECK], f"credentials for 'prod' belong to account {STRANGER}")


# -- the source as the target


def one_account(place: Place) -> list[Change]:
    def merge(values: dict[str, Any]) -> None:
        values["environments"]["prod"]["protected"] = False
        values["environments"]["test"]["account"] = PROD

    return [merge, signed_in_as(place, "test", PROD)]


def test_a_table_onto_itself(cli: Cli, place: Place) -> None:
    pair = {"from": "efcms-prod-alpha", "to": "efcms-prod-alpha"}
    config = changed(place, "itself", *one_account(place), setting(tables=[pair]))
    refused(cli, place, config, [REFRESH, WIPE, CHECK], "is the source table itself")


def test_a_table_that_another_pair_reads(cli: Cli, place: Place) -> None:
    pairs = [
        {"from": "efcms-prod-alpha", "to": "efcms-prod-users"},
        {"from": "efcms-prod-users", "to": "efcms-test-users"},
    ]
    config = changed(place, "chain", *one_account(place), setting(tables=pairs))
    refused(cli, place, config, [*WRITING, CHECK], "it is a source table in the same account")


def test_a_bucket_onto_itself(cli: Cli, place: Place) -> None:
    bucket = {"from": "efcms-documents-prod", "to": "efcms-documents-prod", "delete": True}
    config = changed(place, "bucket-itself", setting(buckets=[bucket]))
    refused(cli, place, config, [REFRESH, SYNC, CHECK], "is the source bucket itself")


# -- buckets


def test_an_empty_source_bucket_never_empties_the_target(cli: Cli, place: Place) -> None:
    client(place, "s3", PROD).create_bucket(Bucket="guards-empty")
    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::guards-empty*"]}
    client(place, "s3", PROD).put_bucket_policy(Bucket="guards-empty", Policy=json.dumps({"Statement": [policy]}))
    bucket = {"from": "guards-empty", "to": "efcms-documents-test", "delete": True}
    config = changed(place, "empty-bucket", setting(buckets=[bucket]))
    lines = refused(cli, place, config, [REFRESH, SYNC, CHECK], "the source bucket 'guards-empty' is empty")
    assert len(lines) == 1


def test_a_source_bucket_that_cannot_be_listed_stops_the_run(cli: Cli, place: Place) -> None:
    """A listing that fails must not pass for an empty one; the line holds AWS's reason."""
    client(place, "s3", STRANGER).create_bucket(Bucket="guards-closed")
    bucket = {"from": "guards-closed", "to": "efcms-documents-test", "delete": True}
    config = changed(place, "closed-bucket", setting(buckets=[bucket]))
    refused(cli, place, config, [REFRESH, SYNC, CHECK], "could not list bucket guards-closed")


# -- wipe


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("efcms-deploy-test", "it matches 'efcms-deploy-test', which holds flags"),
        ("efcms-*", "it matches 'efcms-deploy-test', which holds flags"),
        ("*", "fewer than 3 plain characters"),
        ("ef*", "fewer than 3 plain characters"),
        ("[e]fcms-test-alpha", "fewer than 3 plain characters"),
        ("downstage-runs", "it reaches Downstage's own names"),
        ("down*", "it reaches Downstage's own names"),
    ],
)
def test_a_wipe_that_reaches_too_far(cli: Cli, place: Place, pattern: str, said: str) -> None:
    wipe = {"tables": ["efcms-test-alpha", pattern], "domains": []}
    config = changed(place, "wipe", setting(wipe=wipe))
    lines = refused(cli, place, config, [REFRESH, WIPE, CHECK], said)
    assert len(lines) == 1
    assert f"'{pattern}'" in lines[0]


def test_a_wipe_of_every_domain(cli: Cli, place: Place) -> None:
    config = changed(place, "wipe-domains", setting(wipe={"tables": ["efcms-test-alpha"], "domains": ["*"]}))
    refused(cli, place, config, [REFRESH, WIPE, CHECK], "wiping search domains with '*'")


# -- tables and runs of others


def test_a_copy_into_a_table_that_holds_items(cli: Cli, place: Place) -> None:
    assert snapshot(place)[TEST]["table efcms-test-alpha"][1] > 0
    commands = [COPY, [*REFRESH, "--only", "copy"]]
    lines = refused(cli, place, changed(place, "holds-items"), commands, "it holds items that this run did not write")
    assert len(lines) == 1


def failed_run(cli: Cli, config: Path) -> str:
    """A run that was refused and can be resumed."""
    assert cli("copy", "test", "--config", config).code == 3
    run_id: str = cli("runs", "--json", "--config", config).lines[-1]["run_id"]
    return run_id


def test_a_run_is_not_resumed_with_another_configuration(cli: Cli, place: Place) -> None:
    run = failed_run(cli, changed(place, "resumed"))
    config = changed(place, "resumed", setting(buckets=[]))
    lines = refused(cli, place, config, [["resume", run]], "the configuration is not the one it was started with")
    assert run in lines[0]


def test_a_run_is_not_resumed_with_another_key(cli: Cli, place: Place) -> None:
    key = place.directory / "other.key"
    key.write_bytes((place.directory / "mask.key").read_bytes())
    other = changed(place, "rekeyed", lambda values: values["masking"].update(key="file:other.key"))
    run = failed_run(cli, other)
    key.write_text(os.urandom(32).hex(), encoding="utf-8")
    refused(cli, place, other, [["resume", run]], "the masking key or policy is not the one")


def test_a_guard_in_json_is_the_last_object(cli: Cli, place: Place) -> None:
    config = changed(place, "json", signed_in_as(place, "test", PROD))
    for command in (REFRESH, ["flags", "test"]):
        answer = cli(*command, "--json", "--config", config)
        assert answer.code == 3
        assert answer.err == ""
        last = answer.lines[-1]
        assert (last["event"], last["exit_code"]) == ("error", 3)
        assert f"belong to account {PROD}" in last["message"]


def test_two_refreshes_at_once(cli: Cli, place: Place) -> None:
    """The second is refused and names the first, which is held still meanwhile, and then ends as if alone."""
    config = changed(place, "twice")
    lock = place.directory / "state-twice" / "test.lock"
    first = cli.start("refresh", "test", "--config", config)
    try:
        deadline = time.monotonic() + 60
        while not (lock.exists() and lock.read_text().split()[:1] == [str(first.pid)]):
            assert time.monotonic() < deadline
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)
        while snapshot(place) != snapshot(place):  # until what was under way has arrived
            assert time.monotonic() < deadline
        said = f"another run of test is going on (process {first.pid})"
        refused(cli, place, config, [REFRESH, COPY, ["streams", "off", "test"]], said)
        first.send_signal(signal.SIGCONT)
        assert first.wait(180) == 0
    finally:
        first.kill()
        first.wait()
