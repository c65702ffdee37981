"""The commands of automation against a CircleCI: the page of docs is followed word by word, and bad input is tried."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from downstage.cli.main import app
from downstage.errors import CiError, ConfigError, DownstageError, UsageError
from downstage.testing.simple import JumpingClock
from tests.ci_servers.circleci import PREFIX, TOKEN, CircleCiServer
from tests.ci_servers.server import serving

PAGE = (Path(__file__).parents[2] / "docs" / "automation.md").read_text(encoding="utf-8")
FIRST, MIG, DEPLOYERS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
BOTH = FIRST.replace("masking:", f"{MIG}masking:")
STANZA = FIRST[FIRST.index("      schedule:") : FIRST.index("masking:")]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory without AWS credentials: schedules at a CI need none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIRCLE_TOKEN", TOKEN)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "DOWNSTAGE_CONFIG", "CI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def server() -> Iterator[CircleCiServer]:
    with serving(CircleCiServer(JumpingClock()), PREFIX) as made:
        yield made
    assert not made.contract.violations, made.contract.violations


def configure(place: Path, text: str, server: CircleCiServer | None = None) -> None:
    if server is not None:
        text = text.replace("schedule: {", f"schedule: {{endpoint: '{server.url}', ")
        text = text.replace("        via: circleci\n", f"        via: circleci\n        endpoint: {server.url}\n")
    (place / "downstage.yaml").write_text(text, encoding="utf-8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def fails(kind: type[DownstageError], *arguments: str) -> str:
    done = run(*arguments)
    assert isinstance(done.exception, kind), (done.exception, done.output)
    said = str(done.exception)
    assert TOKEN not in said + done.output
    assert len(said.splitlines()) == 1
    return said


def names(server: CircleCiServer) -> list[str]:
    return [schedule["name"] for schedule in server.schedules]


def test_adding_an_environment_is_one_stanza_and_schedule_apply(place: Path, server: CircleCiServer) -> None:
    server.schedule("nightly-build", parameters={"branch": "main"})
    configure(place, FIRST, server)
    assert run("schedule", "apply", "--yes").exit_code == 0
    assert names(server) == ["nightly-build", "downstage-test"]

    configure(place, BOTH, server)
    dry = run("schedule", "apply", "--dry-run")
    assert dry.exit_code == 0
    lines = [re.sub(r"next .*", "next …", line) for line in dry.stdout.splitlines()]
    shown = PAGE.split("$ downstage schedule apply\n")[1].split("\nmake 1 change?")[0].splitlines()
    assert lines == [re.sub(r"next .*", "next …", line) for line in shown]
    assert names(server) == ["nightly-build", "downstage-test"]

    done = run("schedule", "apply", "--yes")
    assert done.stdout.splitlines()[-1] == "done: create downstage-mig"
    assert names(server) == ["nightly-build", "downstage-test", "downstage-mig"]
    mig = server.schedules[-1]
    assert mig["parameters"] == {"branch": "migration", "run_build_and_deploy": False}
    assert mig["timetable"]["days-of-month"] == [2]
    assert mig["timetable"]["hours-of-day"] == [5]
    assert mig["actor"]["login"] == "system-actor"

    assert run("schedule", "apply").stdout.splitlines()[-1] == "nothing to do"

    rendered = run("ci", "render", "circleci", "mig")
    assert rendered.exit_code == 0
    snippet = YAML(typ="safe").load(rendered.stdout)
    workflow, going_on = snippet["workflows"].values()
    for each in (workflow, going_on):
        assert each["jobs"][0]["downstage-refresh-mig"]["filters"] == {"branches": {"only": ["migration"]}}
    assert set(snippet["parameters"]) == {"downstage_refresh_mig", "downstage_run"}
    assert "downstage-mig" in json.dumps(workflow["when"])
    assert snippet["jobs"]["downstage-refresh-mig"]["environment"] == {
        "DOWNSTAGE_RUN": "<< pipeline.parameters.downstage_run >>"
    }


def test_the_approval_job_waits_in_the_first_workflow_alone(place: Path) -> None:
    configure(place, FIRST)
    workflows = YAML(typ="safe").load(run("ci", "render", "circleci", "test").stdout)["workflows"]
    assert [job["wait-for-refresh"]["type"] for job in workflows["downstage-refresh-test"]["jobs"][1:]] == ["approval"]
    assert len(workflows["downstage-refresh-test-on"]["jobs"]) == 1


def test_a_stanza_that_is_gone_has_its_schedule_removed(place: Path, server: CircleCiServer) -> None:
    configure(place, BOTH, server)
    run("schedule", "apply", "--yes")
    configure(place, FIRST, server)
    assert "nobody's downstage-mig" in run("schedule", "list").stdout
    assert "remove   downstage-mig" in run("schedule", "apply", "--dry-run").stdout
    assert run("schedule", "apply", "test", "--yes").stdout.splitlines()[-1] == "nothing to do"
    assert names(server) == ["downstage-test", "downstage-mig"]
    run("schedule", "apply", "--yes")
    assert names(server) == ["downstage-test"]


def test_removing_one_environments_schedule(place: Path, server: CircleCiServer) -> None:
    server.schedule("other")
    configure(place, BOTH, server)
    run("schedule", "apply", "--yes")
    assert run("schedule", "remove", "mig", "--yes").exit_code == 0
    assert names(server) == ["other", "downstage-test"]
    assert run("schedule", "remove", "mig", "--yes").stdout.splitlines()[-1] == "nothing to do"


def test_nothing_is_changed_where_nobody_can_be_asked(place: Path, server: CircleCiServer) -> None:
    configure(place, FIRST, server)
    assert "add --yes" in fails(UsageError, "schedule", "apply")
    assert "add --yes" in fails(UsageError, "schedule", "apply", "--json")
    assert server.schedules == []


def test_for_machines(place: Path, server: CircleCiServer) -> None:
    configure(place, BOTH.replace("day: 2", "day: 30"), server)
    server.schedule("downstage-test", timetable={"per-hour": 1, "hours-of-day": [4], "days-of-month": [1]})
    done = run("schedule", "apply", "--yes", "--json")
    assert done.exit_code == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["name"], line.get("state") or line["done"]) for line in lines] == [
        ("downstage-test", "update"),
        ("downstage-mig", "create"),
        ("downstage-test", "update"),
        ("downstage-mig", "create"),
    ]
    assert lines[0]["differences"]["hours"] == {"is": [4], "wanted": [5]}
    assert lines[0]["next"].endswith("T05:00:00Z")
    assert "there is no day 30 in FEB" in lines[1]["doubts"][0]


def test_days_that_some_months_do_not_have_are_warned_of_on_standard_error(place: Path, server: CircleCiServer) -> None:
    configure(place, BOTH.replace("day: 2", "day: 31"), server)
    done = run("schedule", "list")
    assert "downstage-mig: there is no day 31 in FEB, APR, JUN, SEP, NOV" in done.stderr


def test_mistakes_are_one_clear_line_each(place: Path, server: CircleCiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(place, FIRST, server)
    assert "did you mean 'test'?" in fails(ConfigError, "schedule", "apply", "tset", "--yes")
    assert "has no 'schedule' in its 'refresh'" in fails(ConfigError, "schedule", "apply", "prod", "--yes")
    assert "has no 'schedule' in its 'refresh'" in fails(ConfigError, "ci", "render", "circleci", "prod")
    assert "is via circleci, not github" in fails(ConfigError, "ci", "render", "github", "test")
    assert "the CIs are circleci and github" in fails(UsageError, "ci", "render", "jenkins", "test")
    monkeypatch.setenv("CIRCLE_TOKEN", "CCIPAT_stale")
    assert "renew what env:CIRCLE_TOKEN holds" in fails(CiError, "schedule", "apply", "--yes")
    monkeypatch.delenv("CIRCLE_TOKEN")
    assert "the environment variable CIRCLE_TOKEN is not set" in fails(ConfigError, "schedule", "list")
    configure(place, FIRST.replace("github/acme/app\n", "github/acme/nothing\n"), server)
    monkeypatch.setenv("CIRCLE_TOKEN", TOKEN)
    assert "github/acme/nothing: CircleCI answered 404" in fails(CiError, "schedule", "apply", "--yes")
    assert server.schedules == []


def test_without_any_schedule(place: Path) -> None:
    configure(place, FIRST.replace(STANZA, ""))
    assert (
        run("schedule", "list").stdout == "no environment has a 'schedule' in its 'refresh': nothing starts by itself\n"
    )


def test_the_runners_schedule_is_always_as_it_should_be(place: Path) -> None:
    text = re.sub(
        r"      schedule:.*?(?=masking)", "      schedule: {via: runner, day: 1, hour: 5}\n", FIRST, flags=re.DOTALL
    )
    configure(place, text)
    done = run("schedule", "apply")
    assert re.fullmatch(
        r"downstage runner:\n  same     downstage-test  next \d{4}-\d\d-01T05:00:00Z\nnothing to do\n", done.stdout
    )


def test_githubs_workflow_file_is_what_render_prints(place: Path) -> None:
    schedule = "      schedule: {via: github, project: github/acme/app, branch: test, day: 1, hour: 5}\n"
    configure(place, FIRST.replace(STANZA, schedule))
    assert run("schedule", "apply", "--yes").exit_code == 0
    text = (place / ".github" / "workflows" / "downstage-test.yml").read_text()
    assert run("ci", "render", "github", "test").stdout == text
    workflow = YAML(typ="safe").load(text)
    assert workflow["on"]["schedule"] == [{"cron": "0 5 1 * *"}]
    steps = workflow["jobs"]["refresh"]["steps"]
    assert steps[-1]["run"] == 'downstage ci run test --run "$DOWNSTAGE_RUN" --time-box 5h'
    assert steps[-1]["env"]["DOWNSTAGE_RUN"] == "${{ inputs.run }}"


@pytest.mark.parametrize("branch", ['x", "main', "a b", "x\\ny", "${{ github.x }}", "<<x"])
def test_a_branch_name_cannot_break_out_of_what_is_rendered(place: Path, branch: str) -> None:
    stanza = (
        f"      schedule: {{via: github, project: github/acme/app, branch: {json.dumps(branch)}, day: 1, hour: 5}}\n"
    )
    configure(place, FIRST.replace(FIRST[FIRST.index("      schedule:") : FIRST.index("masking:")], stanza))
    fails(ConfigError, "ci", "render", "github", "test")


@pytest.mark.parametrize("deploy", DEPLOYERS.strip().splitlines())
def test_the_deployers_of_the_page_load(place: Path, deploy: str) -> None:
    configure(place, re.sub(r"deploy: \{circleci: .*", deploy.replace("\\", ""), FIRST, count=1))
    assert run("ci", "render", "circleci", "test").exit_code == 0
