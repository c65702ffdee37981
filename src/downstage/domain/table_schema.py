"""Everything there is about a table but its items, and in what two tables may differ.

A `TableSchema` is what AWS said, in plain values; what could not be learned is `Unknown`, with the reason, and never
passes for equal. The names in `FACTS` are the words of the configuration's `accept` and of every list of differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

FACTS = (
    "table",
    "keys",
    "local_indexes",
    "global_indexes",
    "billing",
    "throughput",
    "on_demand_maximum",
    "warm_throughput",
    "autoscaling",
    "stream",
    "ttl",
    "table_class",
    "encryption",
    "deletion_protection",
    "point_in_time_recovery",
    "tags",
    "resource_policy",
    "contributor_insights",
    "replicas",
    "consumers",
)
"""In what two tables may differ, in the order in which it is shown. `table` is its being there at all."""

ACCEPTABLE = FACTS[2:]
"""What the configuration may accept. Other keys could not take the items."""

NAMED = ("global_indexes", "tags", "contributor_insights", "consumers")
"""Facts that have parts with a name each, so that one alone may be accepted: "tags:stage"."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be learned. `reason` is for people: "denied", "AWS answered 500"."""

    reason: str


@dataclass(frozen=True, slots=True)
class Units:
    """Read and write units a second; None is not set."""

    read: int | None = None
    write: int | None = None


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One attribute of a key. `role` is HASH or RANGE, `type` S, N or B."""

    name: str
    role: str
    type: str


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index. `attributes` are those that an INCLUDE projection names, sorted.

    `throughput`, `maximum` and `warm` belong to global indexes.
    """

    name: str
    keys: tuple[KeyPart, ...]
    projection: str = "ALL"
    attributes: tuple[str, ...] = ()
    throughput: Units = Units()
    maximum: Units = Units()
    warm: Units = Units()


@dataclass(frozen=True, slots=True)
class Encryption:
    """Whose key encrypts the table. `key` is the ARN of a customer's key, else None."""

    kind: Literal["aws-owned", "aws-managed", "customer"] = "aws-owned"
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """Point-in-time recovery: for how many days back, None where it is off or AWS does not say."""

    on: bool = False
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Scaling:
    """Autoscaling of reads or writes of the table (`index` None) or of a global index.

    `policies` are target-tracking configurations as Application Auto Scaling writes them, without their names.
    """

    index: str | None
    dimension: Literal["read", "write"]
    minimum: int
    maximum: int
    policies: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """An event-source mapping on the table's stream: the function (with its alias), where it starts, its settings.

    `uuid` is the mapping's own and no part of the comparison.
    """

    function: str
    start: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table, described. `stream` is the view type, None if the stream is off.

    `insights` names what has contributor insights: "" for the table itself, else an index. `policy` is the resource
    policy's document. `tags` are without AWS's own (`aws:…`).
    """

    name: str
    account: str
    region: str
    keys: tuple[KeyPart, ...]
    local_indexes: tuple[Index, ...] = ()
    global_indexes: tuple[Index, ...] = ()
    on_demand: bool = True
    throughput: Units = Units()
    maximum: Units = Units()
    warm: Units = Units()
    table_class: str = "STANDARD"
    deletion_protection: bool = False
    stream: str | None = None
    encryption: Encryption | Unknown = Encryption()
    replicas: tuple[str, ...] = ()
    ttl: str | Unknown | None = None
    tags: Mapping[str, str] | Unknown = field(default_factory=dict)
    recovery: Recovery | Unknown = Recovery()
    autoscaling: tuple[Scaling, ...] | Unknown = ()
    policy: Mapping[str, Any] | Unknown | None = None
    insights: tuple[str, ...] | Unknown = ()
    subscriptions: tuple[Subscription, ...] | Unknown = ()

    @property
    def arn(self) -> str:
        """The table's ARN."""
        return f"arn:aws:dynamodb:{self.region}:{self.account}:table/{self.name}"


@dataclass(frozen=True, slots=True)
class ParityTerms:
    """What the configuration says of one pair: what is another word for the same, and what may differ.

    `kms` maps customer keys of the source to keys (ARN or alias) of the target; `accounts` and `functions` are other
    names in resource policies and of consumers. `accept` holds facts, or `fact:place` ("tags:stage"). `warm` is what
    the target is to be warmed to at least; without it the target may be as cold as it is. `own_consumers` are the
    functions (names or patterns) that the configuration knows as the target's.
    """

    accept: tuple[str, ...] = ()
    kms: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    warm: Units | None = None
    own_consumers: tuple[str, ...] = ()

    def accepts(self, fact: str, place: str = "") -> bool:
        """Whether a difference in `fact` at `place` is by design."""
        return fact in self.accept or (bool(place) and f"{fact}:{place}" in self.accept)

    def accepting(self, *facts: str) -> ParityTerms:
        """These terms, with more that may differ."""
        return replace(self, accept=(*self.accept, *facts))


Verdict = Literal["differs", "unknown", "accepted"]
Remedy = Literal["create", "change", "recreate", "by hand", "later", "none"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which the target is not what the source demands. `source` and `target` are short texts.

    `verdict` is "differs", "unknown" (one side could not be looked at) or "accepted" (by design: shown, not demanded).
    `remedy` is what a clone does about it; `note` what a person should know or do.
    """

    fact: str
    place: str
    source: str
    target: str
    verdict: Verdict = "differs"
    remedy: Remedy = "change"
    note: str = ""

    @property
    def what(self) -> str:
        """The fact and its place in words."""
        words = self.fact.replace("_", " ")
        return f"{words}: {self.place}" if self.place else words

    @property
    def demanded(self) -> bool:
        """Whether parity demands that it be gone. What is not known is not equal."""
        return self.verdict != "accepted"
