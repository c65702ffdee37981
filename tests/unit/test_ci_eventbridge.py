"""EventBridge Scheduler: created, compared, changed and removed, guarded; against moto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from downstage.aws.clone import check_own
from downstage.aws.scheduler import EventBridgeSchedules
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.domain.schedule import SchedulePlan, Timetable
from downstage.errors import ConfigError, GuardRefused
from downstage.planning.schedules import Change, Kind, carry_out, reconcile

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/start"
CLUSTER = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/tools"
ECS = {
    "task_definition": f"arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition/downstage",
    "container": "downstage",
    "subnets": ("subnet-2", "subnet-1"),
    "security_groups": (),
    "public_ip": False,
}
PLAN = SchedulePlan(
    "test",
    "downstage-test",
    "eventbridge",
    Timetable((5,), (1,)),
    {"target": CLUSTER, "role": ROLE, "group": "default", "input": None, "ecs": ECS},
)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield Session(Environment(name="test", account=ACCOUNT, region="us-east-1"))


def store(session: Session, guard: Any = lambda: None) -> EventBridgeSchedules:
    return EventBridgeSchedules(session, "default", "downstage-", guard=guard)


def changes(made: EventBridgeSchedules, *plans: SchedulePlan) -> list[Change]:
    wanted = {plan.name: made.settings(plan) for plan in plans}
    return reconcile(wanted, made.found(wanted), "downstage-")


def apply(made: EventBridgeSchedules, *plans: SchedulePlan) -> list[tuple[Kind, str]]:
    found = changes(made, *plans)
    for change in found:
        carry_out(made, change)
    return [(change.kind, change.name) for change in found]


def test_a_task_is_started_on_time_and_a_second_apply_has_nothing_to_do(session: Session) -> None:
    made = store(session)
    assert apply(made, PLAN) == [(Kind.CREATE, "downstage-test")]
    there = session.client("scheduler").get_schedule(Name="downstage-test")
    assert there["ScheduleExpression"] == "cron(0 5 1 * ? *)"
    assert there["ScheduleExpressionTimezone"] == "UTC"
    assert there["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert there["Target"]["Arn"] == CLUSTER
    assert there["Target"]["RoleArn"] == ROLE
    assert '"command": ["refresh", "test"]' in there["Target"]["Input"]
    assert (
        there["Target"]["EcsParameters"]["NetworkConfiguration"]["awsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
    )
    assert apply(made, PLAN) == [(Kind.KEEP, "downstage-test")]


@pytest.mark.parametrize(
    ("changed", "setting"),
    [
        (replace(PLAN, timetable=Timetable((6,), (1,))), "expression"),
        (replace(PLAN, options={**PLAN.options, "role": f"{ROLE}-2"}), "role"),
        (replace(PLAN, options={**PLAN.options, "ecs": {**ECS, "public_ip": True}}), "ecs"),
        (replace(PLAN, options={**PLAN.options, "ecs": {**ECS, "container": "other"}}), "input"),
        (replace(PLAN, options={**PLAN.options, "ecs": None, "input": {"a": 1}}), "ecs"),
    ],
)
def test_every_difference_is_seen_and_mended(session: Session, changed: SchedulePlan, setting: str) -> None:
    made = store(session)
    apply(made, PLAN)
    (change,) = changes(made, changed)
    assert change.kind is Kind.UPDATE
    assert setting in [name for name, _, _ in change.differences]
    carry_out(made, change)
    assert [each.kind for each in changes(made, changed)] == [Kind.KEEP]


def test_one_that_somebody_disabled_by_hand_is_enabled(session: Session) -> None:
    made = store(session)
    apply(made, PLAN)
    request = made._request("downstage-test", made.settings(PLAN))
    session.client("scheduler").update_schedule(**{**request, "State": "DISABLED"})
    (change,) = changes(made, PLAN)
    assert change.differences == (("state", "DISABLED", "ENABLED"),)


def test_only_ours_are_removed_and_looked_into(session: Session) -> None:
    made = store(session)
    target = {"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q", "RoleArn": ROLE}
    for name in ("downstage-gone", "somebody-elses"):
        session.client("scheduler").create_schedule(
            Name=name, ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target
        )
    assert apply(made, PLAN) == [
        (Kind.CREATE, "downstage-test"),
        (Kind.REMOVE, "downstage-gone"),
        (Kind.LEAVE, "somebody-elses"),
    ]
    (_, others) = changes(made, PLAN)
    assert others.found is not None
    assert others.found.settings == {}
    made.remove(replace(others.found, identity="gone-already"))


def test_nothing_is_written_where_the_guard_refuses(session: Session) -> None:
    elsewhere = Session(Environment(name="test", account="222222222222", region="us-east-1"))
    made = store(elsewhere, lambda: check_own(elsewhere))
    (change,) = changes(made, PLAN)
    with pytest.raises(GuardRefused):
        carry_out(made, change)
    assert store(session).found(()) == []


def test_a_name_with_a_blank(session: Session) -> None:
    with pytest.raises(ConfigError, match="cannot have a blank in its name"):
        store(session).settings(replace(PLAN, name="my schedule"))
