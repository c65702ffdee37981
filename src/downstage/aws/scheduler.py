"""EventBridge Scheduler: what starts a refresh on time in AWS, without a CI and without a runner that is always up.

The target is whatever holds Downstage: an ECS task (whose container's command is set), a CodeBuild project, a state
machine, a queue. A schedule lives in the target environment's account and region; every write is guarded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from downstage.aws.session import Session, calling
from downstage.domain.schedule import FoundSchedule, SchedulePlan, Timetable
from downstage.errors import ConfigError, NotFound


class EventBridgeSchedules:
    """Implements `ports.ScheduleStore` for one schedule group. `guard` raises if we may not write."""

    def __init__(self, session: Session, group: str, prefix: str, *, guard: Callable[[], None]) -> None:
        self._session = session
        self._group = group
        self._prefix = prefix
        self._guard = guard

    @property
    def place(self) -> str:
        """Where the schedules are."""
        environment = self._session.environment
        return f"EventBridge Scheduler, group {self._group} of {environment.account} in {environment.region}"

    def settings(self, plan: SchedulePlan) -> Mapping[str, Any]:
        """What the plan's schedule is at EventBridge."""
        if " " in plan.name:
            raise ConfigError(f"the schedule '{plan.name}' cannot have a blank in its name at EventBridge")
        options = plan.options
        ecs = options["ecs"]
        settings = {
            "expression": expression(plan.timetable),
            "timezone": "UTC",
            "state": "ENABLED",
            "target": options["target"],
            "role": options["role"],
            "description": f"Refreshes {plan.environment} (made by downstage schedule apply)",
        }
        if ecs is not None:
            command = {"name": ecs["container"], "command": ["refresh", plan.environment]}
            settings |= {"input": {"containerOverrides": [command]}, "ecs": _ecs_settings(ecs)}
        elif options["input"] is not None:
            settings["input"] = options["input"]
        return settings

    def found(self, names: Collection[str]) -> Sequence[FoundSchedule]:
        """Every schedule of the group; ours, and those of `names`, with their settings."""
        with calling(self._session.environment, f"list the schedules of group {self._group}"):
            pages = self._session.client("scheduler").get_paginator("list_schedules").paginate(GroupName=self._group)
            listed = [summary["Name"] for page in pages for summary in page["Schedules"]]
        found = []
        for name in listed:
            looked = self._look(name) if name in names or name.startswith(self._prefix) else {}
            if looked is not None:
                found.append(FoundSchedule(name, name, looked))
        return found

    def create(self, name: str, settings: Mapping[str, Any]) -> None:
        """Makes it."""
        self._guard()
        with calling(self._session.environment, f"create the schedule {name}"):
            self._session.client("scheduler").create_schedule(**self._request(name, settings))

    def update(self, found: FoundSchedule, settings: Mapping[str, Any]) -> None:
        """Changes it, all of it: what an update leaves out falls back to a default."""
        self._guard()
        with calling(self._session.environment, f"change the schedule {found.name}"):
            self._session.client("scheduler").update_schedule(**self._request(found.name, settings))

    def remove(self, found: FoundSchedule) -> None:
        """Deletes it."""
        self._guard()
        try:
            with calling(self._session.environment, f"delete the schedule {found.name}"):
                self._session.client("scheduler").delete_schedule(Name=found.identity, GroupName=self._group)
        except NotFound:
            return

    def _look(self, name: str) -> Mapping[str, Any] | None:
        try:
            with calling(self._session.environment, f"look at the schedule {name}"):
                answer = self._session.client("scheduler").get_schedule(Name=name, GroupName=self._group)
        except NotFound:
            return None
        target = answer["Target"]
        settings = {
            "expression": answer["ScheduleExpression"],
            "timezone": answer.get("ScheduleExpressionTimezone", "UTC"),
            "state": answer.get("State", "ENABLED"),
            "target": target["Arn"],
            "role": target["RoleArn"],
            "description": answer.get("Description", ""),
        }
        if target.get("Input"):
            settings["input"] = _parsed(target["Input"])
        if target.get("EcsParameters"):
            settings["ecs"] = _found_ecs(target["EcsParameters"])
        return settings

    def _request(self, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        target: dict[str, Any] = {"Arn": settings["target"], "RoleArn": settings["role"]}
        if "input" in settings:
            target["Input"] = json.dumps(settings["input"], sort_keys=True)
        if "ecs" in settings:
            target["EcsParameters"] = _ecs_parameters(settings["ecs"])
        return {
            "Name": name,
            "GroupName": self._group,
            "ScheduleExpression": settings["expression"],
            "ScheduleExpressionTimezone": settings["timezone"],
            "State": settings["state"],
            "Description": settings["description"],
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": target,
        }


def expression(timetable: Timetable) -> str:
    """A timetable as EventBridge writes it: six fields, and `?` for the days that do not count."""
    minute, hour, day, month, weekday = timetable.cron().split()
    days = f"{day} {month} ?" if timetable.days else f"? {month} {weekday}"
    if len(days) + len(hour) > 200:
        raise ConfigError("the timetable is too long for EventBridge: name fewer days")
    return f"cron({minute} {hour} {days} *)"


def _ecs_settings(ecs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task_definition": ecs["task_definition"],
        "subnets": sorted(ecs["subnets"]),
        "security_groups": sorted(ecs["security_groups"]),
        "public_ip": ecs["public_ip"],
    }


def _ecs_parameters(ecs: Mapping[str, Any]) -> dict[str, Any]:
    network = {"Subnets": ecs["subnets"], "AssignPublicIp": "ENABLED" if ecs["public_ip"] else "DISABLED"}
    if ecs["security_groups"]:
        network["SecurityGroups"] = ecs["security_groups"]
    return {
        "TaskDefinitionArn": ecs["task_definition"],
        "TaskCount": 1,
        "LaunchType": "FARGATE",
        "NetworkConfiguration": {"awsvpcConfiguration": network},
    }


def _found_ecs(parameters: Mapping[str, Any]) -> dict[str, Any]:
    network = parameters.get("NetworkConfiguration", {}).get("awsvpcConfiguration", {})
    return {
        "task_definition": parameters.get("TaskDefinitionArn"),
        "subnets": sorted(network.get("Subnets", ())),
        "security_groups": sorted(network.get("SecurityGroups", ())),
        "public_ip": network.get("AssignPublicIp") == "ENABLED",
    }


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
