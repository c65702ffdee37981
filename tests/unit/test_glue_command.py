"""The commands for Glue: what is under way and what it costs, a run ended, and a configuration's mistakes told with
what to do."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from downstage.app.runs import Project
from downstage.ports import RunRecord
from tests.glue_server.server import FakeGlue
from tests.unit.glue_world import ROLE, configured, deploy, run
from tests.unit.glue_world import glue as glue
from tests.unit.glue_world import server as server

MASKING = {"sink": "u-{token}@example.com", "algorithm": "a", "key_check": "0"}


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
    assert [json.loads(line)["event"] for line in said.splitlines()] == ["glue_run", "glue_run", "total", "outcome"]


def test_a_run_that_aws_has_not_counted_yet_is_told_with_what_it_costs_at_most(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    glue.jobs["copy"] = {}
    recorded(config)
    glue.told = {"StartedOn": time.time() - 7200}
    glue.begin({"--downstage-run": "test-1"}, ["RUNNING"])
    code, said = run("glue", "status", "test", "--config", config)
    assert code == 0
    told = r"jr_0000  RUNNING  its time is not counted yet  at most 20\.\d\d DPU-hours, about \$8\.8\d so far\n"
    assert re.match(told, said)
    code, said = run("glue", "status", "test", "--config", config, "--json")
    assert [json.loads(line).get("at_most") for line in said.splitlines()] == [True, True, None]


def test_stop_ends_the_active_runs_of_that_run_alone(glue: FakeGlue, tmp_path: Path) -> None:
    config = configured(tmp_path, glue)
    glue.jobs["copy"] = {}
    recorded(config)
    for name, state in (("test-1", "SUCCEEDED"), ("test-1", "RUNNING"), ("other-1", "RUNNING")):
        glue.begin({"--downstage-run": name}, [state])
    assert run("glue", "stop", "test", "--config", config) == (0, "stopping jr_0001\n")
    assert glue.stopped == ["jr_0001"]


# ---- mistakes


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
