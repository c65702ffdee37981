"""What one refresh is to do, complete and resolved from the configuration, before anything is touched.

A plan is data: it can be shown, compared, sent to a worker process. It holds no secret and no item.
Patterns (`wipe`, `streams.functions`) are shell-style and are resolved against AWS when their step runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from downstage.domain.environment import Environment
from downstage.domain.policy import Policy, SchemaLock, Unknown
from downstage.domain.refs import (
    SourceBucket,
    SourceDomain,
    SourceTable,
    TargetBucket,
    TargetDomain,
    TargetTable,
)
from downstage.domain.table_schema import ParityTerms


@dataclass(frozen=True, slots=True)
class TablePair:
    """Copy `source` to `target`. `terms` say in what the two tables may differ."""

    source: SourceTable
    target: TargetTable
    terms: ParityTerms = field(default_factory=ParityTerms)


@dataclass(frozen=True, slots=True)
class BucketPair:
    """Make `target` hold what `source` holds; `delete` removes what the source does not have."""

    source: SourceBucket
    target: TargetBucket
    delete: bool = False


@dataclass(frozen=True, slots=True)
class ItemFlag:
    """Set attributes of one item of a flags table. `key` and `values` are typed DynamoDB JSON."""

    table: TargetTable
    key: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def label(self) -> str:
        """How the flag is named in output: the table and the attributes, no values."""
        return f"{self.table.name}[{', '.join(sorted(self.values))}]"


@dataclass(frozen=True, slots=True)
class ParameterFlag:
    """Set one SSM parameter."""

    name: str
    value: str

    @property
    def label(self) -> str:
        """How the flag is named in output."""
        return self.name


Flag = ItemFlag | ParameterFlag


@dataclass(frozen=True, slots=True)
class Wipe:
    """Which tables and search domains of the target are deleted: names or shell patterns."""

    tables: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deploy:
    """Who makes the tables anew. `kind` is the deployer's name (`clone`, …), `options` its own settings."""

    kind: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Streams:
    """The Lambda functions (names or patterns) that consume the target tables' streams."""

    functions: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexExpectation:
    """`index` must hold one document for every target item for which the JMESPath `condition` is true.

    The condition is evaluated over the typed item, so it reads `entityName.S == 'Case'`.
    """

    index: str
    condition: str


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The search domain that fills from the streams, and what it must hold at the end.

    `document_id` is a template over string and number attributes, for example `{pk}_{sk}`.
    """

    target: TargetDomain
    source: SourceDomain | None
    document_id: str
    expectations: tuple[IndexExpectation, ...]
    patience: float = 900.0


@dataclass(frozen=True, slots=True)
class MaskingPlan:
    """How addresses, and what else the policy names, are pseudonymised. `key` and `old_keys` are references such as
    `env:NAME`, never the key itself.

    `keep_domains` and `keep_addresses` are exact, canonical (lower case), and the only exemptions. Pseudonyms that
    were made with one of `old_keys` are recognised as ours and left as they are. `lock` is None where there is none.
    """

    key: str
    sink: str
    environment: str
    keep_domains: tuple[str, ...] = ()
    keep_addresses: tuple[str, ...] = ()
    old_keys: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    lock: SchemaLock | None = None

    @property
    def unknown(self) -> Unknown:
        """What becomes of a path or type that the lock does not know."""
        return self.policy.unknown or ("scan" if self.lock is None else "fail")


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """What runs the lanes, how many workers, and how many segments each table is cut into."""

    name: str = "local"
    workers: int = 2
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """How much of a table's capacity a copy may use: units a second, of the source and of the target; None is `auto`,
    which takes what it gets and gives way when it is throttled."""

    read: float | None = None
    write: float | None = None

    def shared(self, workers: int) -> Rates:
        """One worker's equal share."""
        return Rates(
            None if self.read is None else self.read / workers, None if self.write is None else self.write / workers
        )


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """The whole refresh of one environment."""

    source: Environment
    target: Environment
    masking: MaskingPlan
    engine: EnginePlan
    flags: tuple[Flag, ...] = ()
    wipe: Wipe | None = None
    deploy: Deploy | None = None
    streams: Streams | None = None
    tables: tuple[TablePair, ...] = ()
    buckets: tuple[BucketPair, ...] = ()
    search: SearchPlan | None = None
    rates: Rates = field(default_factory=Rates)

    @property
    def flags_tables(self) -> frozenset[str]:
        """Tables that hold flags: never wiped."""
        return frozenset(flag.table.name for flag in self.flags if isinstance(flag, ItemFlag))
