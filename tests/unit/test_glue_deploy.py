"""Deploying the Glue job is idempotent, says what was changed by hand and leaves it; a refresh begins on
nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from downstage.app import glue as parts
from downstage.app import glue_bundle
from downstage.app.places import ControlPlace
from downstage.app.worker import LaneWorker
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan, Rates
from downstage.errors import ConfigError, GuardRefused
from downstage.jobs.glue_main import environment_from
from tests.glue_server.server import FakeGlue
from tests.unit.glue_world import ROLE, configured, deploy, plan
from tests.unit.glue_world import glue as glue
from tests.unit.glue_world import server as server


def test_a_job_is_made_once_and_then_left_as_it_is(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    code, said = deploy(config)
    assert code == 0, said
    assert said.count("uploaded") == 2
    assert "created Glue job copy" in said
    job, files = dict(glue.jobs["copy"]), dict(glue.objects)
    code, said = deploy(config)
    assert code == 0
    assert said.count("there already") == 2
    assert "as it was: Glue job copy" in said
    assert (glue.jobs["copy"], glue.objects) == (job, files)
    assert (glue.calls["CreateJob"], glue.calls["UpdateJob"]) == (1, 0)
    assert parts.problems(plan(config)) == []


def test_the_job_retries_nothing_by_itself_and_speculates_on_nothing(glue: FakeGlue, tmp_path: Path) -> None:
    deploy(configured(tmp_path, glue, ", workers: 5, worker_type: G.2X, timeout_minutes: 90, glue_version: '5.1'"))
    job = glue.jobs["copy"]
    arguments = job["DefaultArguments"]
    assert (job["GlueVersion"], job["WorkerType"], job["NumberOfWorkers"], job["Timeout"]) == ("5.1", "G.2X", 5, 90)
    assert (job["MaxRetries"], job["Role"], job["ExecutionProperty"]) == (0, ROLE, {"MaxConcurrentRuns": 2})
    assert arguments["--job-bookmark-option"] == "job-bookmark-disable"
    assert arguments["--conf"] == (
        "spark.speculation=false --conf spark.task.maxFailures=8 --conf spark.python.worker.reuse=true "
        "--conf spark.python.task.killTimeout=100ms"
    )
    assert arguments["--python-modules-installer-option"] == "--no-index"
    assert arguments["--additional-python-modules"].endswith(".gluewheels.zip")
    script = job["Command"]["ScriptLocation"]
    assert glue.objects[script.removeprefix("s3:/")].startswith(b'"""What an AWS Glue job runs')


def test_a_changed_configuration_updates_the_job_and_says_what(glue: FakeGlue, tmp_path: Path) -> None:
    deploy(configured(tmp_path, glue))
    config = configured(tmp_path, glue, ", workers: 20")
    (problem,) = parts.problems(plan(config))
    assert "is not as configured (NumberOfWorkers): deploy it again with 'downstage glue deploy ENV'" in str(problem)
    code, said = deploy(config)
    assert code == 0
    assert "updated Glue job copy: NumberOfWorkers: 10 (now: 20)" in said
    assert parts.problems(plan(config)) == []


