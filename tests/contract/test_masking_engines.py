"""The engines agree on every masked byte: spawned processes mask as this one does, rules and lists included."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from downstage.domain import paths
from downstage.domain.plan import MaskingPlan
from downstage.domain.policy import Entity, FieldRule, KeyRule, KeyTemplate, Policy, StrategySpec, TablePolicy
from downstage.engines.local import LocalEngine
from downstage.engines.serial import SerialEngine
from downstage.masking.compile import TableShape, compile_masker
from downstage.masking.keys import MaskKey
from downstage.ports import Engine, Lane

LANES = 4
FIELDS = {
    "name": StrategySpec("name"),
    "born": StrategySpec("date_shift", {"days": 30, "by": "pk"}),
    "phones[*]": StrategySpec("phone"),
    "street": StrategySpec("address"),
    "income": StrategySpec("number_noise", {"percent": 10}),
    "byLogin.{key}": StrategySpec("hash"),
    "note": StrategySpec("text"),
}
USER = Entity(
    "user",
    (("pk", "user|*"),),
    (KeyRule("gsi1pk", (KeyTemplate("mail|{email}", ("mail|", StrategySpec("email"))),)),),
    tuple(FieldRule(text, paths.parse(text), strategy) for text, strategy in FIELDS.items()),
)
PLAN = MaskingPlan("env:X", "u-{token}@test.example.com", "test", policy=Policy((TablePolicy("*", (USER,)),)))


def items(lane: int) -> list[dict[str, Any]]:
    return [
        {
            "pk": {"S": f"user|{lane}-{number}"},
            "gsi1pk": {"S": f"mail|Person{number}@x.org"},
            "name": {"S": f"Ann B. Lee{'son' * (number % 3)}"},
            "born": {"S": f"19{number % 90 + 10}-02-28"},
            "phones": {"L": [{"S": f"(212) 867-{number + 1000}"}]},
            "street": {"S": f"{number} Main Street, Apt. {lane}"},
            "income": {"N": f"{number}000.50"},
            "byLogin": {"M": {f"login{number}": {"BOOL": True}}},
            "note": {"S": f"call 212-867-{number + 1000} or person{number}@x.org"},
        }
        for number in range(60)
    ]


def mask_lane(folder: Path, lane: Lane) -> None:
    """What a worker does: compiles by itself, masks its own items."""
    masker = compile_masker(PLAN, MaskKey(bytes(range(32))), TableShape("t", ("pk",), ("gsi1pk",)))
    (segment,) = lane.segments
    (folder / str(segment)).write_bytes(orjson.dumps([masker(item) for item in items(segment)]))


@pytest.mark.parametrize("engine", [LocalEngine(2), LocalEngine(3)])
def test_every_engine_makes_the_same_bytes(engine: Engine, tmp_path: Path) -> None:
    made = []
    for name, runner in (("serial", SerialEngine()), ("other", engine)):
        folder = tmp_path / name
        folder.mkdir()
        lanes = [Lane("copy/t", (segment,)) for segment in range(LANES)]
        assert len(list(runner.run(partial(mask_lane, folder), lanes))) == LANES
        made.append([(folder / str(segment)).read_bytes() for segment in range(LANES)])
    assert made[0] == made[1]
    assert b"x.org" not in b"".join(made[0])
    assert b"867" not in b"".join(made[0])
