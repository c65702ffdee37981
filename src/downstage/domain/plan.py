"""What one refresh is to do, complete and resolved from the configuration, before anything is touched.

A plan is data: it can be shown, compared, sent to a worker process. It holds no secret and no item.
Patterns (`wipe`, `streams.functions`) are shell-style and are resolved against AWS when their step runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from downstage.domain.environment import Environment
from downstage.domain.export import ExportPlan
from downstage.domain.glue import GluePlan
from downstage.domain.inventory import InventoryPlan
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

Compare = Literal["etag", "aws", "size"]
OnPersonalKey = Literal["fail", "mask", "skip"]
Others = Literal["fail", "warn", "off"]


@dataclass(frozen=True, slots=True)
class TablePair:
    """Copy `source` to `target`. `terms` say in what the two tables may differ. With an `export` that is what is read,
    and the live table is not."""

    source: SourceTable
    target: TargetTable
    terms: ParityTerms = field(default_factory=ParityTerms)
    export: ExportPlan | None = None


@dataclass(frozen=True, slots=True)
class MaxDelete:
    """How many objects a sync may delete unasked: `objects` (None: any number) and that `share` (0 to 1) of what the
    target holds. Both hold."""

    objects: int | None = None
    share: float = 0.10

    def of(self, held: int) -> int:
        """The limit for a target that holds so many objects."""
        by_share = int(round(held * self.share, 6))
        return by_share if self.objects is None else min(self.objects, by_share)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How a bucket is synced.

    Of the source the keys under `source_prefix` are taken; in the target they stand under `target_prefix`. `include`
    and `exclude` are shell patterns over what follows the prefix; what they leave out is neither copied nor deleted.
    `storage_class` None leaves it to S3, `same` keeps the source's. An `inventory` tells what to copy in place of the
    source's own listing. `max_delete` decides about stopping, not about what is done.
    """

    source_prefix: str = ""
    target_prefix: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    compare: Compare = "etag"
    on_personal_key: OnPersonalKey = "fail"
    tags: Literal["copy", "skip"] = "copy"
    storage_class: str | None = None
    acl: str | None = None
    kms_key: str | None = None
    max_delete: MaxDelete = field(default_factory=MaxDelete)
    inventory: InventoryPlan | None = None


@dataclass(frozen=True, slots=True)
class BucketPair:
    """Make `target` hold what `source` holds; `delete` removes what the source does not have."""

    source: SourceBucket
    target: TargetBucket
    delete: bool = False
    options: SyncOptions = field(default_factory=SyncOptions)

    @property
    def terms(self) -> str:
        """A digest of what must be the same when a sync goes on: both buckets, and all that says what is done."""
        steady = replace(self, options=replace(self.options, max_delete=MaxDelete()))
        return hashlib.sha256(repr(steady).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ItemFlag:
    """Set attributes of one item of a flags table. `key` and `values` are typed DynamoDB JSON."""

    table: TargetTable
    key: Mapping[str, Any]
    values: Mapping[str, Any]
    name_as: str | None = None

    @property
    def label(self) -> str:
        """How the flag is named in output: the table and the attributes, no values."""
        return f"{self.table.name}[{', '.join(sorted(self.values))}]"


@dataclass(frozen=True, slots=True)
class ParameterFlag:
    """Set one SSM parameter."""

    name: str
    value: str
    name_as: str | None = None

    @property
    def label(self) -> str:
        """How the flag is named in output."""
        return self.name


Flag = ItemFlag | ParameterFlag


@dataclass(frozen=True, slots=True)
class Wipe:
    """Which tables and search domains of the target are deleted: names or shell patterns, in the target's region and in
    the `further` ones."""

    tables: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    further: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deploy:
    """Who makes the tables anew. `kind` is the deployer's name (`clone`, …), `options` its own settings."""

    kind: str
    options: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What is done, for output: what is started, and where."""
        where = "of {project} on {branch}".format_map(self.options) if "project" in self.options else ""
        match self.kind:
            case "circleci" if self.options["rerun"] is not None:
                return f"circleci: reruns {self.options['rerun']} {where}"
            case "circleci":
                return f"circleci: starts a pipeline {where}"
            case "github":
                return f"github: starts {self.options['workflow']} {where}"
            case "command":
                return f"command: {self.options['run'][0]}"
            case kind:
                return kind


@dataclass(frozen=True, slots=True)
class Streams:
    """The Lambda functions (names or patterns) that consume the target tables' streams. `others` says what becomes of a
    run if a function that is not named consumes one of them: nobody would hold it off."""

    functions: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    others: Others = "fail"


@dataclass(frozen=True, slots=True)
class IndexExpectation:
    """`index` must hold one document for every target item for which the JMESPath `condition` is true.

    The condition is evaluated over the typed item, so it reads `entityName.S == 'Case'`.
    """

    index: str
    condition: str


@dataclass(frozen=True, slots=True)
class Backfill:
    """How documents are made straight from the target's tables: by a Python function (`module:function`), or from those
    `attributes` of an item (`*` is all). `automatic`: a refresh does so by itself if the streams have lost records."""

    call: str | None = None
    attributes: tuple[str, ...] = ()
    automatic: bool = True


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
    backfill: Backfill | None = None


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


SPREAD = ("spark", "glue")
"""Engines whose lanes may be on other machines."""


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """What runs the lanes, how many of them at one time (`workers`), and how many segments each table is cut into.
    `master` and `conf` are Spark's: None is this machine. `glue` is the job, if one is configured."""

    name: str = "local"
    workers: int = 2
    segments: int | None = None
    master: str | None = None
    conf: tuple[tuple[str, str], ...] = ()
    glue: GluePlan | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """How much of a table's capacity may be used: units a second, of the source and of the target while they are
    copied, and of the target while it is verified; None is `auto`, which takes what it gets and gives way when it is
    throttled."""

    read: float | None = None
    write: float | None = None
    verify: float | None = None

    def shared(self, workers: int) -> Rates:
        """One worker's equal share."""
        return Rates(*(None if rate is None else rate / workers for rate in (self.read, self.write, self.verify)))


@dataclass(frozen=True, slots=True)
class MaxQuarantine:
    """How many items of one table may be left out before the run stops: so many `items`, or such a `share` (0 to 1) of
    those that the table is thought to hold; where both are given, whichever is more."""

    items: int = 100
    share: float = 0.001

    def of(self, about: int) -> int:
        """The limit for a table of about so many items."""
        return max(self.items, int(round(about * self.share, 6)))


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """The whole refresh of one environment. `exporter` is who starts, reads and deletes exports in the source's account
    and reads inventories there; None: the source's own role does. `source_role`: what becomes of a run whose source's
    role may write."""

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
    max_quarantine: MaxQuarantine = field(default_factory=MaxQuarantine)
    approve: tuple[str, ...] = ()
    exporter: Environment | None = None
    source_role: Literal["fail", "warn"] = "fail"

    @property
    def exports_as(self) -> Environment:
        """How to sign in for exports and inventories."""
        return self.exporter or self.source

    @property
    def wiped_regions(self) -> tuple[str, ...]:
        """Where the wipe deletes, the target's own region first; nowhere, if there is none."""
        return () if self.wipe is None else (self.target.region, *self.wipe.further)

    @property
    def flags_tables(self) -> frozenset[str]:
        """Tables that hold flags: never wiped."""
        return frozenset(flag.table.name for flag in self.flags if isinstance(flag, ItemFlag))