def test_what_was_changed_by_hand_is_said_and_left(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    deploy(config)
    job = glue.jobs["copy"]
    job["Timeout"], job["DefaultArguments"]["--password"] = 5, "hunter2"
    job["Command"]["ScriptLocation"] = "s3://elsewhere/other.py"
    code, said = deploy(config)
    assert code == 3
    assert "changed by hand; put it back, or overwrite it with --force (nothing was written)" in said
    assert "Timeout: 5 (deployed: 2880)" in said
    assert "DefaultArguments --password: is set (deployed: not set)" in said
    assert "Command ScriptLocation: s3://elsewhere/other.py (deployed: s3://files/downstage/scripts/" in said
    assert "hunter2" not in said
    assert glue.calls["UpdateJob"] == 0
    (problem,) = parts.problems(plan(config))
    assert isinstance(problem, ConfigError)
    assert "was changed by hand (Command ScriptLocation, DefaultArguments --password, Timeout)" in str(problem)
    assert deploy(config, "--force")[0] == 0
    assert parts.problems(plan(config)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Connections", {"Connections": ["into-our-vpc"]}),
        ("SecurityConfiguration", "encrypted"),
        ("NonOverridableArguments", {"--TempDir": "s3://elsewhere/"}),
        ("ExecutionClass", "FLEX"),
        ("JobRunQueuingEnabled", True),
        ("MaintenanceWindow", "Sun:10"),
    ],
)
def test_whatever_is_set_by_hand_is_found_and_no_deployment_drops_it(
    glue: FakeGlue, tmp_path: Path, name: str, value: object
) -> None:
    """Also what no deployment sets: an update would replace all of the job's settings."""
    config = configured(tmp_path, glue)
    deploy(config)
    glue.jobs["copy"][name] = value
    (problem,) = parts.problems(plan(config))
    assert f"was changed by hand ({name}" in str(problem)
    code, said = deploy(config)
    assert code == 3
    assert f"{name}: " in said
    assert "(deployed: " in said
    assert glue.jobs["copy"][name] == value
    assert glue.calls["UpdateJob"] == 0
    assert deploy(config, "--force")[0] == 0
    assert name not in glue.jobs["copy"]
    assert parts.problems(plan(config)) == []
    assert "as it was" in deploy(config)[1]


def test_a_record_of_before_which_holds_only_what_was_set_accuses_nobody(glue: FakeGlue, tmp_path: Path) -> None:
    """GetJob tells more than that, and always did: the next deployment notes it all."""
    config = configured(tmp_path, glue)
    deploy(config)
    (place,) = (key for key in glue.objects if "/deployed/" in key)
    written = json.loads(glue.objects[place])
    del written["complete"]
    for name in ("ExecutionClass", "JobMode"):
        del written["settings"][name]
    assert len(written["settings"]) == 10
    of_before = json.dumps(written).encode()

    glue.objects[place] = of_before
    assert parts.problems(plan(config)) == []
    glue.jobs["copy"]["Timeout"] = 5
    (problem,) = parts.problems(plan(config))
    assert "was changed by hand (Timeout)" in str(problem)
    assert deploy(config)[0] == 3
    glue.jobs["copy"]["Timeout"] = 2880
    code, said = deploy(config)
    assert code == 0, said
    assert "as it was: Glue job copy" in said
    assert glue.calls["UpdateJob"] == 0
    glue.jobs["copy"]["SecurityConfiguration"] = "encrypted"
    (problem,) = parts.problems(plan(config))
    assert "was changed by hand (SecurityConfiguration)" in str(problem), "all is compared from then on"

    glue.objects[place] = of_before
    assert deploy(config, "--force")[0] == 0
    assert "SecurityConfiguration" not in glue.jobs["copy"], "--force overwrites whatever there is"


