"""From a plan to its deployer, with the token's place, the flags and what is withheld."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from downstage.app.clock import SystemClock
from downstage.app.deployers import make_deployer
from downstage.aws.session import Session
from downstage.ci.circleci_deploy import RerunDeployer, TriggerDeployer
from downstage.ci.command import CommandDeployer
from downstage.ci.github_deploy import GitHubDeployer
from downstage.domain.plan import RefreshPlan
from downstage.errors import ConfigError
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.planning.build import build_plan
from downstage.ports import Deployer
from downstage.testing.simple import JumpingClock
from tests.ci_servers.circleci import PREFIX, TOKEN, CircleCiServer
from tests.ci_servers.github import TOKEN as GITHUB_TOKEN
from tests.ci_servers.github import GitHubServer
from tests.ci_servers.server import serving
from tests.unit.test_config_sample import changed, read


def plan_of(tmp_path: Path, deploy: str) -> RefreshPlan:
    text = changed("deploy: {clone: {}}", f"deploy: {deploy}")
    loaded = read(tmp_path, text)
    plan = build_plan(loaded.config, "test", base=loaded.base)
    source, target = (
        replace(side, profile=None, credentials_file=None, role=None) for side in (plan.source, plan.target)
    )
    return replace(plan, source=source, target=target, flags=())


def made(plan: RefreshPlan, environ: dict[str, str], clock: Any = None) -> Deployer | None:
    return make_deployer(
        plan,
        Session(plan.source),
        Session(plan.target),
        clock or SystemClock(),
        environ,
        sealer=lambda: KeySealer(MaskKey(bytes(range(32)))),
        run_id="test-20260101-050000-1a2b",
    )


@pytest.mark.parametrize(
    ("deploy", "kind"),
    [
        ("{circleci: {project: github/acme/app, branch: t, rerun: x}}", RerunDeployer),
        ("{circleci: {project: github/acme/app, branch: t, parameters: {}}}", TriggerDeployer),
        ("{github: {project: github/acme/app, branch: t, workflow: d.yml}}", GitHubDeployer),
        ("{command: {run: ['true']}}", CommandDeployer),
    ],
)
def test_each_deployer_is_made_without_a_call_or_a_token(tmp_path: Path, deploy: str, kind: type) -> None:
    assert type(made(plan_of(tmp_path, deploy), {})) is kind


def test_no_deployer_is_none(tmp_path: Path) -> None:
    assert made(replace(plan_of(tmp_path, "{clone: {}}"), deploy=None), {}) is None


def test_a_token_that_is_not_there_is_said_with_the_setting(tmp_path: Path) -> None:
    one = made(plan_of(tmp_path, "{circleci: {project: github/acme/app, branch: t, rerun: x}}"), {})
    assert one is not None
    with pytest.raises(ConfigError) as caught:
        one.check()
    assert str(caught.value) == (
        "deploy.circleci.token: the environment variable CIRCLE_TOKEN is not set; make a token at the CI, and put it "
        "there"
    )


def test_a_token_in_a_file_is_read_and_used(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    clock = JumpingClock()
    with serving(CircleCiServer(clock), PREFIX) as server:
        server.workflow(server.pipeline(branch="t"), "x", "success")
        where = f"project: github/acme/app, branch: t, rerun: x, token: 'file:token', endpoint: '{server.url}'"
        one = made(plan_of(tmp_path, f"{{circleci: {{{where}}}}}"), {}, clock)
        assert one is not None
        one.check()
        assert server.calls[0].headers["circle-token"] == TOKEN


def test_a_command_does_not_see_the_masking_key(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "{command: {run: [sh, -c, 'env > told']}}")
    plan = replace(plan, masking=replace(plan.masking, key="env:MASK_KEY", old_keys=("env:OLD_KEY", "file:x")))
    environ = {"MASK_KEY": "hunter2", "OLD_KEY": "hunter1", "PATH": "/usr/bin:/bin", "OTHER": "kept"}
    one = made(plan, environ)
    assert one is not None
    one.check()
    one.deploy(one.intent())
    told = (tmp_path / "told").read_text()
    assert "hunter" not in told
    assert "OTHER=kept" in told
    assert "DOWNSTAGE_ACCOUNT=222222222222" in told


def test_the_run_is_given_to_the_input_that_is_to_show_it(tmp_path: Path) -> None:
    clock = JumpingClock()
    with serving(GitHubServer()) as server:
        where = (
            f"project: github/acme/app, branch: t, workflow: deploy.yml, run_input: refresh, endpoint: '{server.url}'"
        )
        one = made(plan_of(tmp_path, f"{{github: {{{where}}}}}"), {"GITHUB_TOKEN": GITHUB_TOKEN}, clock)
        assert one is not None
        one.deploy(one.intent())
        assert server.inputs == [{"refresh": "test-20260101-050000-1a2b"}]
