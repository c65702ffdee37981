"""References to things in AWS. Source and target are different types, so production cannot be passed as a target.

Whatever writes or deletes takes a `Target…`; whatever takes a `Source…` only reads. mypy keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table that is only read."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        """The table's ARN."""
        return _table_arn(self.account, self.region, self.name)


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A table that may be written, emptied and deleted."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        """The table's ARN."""
        return _table_arn(self.account, self.region, self.name)


@dataclass(frozen=True, slots=True)
class SourceBucket:
    """A bucket that is only read."""

    account: str
    name: str


@dataclass(frozen=True, slots=True)
class ExportBucket:
    """A bucket of production's account that DynamoDB exports into. Only a run's own exports are ever deleted there."""

    account: str
    name: str


@dataclass(frozen=True, slots=True)
class TargetBucket:
    """A bucket whose objects may be replaced and deleted."""

    account: str
    name: str


@dataclass(frozen=True, slots=True)
class SourceDomain:
    """A search domain that is only read."""

    account: str
    region: str
    name: str


@dataclass(frozen=True, slots=True)
class TargetDomain:
    """A search domain that may be emptied and deleted."""

    account: str
    region: str
    name: str


def _table_arn(account: str, region: str, name: str) -> str:
    return f"arn:aws:dynamodb:{region}:{account}:table/{name}"
