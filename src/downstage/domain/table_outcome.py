"""What became of tables: copied, compared, mended, exported, and whether their schemas are twins. Counts, digests and
names; never item data."""

from __future__ import annotations

from dataclasses import dataclass

from downstage.domain.counted import counted


@dataclass(frozen=True, slots=True)
class Differences:
    """What a deep comparison of a table with its source found, item by item, after a second look by key.

    `missing`, `extra` and `differing` are genuine: the target is not what was written. `untold` may be that, or
    production having moved on; `unexplained` are segments whose digest no item explains. Those fail too.
    `source_changed` and `quarantined` do not. Not `complete`: too many to look at each, counts of the scans alone.
    `names` are (kind, keyed hash of the key after masking) of the first of those that fail.
    """

    missing: int = 0
    extra: int = 0
    differing: int = 0
    untold: int = 0
    unexplained: int = 0
    source_changed: int = 0
    quarantined: int = 0
    complete: bool = True
    names: tuple[tuple[str, str], ...] = ()

    @property
    def failing(self) -> int:
        """Everything that speaks against the target."""
        return self.missing + self.extra + self.differing + self.untold + self.unexplained

    @property
    def told(self) -> str:
        """In a few words: `1 item missing, 2 items extra; 5 items changed in the source since`."""
        counts = (
            (self.missing, "item", "missing"),
            (self.extra, "item", "extra"),
            (self.differing, "item", "differing"),
            (self.untold, "item", "that differ and cannot be told from a change of the source"),
            (self.unexplained, "segment", "whose digest no item explains"),
        )
        said = ", ".join(f"{counted(count, noun)} {what}" for count, noun, what in counts if count)
        if not self.complete:
            return f"{said} (too many to look at each)"
        moved = f"{counted(self.source_changed, 'item')} changed in the source since" if self.source_changed else ""
        return "; ".join(part for part in (said or "nothing missing, extra or differing", moved) if part)


@dataclass(frozen=True, slots=True)
class RepairOutcome:
    """What a repair did to one table: rows put, rows deleted, rows that would not become what they should."""

    put: int = 0
    deleted: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class TableOutcome:
    """One table: items read, written, expired (not copied), quarantined, found in the target; both digests.

    Digests are 32 hex digits, or empty where that side was not (or not wholly) read. `read_from` and
    `read_to` are ISO 8601 instants in UTC, empty where an export was read. `addresses` counts the addresses that were
    replaced, `kept` those that a keep list left as they are, `opaque` the binaries that could not be looked into and
    show no address, `unknown` the values at paths or of types that the lock does not know.

    After a repair `digest_written` is the repair's, and `expected` the number of items that must then be there; else
    None. `differences` is what a deep comparison found, None if there was no need for one.
    """

    source: str
    target: str
    read: int = 0
    written: int = 0
    expired: int = 0
    quarantined: int = 0
    quarantine_reasons: tuple[tuple[str, int], ...] = ()
    addresses: int = 0
    in_target: int | None = None
    complete: bool = False
    digest_written: str = ""
    digest_target: str = ""
    read_from: str = ""
    read_to: str = ""
    kept: int = 0
    opaque: int = 0
    unknown: int = 0
    expected: int | None = None
    differences: Differences | None = None
    repaired: RepairOutcome | None = None

    @property
    def must_hold(self) -> int:
        """How many items must be in the target."""
        return self.written if self.expected is None else self.expected

    @property
    def proven(self) -> bool:
        """All segments ended, every item is accounted for, and the target's digest is the one written."""
        return (
            self.complete
            and self.quarantined == 0
            and self.read == self.written + self.expired + self.quarantined
            and self.in_target == self.must_hold
            and self.digest_written != ""
            and self.digest_written == self.digest_target
        )

    @property
    def contradicted(self) -> bool:
        """Both sides were wholly read and do not agree, or items that were read are not accounted for."""
        compared = self.digest_written != "" and self.digest_target != ""
        differs = self.digest_written != self.digest_target or self.in_target != self.must_hold
        lost = self.read != self.written + self.expired + self.quarantined
        return (compared and differs) or (self.complete and lost)


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """One raw export of production that stood in for a live table: where it lies, what it shows, what became of it.

    `exported` and `deleted` are ISO 8601 instants in UTC, or empty: not known (it has not ended), not deleted. `ours`:
    the run started it.
    """

    table: str
    arn: str
    place: str
    ours: bool
    exported: str = ""
    deleted: str = ""


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """In what a table is not its source's twin: `verdict` is `differs`, `unknown` (AWS did not tell) or `accepted`."""

    table: str
    fact: str
    place: str
    source: str
    target: str
    verdict: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ParityOutcome:
    """The comparison of the tables' schemas after the copy. `unseen` says why there was none. It is no part of the
    verdict: the items are proven whatever the table around them looks like."""

    tables: tuple[str, ...] = ()
    differences: tuple[SchemaDifference, ...] = ()
    unseen: str = ""

    @property
    def demanded(self) -> tuple[SchemaDifference, ...]:
        """Those that the configuration does not accept."""
        return tuple(one for one in self.differences if one.verdict != "accepted")
