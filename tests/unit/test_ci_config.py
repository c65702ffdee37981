"""The stanzas of deployers and schedules: what they refuse, where, in which words; and the plans they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from downstage.config.schema import json_schema
from downstage.domain.plan import Deploy
from downstage.domain.schedule import Timetable
from downstage.errors import ConfigError
from downstage.planning.build import build_plan
from downstage.planning.schedules import schedules_of
from tests.unit.test_config_sample import SAMPLE, changed, read, refusal

DEPLOY = "environments.test.refresh.deploy"
SCHEDULE = "environments.test.refresh.schedule"
GOOD = "via: circleci, project: github/acme/app, branch: test, day: 1, hour: 5"


def deploying(text: str) -> str:
    return changed("deploy: {clone: {}}", f"deploy: {text}")


def scheduling(text: str) -> str:
    return changed("      deploy:", f"      schedule: {{{text}}}\n      deploy:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            deploying("{circleci: {project: github/acme/app, branch: test}}"),
            f"23:16: {DEPLOY}.circleci must hold exactly",
        ),
        (
            deploying("{circleci: {project: github/acme/app, branch: t, rerun: x, parameters: {}}}"),
            f"23:16: {DEPLOY}.circleci must hold exactly one of 'rerun' and 'parameters'",
        ),
        (
            deploying("{circleci: {project: github/acme/app, branch: t, rerun: x, workflow: y}}"),
            f"23:16: {DEPLOY}.circleci takes 'workflow' and 'definition' only with 'parameters'",
        ),
        (
            deploying("{circleci: {project: acme/app, branch: t, rerun: x}}"),
            f"23:27: {DEPLOY}.circleci.project must be a project such as github/acme/app",
        ),
        (
            deploying("{circleci: {project: github/acme/app, branch: t, parameters: {a: [1]}}}"),
            f"{DEPLOY}.circleci.parameters.a must be text, a whole number, true or false",
        ),
        (
            deploying("{circleci: {project: github/acme/app, branch: t, parameters: {a: 1.5}}}"),
            f"{DEPLOY}.circleci.parameters.a must be text, a whole number, true or false",
        ),
        (
            deploying("{circleci: {project: github/acme/app, branch: t, rerun: x, token: CCIPAT_hunter2}}"),
            f"{DEPLOY}.circleci.token must be a reference: env:NAME",
        ),
        (
            deploying("{circleci: {project: github/acme/app, branch: t, rerun: x, endpoint: 'http://ci.acme.com'}}"),
            f"{DEPLOY}.circleci.endpoint must be https",
        ),
        (
            deploying("{github: {project: github/acme/app, branch: t, workflow: d, run_input: a, inputs: {a: b}}}"),
            f"23:16: {DEPLOY}.github gives the input of 'run_input' in 'inputs' too: Downstage sets it",
        ),
        (
            deploying("{circleci: {project: github/acme/app, branch: t, re_run: x}}"),
            f"23:64: unknown key 're_run' in {DEPLOY}.circleci; did you mean 'rerun'?",
        ),
        (deploying("{github: {project: github/acme/app, branch: t}}"), f"{DEPLOY}.github needs the key 'workflow'"),
        (deploying("{command: {run: []}}"), f"{DEPLOY}.command.run must not be empty"),
        (deploying("{command: {run: make deploy}}"), f"{DEPLOY}.command.run must be a list"),
        (deploying("{command: {run: [make], patience: 5}}"), f"{DEPLOY}.command.patience must be a duration such as"),
        (
            scheduling("via: cron, day: 1, hour: 5"),
            f"23:18: {SCHEDULE}.via must be 'circleci', 'github'",
        ),
        (scheduling("via: runner, day: 1"), f"23:7: {SCHEDULE} needs the key 'hour'"),
        (scheduling("via: runner, hour: 5"), f"23:7: {SCHEDULE} must hold exactly one of 'day' and 'weekday'"),
        (
            scheduling("via: runner, hour: 5, day: 1, weekday: mon"),
            f"23:7: {SCHEDULE} must hold exactly one of 'day' and 'weekday'",
        ),
        (scheduling("via: runner, day: 1, hour: 24"), f"{SCHEDULE}.hour[0] must be at most 23"),
        (scheduling("via: runner, day: 0, hour: 5"), f"{SCHEDULE}.day[0] must be at least 1"),
        (scheduling("via: runner, day: 32, hour: 5"), f"{SCHEDULE}.day[0] must be at most 31"),
        (scheduling("via: runner, day: [1, 1], hour: 5"), f"{SCHEDULE}.day names something twice"),
        (scheduling("via: runner, weekday: mon, hour: []"), f"{SCHEDULE}.hour must not be empty"),
        (scheduling("via: runner, weekday: sunnyday, hour: 5"), f"{SCHEDULE}.weekday[0] must be one of mon, tue"),
        (scheduling("via: runner, day: 1, hour: 5, months: [13]"), f"{SCHEDULE}.months[0] must be one of jan, feb"),
        (scheduling("via: runner, day: [30, 31], hour: 5, months: feb"), f"{SCHEDULE}.day is in none of the months"),
        (scheduling(f"{GOOD}, minute: 5"), f"{SCHEDULE}.minute cannot be chosen at CircleCI"),
        (
            scheduling("via: circleci, branch: t, day: 1, hour: 5"),
            f"23:7: {SCHEDULE} needs the key 'project': it is via circleci",
        ),
        (scheduling(f"{GOOD}, target: x"), f"{SCHEDULE}.target is no setting of a schedule via circleci; remove it"),
        (
            scheduling("via: runner, day: 1, hour: 5, branch: x"),
            f"{SCHEDULE}.branch is no setting of a schedule via",
        ),
        (scheduling(f"{GOOD}, parameters: {{branch: x}}"), f"{SCHEDULE}.parameters must not name the branch"),
        (
            scheduling("via: github, project: gitlab/acme/app, branch: t, day: 1, hour: 5"),
            f"{SCHEDULE}.project must be of the form github/OWNER/REPOSITORY",
        ),
        (
            scheduling("via: eventbridge, target: 'arn:aws:ecs:us-east-1:2:cluster/c', role: r, day: 1, hour: 5"),
            f"{SCHEDULE} needs 'ecs' if, and only if, the target is an ECS cluster",
        ),
        (changed("state:", "schedule_prefix: x\nstate:"), "schedule_prefix must be 3 to 40 letters"),
        (changed("- ssm: {", "- as: 'a b'\n          ssm: {"), "flags[1].as must be a letter, then letters"),
    ],
)
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    said = refusal(tmp_path, text)
    assert message in said
    assert "hunter2" not in said
    assert len(said.splitlines()) == 1


def test_two_environments_may_not_have_one_schedule(tmp_path: Path) -> None:
    other = '  mig: {account: "333333333333", region: us-east-1, refresh: {from: prod, schedule: '
    text = scheduling(f"{GOOD}, name: monthly").replace(
        "masking:", f"{other}{{via: runner, day: 2, hour: 5, name: monthly}}}}}}\nmasking:"
    )
    assert "mig.refresh.schedule.name is the name of the schedule of 'test' already" in refusal(tmp_path, text)


GOOD_ONES = [
    deploying("{circleci: {project: github/acme/app, branch: test, rerun: build-and-deploy}}"),
    deploying("{circleci: {project: circleci/abc/def, branch: t, parameters: {a: true, b: 1, c: x}, workflow: w}}"),
    deploying("{github: {project: github/acme/app, branch: t, workflow: d.yml, inputs: {a: true}, token: 'ssm:x'}}"),
    deploying("{command: {run: [make, '${flags.a}'], environment: {A: b}, patience: 30m}}"),
    scheduling(f"{GOOD}, parameters: {{run_build_and_deploy: false}}, approval: {{workflow: w, job: j}}"),
    scheduling("via: github, project: github/acme/app, branch: t, weekday: [sat, SUN], hour: [1, 13], minute: 7"),
    scheduling("via: runner, day: [1, 15], hour: 0, months: [jan, JUL]"),
    scheduling(
        "via: eventbridge, target: 'arn:aws:ecs:us-east-1:2:cluster/c', role: r, day: 1, hour: 5, ecs: "
        "{task_definition: t, container: c, subnets: [s]}"
    ),
    changed("- ssm: {", "- as: version\n          ssm: {"),
]


@pytest.mark.parametrize("text", GOOD_ONES)
def test_what_loads_is_good_by_the_published_schema_too(tmp_path: Path, text: str) -> None:
    read(tmp_path, text)
    Draft202012Validator(json_schema()).validate(YAML(typ="safe").load(text))


@pytest.mark.parametrize(
    "text",
    [
        deploying("{circleci: {project: acme, branch: test, rerun: x}}"),
        deploying("{command: {run: make}}"),
        scheduling("via: cron, day: 1, hour: 5"),
        scheduling("via: runner, day: 32, hour: 5"),
        scheduling("via: runner, day: 1, hour: 24"),
        changed("- ssm: {", "- as: version\n          s: {"),
    ],
)
def test_what_is_refused_is_bad_by_the_published_schema_too(tmp_path: Path, text: str) -> None:
    refusal(tmp_path, text)
    assert list(Draft202012Validator(json_schema()).iter_errors(YAML(typ="safe").load(text)))


def plan_of(tmp_path: Path, text: str) -> Any:
    loaded = read(tmp_path, text)
    return build_plan(loaded.config, "test", base=loaded.base)


def test_deployers_in_the_plan(tmp_path: Path) -> None:
    assert plan_of(tmp_path, GOOD_ONES[0]).deploy == Deploy(
        "circleci",
        {
            "project": "github/acme/app",
            "branch": "test",
            "rerun": "build-and-deploy",
            "parameters": None,
            "workflow": None,
            "definition": None,
            "token": "env:CIRCLE_TOKEN",
            "endpoint": "https://circleci.com/api/v2",
            "patience": 7200.0,
        },
    )
    text = deploying("{github: {project: github/acme/app, branch: t, workflow: d.yml, token: 'file:secrets/token'}}")
    assert plan_of(tmp_path, text).deploy.options["token"] == f"file:{tmp_path}/secrets/token"
    assert plan_of(tmp_path, GOOD_ONES[3]).deploy.options["directory"] == f"{tmp_path}"
    assert [plan_of(tmp_path, each).deploy.label for each in (SAMPLE, *GOOD_ONES[:4])] == [
        "clone",
        "circleci: reruns build-and-deploy of github/acme/app on test",
        "circleci: starts a pipeline of circleci/abc/def on t",
        "github: starts d.yml of github/acme/app on t",
        "command: make",
    ]
    assert plan_of(tmp_path, GOOD_ONES[8]).flags[1].name_as == "version"


@pytest.mark.parametrize(
    ("deploy", "said"),
    [
        (
            "{command: {run: [make, '${flags.nosuch}']}}",
            r"\$\{flags.nosuch\} names no flag; known: a, destination-table-",
        ),
        ("{command: {run: [make], environment: {A: 'x${flags.b}'}}}", r"\$\{flags.b\} names no flag"),
        ("{circleci: {project: github/a/b, branch: t, parameters: {x: '${flags.b}'}}}", "names no flag"),
        ("{github: {project: github/a/b, branch: t, workflow: w, inputs: {x: '${flags.b}'}}}", "names no flag"),
    ],
)
def test_a_flag_that_does_not_exist_is_said_before_anything_is_wiped(tmp_path: Path, deploy: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_of(tmp_path, deploying(deploy))


def test_schedules_in_the_plan(tmp_path: Path) -> None:
    assert schedules_of(read(tmp_path, SAMPLE).config) == []
    (plan,) = schedules_of(read(tmp_path, GOOD_ONES[4]).config)
    assert (plan.environment, plan.name, plan.via) == ("test", "downstage-test", "circleci")
    assert plan.timetable == Timetable((5,), (1,))
    assert plan.options == {
        "project": "github/acme/app",
        "branch": "test",
        "parameters": {"run_build_and_deploy": False},
        "actor": "system",
        "approval": {"workflow": "w", "job": "j"},
        "definition": None,
        "token": "env:CIRCLE_TOKEN",
        "endpoint": "https://circleci.com/api/v2",
    }
    (weekly,) = schedules_of(read(tmp_path, GOOD_ONES[5]).config)
    assert weekly.timetable == Timetable((1, 13), weekdays=("SAT", "SUN"), minute=7)
    assert weekly.options["directory"] == ".github/workflows"
    (yearly,) = schedules_of(read(tmp_path, GOOD_ONES[6].replace("state:", "schedule_prefix: mine-\nstate:")).config)
    assert yearly.name == "mine-test"
    assert yearly.timetable.months == ("JAN", "JUL")


def test_environment_variables_set_single_values_of_a_schedule(tmp_path: Path) -> None:
    name = "DOWNSTAGE__ENVIRONMENTS__TEST__REFRESH__SCHEDULE__HOUR"
    (plan,) = schedules_of(read(tmp_path, GOOD_ONES[4], {name: "7"}).config)
    assert plan.timetable.hours == (7,)
