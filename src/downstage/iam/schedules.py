"""EventBridge Scheduler: those schedules of the configured group that are ours, and the role that each is handed."""

from __future__ import annotations

from downstage.iam.arns import arn, literal
from downstage.iam.documents import Statement
from downstage.iam.needs import Needs
from downstage.iam.regions import in_region

KEEPING = ("scheduler:GetSchedule", "scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule")


def statements(needs: Needs) -> list[Statement]:
    """For 'schedule apply', which acts in the target's account."""
    plan, place = needs.schedule, needs.plan.target
    if plan is None:
        return []
    group = literal(str(plan.options["group"]))
    names = dict.fromkeys((plan.name, f"{needs.schedule_prefix}*"))
    return [
        Statement("ListSchedules", ("scheduler:ListSchedules",), ("*",), in_region(place.region)),
        Statement("KeepSchedules", KEEPING, [arn(place, "scheduler", f"schedule/{group}/{name}") for name in names]),
        Statement(
            "GiveSchedulesTheirRole",
            ("iam:PassRole",),
            (literal(str(plan.options["role"])),),
            {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
        ),
    ]
