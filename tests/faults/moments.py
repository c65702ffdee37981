"""The moments at which a copy is killed: seeded, so that a failure can be had again."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass

from downstage.aws.http import DynamoTransport
from downstage.journals.sqlite import SqliteJournal

HOOKS: dict[str, tuple[type, str]] = {
    "post:Scan": (DynamoTransport, "post"),
    "post:BatchWriteItem": (DynamoTransport, "post"),
    "save_checkpoint": (SqliteJournal, "save_checkpoint"),
    "save_canaries": (SqliteJournal, "save_canaries"),
    "quarantine": (SqliteJournal, "quarantine"),
    "save_step": (SqliteJournal, "save_step"),
    "checkpoints": (SqliteJournal, "checkpoints"),
}
"""Where a trap can be set: a call to AWS, or a record in the journal."""

_MOST = {"post:Scan": 40, "post:BatchWriteItem": 40, "save_checkpoint": 40, "save_canaries": 8}
"""How many calls at least one of two workers makes in a copy of 2,000 items in pages of 25."""


@dataclass(frozen=True)
class Moment:
    """The `at`-th call of `hook` in one process, before or `after` its effect; who dies: the `worker` or its `parent`.

    After a write and before its record is `post:BatchWriteItem` with `after`, or `save_checkpoint` without.
    """

    hook: str
    at: int
    after: bool
    victim: str

    @classmethod
    def parse(cls, text: str) -> Moment:
        """From `written`."""
        return cls(**json.loads(text))

    def written(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        return f"{self.victim} {'after' if self.after else 'before'} {self.hook} {self.at}"


def moments(count: int, seed: int = 1) -> list[Moment]:
    """`count` moments. Every fifth lies exactly between a side effect and its record."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        victim = "parent" if number % 2 else "worker"
        if number % 5 == 0:
            hook, after = dice.choice([("post:BatchWriteItem", True), ("save_checkpoint", False)])
        elif number % 10 == 3:
            hook, after = "save_step", dice.random() < 0.5
        elif number % 10 == 7:
            hook, after = "quarantine", dice.random() < 0.5
        else:
            hook, after = dice.choice(sorted(_MOST)), dice.random() < 0.5
        most = _MOST.get(hook, 1 if hook == "quarantine" else 3)
        made.append(Moment(hook, dice.randint(1, most), after, victim))
    return made
