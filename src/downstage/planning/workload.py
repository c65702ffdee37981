"""What an estimate is made of: tables with what they hold and take, buckets, what carries the work, prices.

Plain numbers, as AWS and the plan give them. Whoever makes one decides what the target's tables will be when the copy
begins (a table that is wiped comes back cold); the estimate only reckons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from downstage.domain.prices import Prices
from downstage.domain.table_schema import Units
from downstage.ports import Capacity, IndexFacts


@dataclass(frozen=True, slots=True)
class TableLoad:
    """One table to copy: `items` and `size` (bytes) of the source, and what both sides can take.

    `indexes` are the source's global ones, as they will be filled in the target, each with the target's capacity.
    `exported`: read from an export that the run starts (`ours`), or from one that is there (`given`).
    """

    source: str
    target: str
    items: int
    size: int
    read: Capacity = field(default_factory=Capacity)
    write: Capacity = field(default_factory=Capacity)
    indexes: tuple[IndexFacts, ...] = ()
    replicas: int = 0
    exported: Literal["", "ours", "given"] = ""
    source_infrequent: bool = False
    target_infrequent: bool = False


@dataclass(frozen=True, slots=True)
class BucketLoad:
    """One bucket to sync, with how many objects each side holds; `counted` says that there may be more of them."""

    source: str
    target: str
    objects: int
    held: int = 0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Means:
    """What carries the work: the engine, how many workers, on how many cores, with the compiled loops or without.

    On Glue the workers are lanes with a core of their own, and `dpus` is what the job is charged for while it runs.
    `segments` is how many each table is cut into, if that is set."""

    engine: str = "local"
    workers: int = 2
    cores: int = 2
    compiled: bool = True
    dpus: int = 0
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """One refresh, ready to be reckoned with. Rates are units a second, which all lanes share; None where none is set.
    `delivered`: documents or consumers are waited for after the proof. A `quota` is what the account lets one on-demand
    table take, as far as it is known."""

    tables: tuple[TableLoad, ...] = ()
    buckets: tuple[BucketLoad, ...] = ()
    means: Means = Means()
    read_rate: float | None = None
    write_rate: float | None = None
    verify_rate: float | None = None
    delivered: bool = False
    prices: Prices = field(default_factory=Prices)
    source_quota: Units = field(default_factory=Units)
    target_quota: Units = field(default_factory=Units)
