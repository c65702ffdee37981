"""Deploying the Glue job is idempotent, says what was changed by hand and leaves it; a refresh begins on nothing else.

What pip would download is invented here; the bundle's own wheel is the real one.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from downstage import __version__
from downstage.app import glue as parts
from downstage.app import glue_bundle
from downstage.app.places import ControlPlace
from downstage.app.runs import Project
from downstage.app.worker import LaneWorker
from downstage.cli.main import app
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan, Rates, RefreshPlan
from downstage.errors import ConfigError, DownstageError, GuardRefused, UsageError
from downstage.jobs.glue_main import environment_from
from downstage.ports import RunRecord
from tests.glue_server.server import FakeGlue, serving

MASKING = {"sink": "u-{token}@example.com", "algorithm": "a", "key_check": "0"}
ROLE = "arn:aws:iam::111111111111:role/downstage-glue"
CONFIG = """\
version: 1
journal: sqlite
environments:
  prod: {{account: "111111111111", region: us-east-1, role: "arn:aws:iam::111111111111:role/read", protected: true,
         endpoint: "{endpoint}"}}
  test:
    account: "222222222222"
    region: us-east-1
    role: arn:aws:iam::222222222222:role/write
    endpoint: "{endpoint}"
    refresh: {{from: prod, tables: [{{from: app-prod, to: app-test}}]}}
masking: {{key: "secretsmanager:downstage/key"}}
engine: {{default: glue, glue: {{job: copy, role: "{role}", bucket: files{more}}}}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGlue]:
    with serving() as fake:
        yield fake


@pytest.fixture
def glue(server: FakeGlue, monkeypatch: pytest.MonkeyPatch) -> FakeGlue:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr(glue_bundle, "dependencies", lambda: {"dep-1.0-py3-none-any.whl": b"a wheel"})
    monkeypatch.setattr(glue_bundle, "own_wheel", lambda _files: ("downstage-0.1.0-py3-none-any.whl", b"ours"))
    server.begin_anew()
    return server


def configured(folder: Path, glue: FakeGlue | None, more: str = "", replaced: tuple[str, str] = ("", "")) -> Path:
    path = folder / "downstage.yaml"
    endpoint = "http://127.0.0.1:9" if glue is None else glue.endpoint
    path.write_text(CONFIG.format(endpoint=endpoint, role=ROLE, more=more).replace(*replaced))
    return path


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and output of a command, an error's line included."""
    answer = CliRunner().invoke(app, [str(word) for word in arguments])
    if isinstance(answer.exception, DownstageError):
        return answer.exception.exit_code, f"{answer.output}{answer.exception}"
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer.exit_code, answer.output


def deploy(config: Path, *more: str) -> tuple[int, str]:
    return run("glue", "deploy", "test", "--config", config, *more)


def plan(config: Path) -> RefreshPlan:
    return Project.open(config).plan("test")


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
    assert arguments["--conf"] == "spark.speculation=false --conf spark.task.maxFailures=8"
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


def test_an_engine_without_a_job_says_what_to_configure(tmp_path: Path) -> None:
    config = configured(tmp_path, None)
    text = config.read_text()
    config.write_text(text[: text.index("engine:")] + "engine: {default: glue}\n")
    code, said = deploy(config)
    assert code == 2
    assert "the engine glue needs 'engine.glue' in the configuration: job, role and bucket" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (", glue_version: '4.0'", 'must be "5.0" or "5.1": they have Python 3.11'),
        (", worker_type: G.3X", "must be one of G.1X, G.2X"),
        (", prefix: /x", "must end with '/'"),
    ],
)
def test_a_wrong_setting_is_told_with_its_place(tmp_path: Path, more: str, said: str) -> None:
    code, told = deploy(configured(tmp_path, None, more))
    assert code == 2
    assert said in told
    assert "downstage.yaml:" in told


@pytest.mark.parametrize("missing", ["role", "bucket"])
def test_a_job_without_role_or_bucket_is_refused(tmp_path: Path, missing: str) -> None:
    part = f', role: "{ROLE}"' if missing == "role" else ", bucket: files"
    code, said = deploy(configured(tmp_path, None, replaced=(part, "")))
    assert code == 2
    assert missing in said


def test_lanes_take_every_core_but_those_of_the_worker_that_directs(tmp_path: Path) -> None:
    assert plan(configured(tmp_path, None)).engine.workers == 36
    assert plan(configured(tmp_path, None, ", workers: 3, worker_type: G.2X")).engine.workers == 16
    chosen = plan(configured(tmp_path, None, replaced=("default: glue", "default: glue, workers: 7")))
    assert chosen.engine.workers == 7


# ---- looking and stopping


def recorded(config: Path) -> str:
    """A refresh that is under way, by the journal."""
    project = Project.open(config)
    settings = {
        "steps": [],
        "source": "prod",
        "source_account": "1",
        "target_account": "2",
        "masking": MASKING,
        "buckets": [],
    }
    project.journal("test").create_run(
        RunRecord("test-1", "test", "refresh", "running", 1, "2026-01-01T00:00:00Z", "", settings)
    )
    return "test-1"