def test_a_script_that_was_changed_in_its_place_is_found(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    deploy(config)
    (script,) = (key for key in glue.objects if "/scripts/" in key)
    good = glue.objects[script]
    glue.objects[script] = good.replace(b"downstage", b"downstagX", 1)
    (problem,) = parts.problems(plan(config))
    assert "the script of Glue job copy was changed by hand" in str(problem)
    assert deploy(config)[0] == 3
    assert deploy(config, "--force")[0] == 0
    assert glue.objects[script] == good
    assert parts.problems(plan(config)) == []


def test_a_job_that_is_not_ours_is_not_taken_over(glue: FakeGlue, tmp_path: Path) -> None:
    glue.jobs["copy"] = {"Role": "arn:aws:iam::111111111111:role/somebody"}
    code, said = deploy(configured(tmp_path, glue))
    assert code == 3
    assert "that Downstage did not deploy" in said
    assert glue.objects == {}


def test_a_job_of_another_code_is_not_used(glue: FakeGlue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configured(tmp_path, glue)
    deploy(config)
    files = {**glue_bundle.own_files(), "downstage/more.py": b"x = 1\n"}
    monkeypatch.setattr("downstage.app.glue_deploy.own_files", lambda: files)
    (problem,) = parts.problems(plan(config))
    assert "has another code than this downstage" in str(problem)


def test_a_job_that_is_not_deployed_is_said_to_be_so(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    (problem,) = parts.problems(plan(config))
    assert str(problem) == "Glue job copy is not deployed: do that with 'downstage glue deploy ENV'"


def test_credentials_of_another_account_touch_no_job(glue: FakeGlue, tmp_path: Path) -> None:
    glue.account = "999999999999"
    code, said = deploy(configured(tmp_path, glue))
    assert code == 3
    assert "engine.glue.role is of account 111111111111, but you are signed in to 999999999999" in said
    assert not glue.calls


def test_a_refused_deployment_is_refused_before_pip_is_asked(
    glue: FakeGlue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never() -> dict[str, bytes]:
        raise AssertionError("asked")

    monkeypatch.setattr(glue_bundle, "dependencies", never)
    glue.jobs["copy"] = {}
    job = parts.glue_of(plan(configured(tmp_path, glue)))
    from downstage.app.glue_deploy import deploy as bring

    with pytest.raises(GuardRefused):
        list(bring(*parts.job_of(plan(configured(tmp_path, glue)), job), job, ("w.whl", b""), never))


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        (
            ('role: "arn:aws:iam::111111111111:role/read", ', "profile: p, "),
            "environment prod has no role: a Glue worker",
        ),
        (("secretsmanager:downstage/key", "env:KEY"), "masking.key is env:…, which a Glue worker does not have"),
        (("secretsmanager:downstage/key", "file:key"), "masking.key is file:…, which a Glue worker does not have"),
        (
            ("default: glue", "default: glue, workers: 400"),
            "engine.workers is 400, but 10 Glue workers (G.1X) carry 36",
        ),
    ],
)
def test_what_cannot_run_there_is_refused_in_one_line(tmp_path: Path, replaced: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parts.check(plan(configured(tmp_path, None, replaced=replaced)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_exports_cannot_be_read_as_a_launcher_that_is_not_there(tmp_path: Path) -> None:
    config = configured(tmp_path, None, replaced=("to: app-test}", "to: app-test, export: {bucket: exports}}"))
    parts.check(plan(config))
    config.write_text(config.read_text() + "launcher: {exports: true}\n")
    with pytest.raises(ConfigError, match=r"a Glue worker is not: set 'launcher: \{exports: false\}'"):
        parts.check(plan(config))


def test_what_travels_names_roles_and_no_profile() -> None:
    """Sources, targets and the journal's place: a profile of this machine means nothing there."""
    here = Environment("prod", "1", "r", role="arn", profile="p", credentials_file="/f", external_id="x")
    place = ControlPlace(here, "downstage-control")
    masking = MaskingPlan(key="ssm:k", sink="s", environment="e")
    sent = parts.travelling(LaneWorker(here, here, masking, "m", None, Rates(), 1, place, place, here))
    assert sent.exporter is None
    assert isinstance(sent.journal, ControlPlace)
    assert sent.lease is not None
    for environment in (sent.source, sent.target, sent.journal.environment, sent.lease.environment):
        assert environment == replace(here, profile=None, credentials_file=None)
    assert environment_from(parts.as_json(sent.source)) == sent.source
    searching = replace(here, search_endpoints=(("d", "http://127.0.0.1:1"),))
    assert environment_from(parts.as_json(searching)) == searching


def test_lanes_take_every_core_but_those_of_the_worker_that_directs(tmp_path: Path) -> None:
    assert plan(configured(tmp_path, None)).engine.workers == 36
    assert plan(configured(tmp_path, None, ", workers: 3, worker_type: G.2X")).engine.workers == 16
    chosen = plan(configured(tmp_path, None, replaced=("default: glue", "default: glue, workers: 7")))
    assert chosen.engine.workers == 7
