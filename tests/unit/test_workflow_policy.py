"""A refresh with a masking policy: its rules reach the target, a rule that cannot stand stops it before a write, what
the lock does not know is quarantined or counted, and another policy is refused on resume."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from downstage.domain import paths
from downstage.domain.outcome import Result
from downstage.domain.plan import MaskingPlan, RefreshPlan
from downstage.domain.policy import (
    FieldRule,
    LockedTable,
    Policy,
    SchemaLock,
    StrategySpec,
    TablePolicy,
)
from downstage.errors import ConfigError, RunConflict
from downstage.report.wording import limits
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import SOURCE, TARGET, World, plan_of

PATHS = ("pk", "sk", "entityName", "email", "notes", "notes.to", "notes.to[*]", "visits", "filed", "expires")
TYPES = {"notes": "M", "notes.to": "L", "visits": "N", "filed": "N", "expires": "N"}


def with_rules(rules: dict[str, str], **masking: Any) -> RefreshPlan:
    fields = tuple(
        FieldRule(text, paths.parse(text), StrategySpec(strategy), f"masking.yaml:{line}:5")
        for line, (text, strategy) in enumerate(rules.items(), 4)
    )
    policy = Policy((TablePolicy(SOURCE, fields=fields),), masking.pop("unknown", None))
    plan = MaskingPlan("env:KEY", "u-{token}@test.example.com", "test", policy=policy, **masking)
    return plan_of(masking=plan)


def lock_without(*left_out: str) -> SchemaLock:
    known = tuple((paths.parse(path), (TYPES.get(path, "S"),)) for path in PATHS if path not in left_out)
    return SchemaLock((LockedTable(SOURCE, known),))


def test_rules_reach_the_target_and_the_refresh_is_proven() -> None:
    world = World(plan=with_rules({"visits": "drop", "notes.to[*]": "redact"}, lock=lock_without()))
    world.refresh()
    assert world.outcome().result is Result.PROVEN
    stored = world.target_tables[TARGET].all()
    assert not any("visits" in item for item in stored)
    assert {"S": "[redacted]"} in [
        member for item in stored for member in item.get("notes", {"M": {"to": {"L": []}}})["M"]["to"]["L"]
    ]


def test_a_rule_that_may_merge_keys_stops_the_run_before_anything_is_written() -> None:
    world = World(plan=with_rules({"pk": "name"}))
    with pytest.raises(ConfigError, match=r"^masking\.yaml:4:5: .*key pk of table"):
        world.refresh()
    assert world.writes == []


def test_what_the_lock_does_not_know_is_quarantined_and_the_run_is_not_proven() -> None:
    world = World(plan=with_rules({}, lock=lock_without("visits")))
    world.refresh()
    outcome = world.outcome()
    assert outcome.result is Result.INCOMPLETE
    assert outcome.tables[0].quarantined == 3
    reasons = {reason for _, reason in world.journal.quarantined("run-1", f"copy/{TARGET}")}
    assert all(reason.startswith("visits of type N is not in masking.lock") for reason in reasons)
    assert outcome.tables[0].quarantine_reasons == ((reasons.pop(), 3),)
    said = " ".join(limits(outcome))
    assert f"3 items of {SOURCE} quarantined: visits of type N is not in masking.lock" in said
    assert not any("visits" in item for item in world.target_tables[TARGET].all())


def test_what_the_lock_does_not_know_is_counted_where_the_policy_lets_it_pass() -> None:
    world = World(plan=with_rules({}, lock=lock_without("visits"), unknown="scan"))
    world.refresh()
    outcome = world.outcome()
    assert outcome.result is Result.PROVEN
    assert outcome.tables[0].unknown == 3


def test_another_policy_is_refused_on_resume_and_a_better_lock_is_not() -> None:
    plan = with_rules({"visits": "redact"}, lock=lock_without())
    rehearsal = Trip()
    World(plan=plan).refresh(trip=rehearsal)
    in_the_copy = rehearsal.names.index("MemoryWriter.put") + 1
    world = World(plan=plan)
    with pytest.raises(Killed):
        world.refresh(trip=Trip(in_the_copy))
    world.plan = with_rules({"visits": "drop"}, lock=lock_without())
    with pytest.raises(RunConflict, match="policy"):
        world.resume()
    world.plan = replace(
        plan,
        masking=replace(plan.masking, lock=lock_without("filed"), policy=replace(plan.masking.policy, unknown="scan")),
    )
    world.resume()
    assert world.outcome().result is Result.PROVEN