def test_status_shows_awss_states_what_it_cost_and_our_own_progress(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    glue.jobs["copy"] = {}
    recorded(config)
    glue.told = {"ErrorMessage": "died with ada@court.example.org\nmore", "ExecutionTime": 3600}
    glue.begin({"--downstage-run": "test-1"}, ["FAILED"])
    glue.told = {"StateDetail": "no capacity", "ExecutionTime": 10}
    glue.begin({"--downstage-run": "test-1"}, ["WAITING"])
    glue.begin({"--downstage-run": "other-1"}, ["RUNNING"])
    code, said = run("glue", "status", "test", "--config", config)
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == "jr_0001  WAITING  10 s  0.17 DPU-hours, about $0.07 so far  no capacity"
    assert lines[1] == "jr_0000  FAILED  3,600 s  10.00 DPU-hours, about $4.40 so far  died with ‹address›"
    assert lines[2] == "together: 10.17 DPU-hours, about $4.47 so far"
    assert lines[3] == "test-1: cut off"
    assert "other-1" not in said
    code, said = run("glue", "status", "test", "--config", config, "--json")
    assert [json.loads(line)["event"] for line in said.splitlines()] == ["glue_run", "glue_run", "total"]


def test_stop_ends_the_active_runs_of_that_run_alone(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    glue.jobs["copy"] = {}
    recorded(config)
    for name, state in (("test-1", "SUCCEEDED"), ("test-1", "RUNNING"), ("other-1", "RUNNING")):
        glue.begin({"--downstage-run": name}, [state])
    assert run("glue", "stop", "test", "--config", config) == (0, "stopping jr_0001\n")
    assert glue.stopped == ["jr_0001"]


# ---- the bundle


def test_the_bundle_is_the_same_bytes_each_time_and_lists_what_it_holds() -> None:
    files = glue_bundle.own_files()
    name, wheel = glue_bundle.own_wheel(files)
    made = glue_bundle.bundle({name: wheel, "dep-1.0-py3-none-any.whl": b"a wheel"})
    assert made == glue_bundle.bundle({"dep-1.0-py3-none-any.whl": b"a wheel", name: glue_bundle.own_wheel(files)[1]})
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert set(archive.namelist()) == {
            "wheels/requirements.txt",
            f"wheels/{name}",
            "wheels/dep-1.0-py3-none-any.whl",
        }
        listed = archive.read("wheels/requirements.txt").decode().splitlines()
        assert listed == ["--find-links .", "dep==1.0", f"downstage=={__version__}"]


def test_pip_installs_the_wheel_and_the_job_starts_from_it(tmp_path: Path) -> None:
    """Elsewhere than here, without this tree: as on a Glue worker. Dependencies are this environment's."""
    name, wheel = glue_bundle.own_wheel(glue_bundle.own_files())
    (tmp_path / name).write_bytes(wheel)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target"]
    subprocess.run([*command, str(tmp_path / "there"), str(tmp_path / name)], check=True)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from downstage.jobs import glue_main\n"
        "from downstage.masking.kernel import KERNEL\n"
        "assert glue_main.__file__.startswith(sys.argv[1]) and KERNEL is None\n"
        "sys.exit(glue_main.main(['--JOB_NAME', 'x']))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path / "there")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "the job was not started by this Downstage" in done.stderr


def test_a_given_wheel_must_be_this_code_for_glues_linux(tmp_path: Path) -> None:
    files = glue_bundle.own_files()
    name, wheel = glue_bundle.own_wheel(files)
    _, other = glue_bundle.own_wheel({**files, "downstage/more.py": b"x = 1\n"})
    good = "downstage-0.1.0-cp311-cp311-manylinux2014_x86_64.whl"
    for given, content, said in (
        (good, other, "is another downstage than this one"),
        ("downstage-0.1.0-cp313-cp313-manylinux2014_x86_64.whl", wheel, "is not for Glue's Python and Linux"),
        ("downstage-0.1.0-cp311-cp311-macosx_14_0_arm64.whl", wheel, "is no wheel of downstage for Glue's Linux"),
        ("boto3-1.0-py3-none-any.whl", wheel, "is no wheel of downstage"),
        (good, b"nothing", "is no wheel"),
    ):
        (tmp_path / given).write_bytes(content)
        with pytest.raises(UsageError, match=said):
            glue_bundle.given_wheel(tmp_path / given, files)
    for given in (good, name):
        (tmp_path / given).write_bytes(wheel)
        assert glue_bundle.given_wheel(tmp_path / given, files) == (given, wheel)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        glue_bundle.given_wheel(tmp_path / "none.whl", files)


def test_pip_is_asked_for_glues_python_and_for_these_versions() -> None:
    asked: list[list[str]] = []

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        wanted, pinned = (
            Path(command[command.index(name) + 1]).read_text() for name in ("--requirement", "--constraint")
        )
        assert "boto3>=" in wanted
        assert "mimesis>=" in wanted, "as the source tree says, however long ago it was installed"
        assert "pyspark" not in wanted
        assert "\nboto3==" in pinned
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir()
        (folder / "boto3-1.whl").write_bytes(b"w")
        return subprocess.CompletedProcess(command, 0, "", "")

    assert glue_bundle.dependencies(pip) == {"boto3-1.whl": b"w"}
    (command,) = asked
    assert command[command.index("--python-version") + 1] == "3.11"
    assert command[command.index("--only-binary") + 1] == ":all:"


def test_what_pip_cannot_get_is_told_in_one_line() -> None:
    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution\nERROR: more\n")

    with pytest.raises(
        ConfigError, match=r"^pip cannot get what the Glue job has to install: No matching distribution$"
    ):
        glue_bundle.dependencies(pip)


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
