"""Where a journal lies, as data: workers are told a place, and open the journal there by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

from downstage.aws.control_table import ControlTable
from downstage.aws.session import Session
from downstage.config.schema import Config
from downstage.domain.environment import Environment
from downstage.journals.dynamodb import DynamoJournal
from downstage.journals.sqlite import SqliteJournal
from downstage.ports import Journal

CONTROL_TABLE = "downstage-control"

Kind = Literal["sqlite", "dynamodb"]


@dataclass(frozen=True, slots=True)
class SqlitePlace:
    """A file on this machine."""

    path: Path
    kind: ClassVar[Kind] = "sqlite"

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class ControlPlace:
    """The control table in the account of a target environment."""

    environment: Environment
    table: str
    kind: ClassVar[Kind] = "dynamodb"

    def __str__(self) -> str:
        return f"table {self.table} in account {self.environment.account}"


JournalPlace = SqlitePlace | ControlPlace


@lru_cache(maxsize=16)
def open_journal(place: JournalPlace) -> Journal:
    """The journal at that place, opened once a process; a SQLite file is made if it is not there, a control table when
    it is first written."""
    if isinstance(place, SqlitePlace):
        return SqliteJournal(place.path)
    return DynamoJournal(control_table(place))


@lru_cache(maxsize=16)
def control_table(place: ControlPlace) -> ControlTable:
    """The table itself, on a session of its own: what writes progress does not wait for what copies."""
    return ControlTable(Session(place.environment), place.table)


@lru_cache(maxsize=16)
def beating_table(place: ControlPlace) -> ControlTable:
    """The table for whoever renews or watches a lease: asked once, for seconds, and again at the next beat. A call that
    hung as long as a patient one may would cost the lease."""
    return ControlTable(Session(place.environment, patient=False), place.table)


def kind_of(config: Config, environ: Mapping[str, str]) -> Kind:
    """Which journal the configuration means: on a CI machine, which is gone after the job, it is the control table."""
    if config.journal != "auto":
        return config.journal
    return "dynamodb" if environ.get("CI", "").lower() not in ("", "0", "false", "no") else "sqlite"


def control_table_of(config: Config) -> str | None:
    """The table that holds the lease on whatever machine, and a CI's journal. None only where `journal: sqlite` says
    that there is none."""
    return config.control_table or (None if config.journal == "sqlite" else CONTROL_TABLE)
