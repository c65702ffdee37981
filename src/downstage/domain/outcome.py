"""What a run achieved, in numbers. The report is made from this and from nothing else.

No field can hold item data: counts, digests as hex, names of tables, buckets and indexes, paths, keyed
hashes. The verdict is derived here and nowhere else, from a list of objections that also words it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class StepState(StrEnum):
    """Where one step stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class Result(StrEnum):
    """What the whole run may claim.

    `proven`: everything was copied and the proof holds. `incomplete`: not contradicted, but something was
    left out or not verified. `failed`: a step failed, the proof does not hold, or personal data was found.
    """

    PROVEN = "proven"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """One step: its state, how long it took, and in one line what it did, or why it failed (and its exit code)."""

    name: str
    state: StepState
    seconds: float = 0.0
    detail: str = ""
    exit_code: int | None = None


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
        said = ", ".join(f"{_counted(count, noun)} {what}" for count, noun, what in counts if count)
        if not self.complete:
            return f"{said} (too many to look at each)"
        moved = f"{_counted(self.source_changed, 'item')} changed in the source since" if self.source_changed else ""
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
class BucketOutcome:
    """One bucket: what the sync did, and what a fresh comparison of both listings found still to do.

    That is `differing`, None until the comparison was made; an object that was `skipped` or has `failed` (S3 would not
    copy or delete it) is not counted in it, nor one that has `changed` in the source since the sync began. `contents`
    are the objects whose contents were compared, `altered` those of them that are not the source's. `renamed` are
    objects whose keys held an address. `names` are the first few that failed, differ or changed, redacted.
    """

    source: str
    target: str
    copied: int = 0
    deleted: int = 0
    unchanged: int = 0
    skipped: int = 0
    bytes_copied: int = 0
    differing: int | None = None
    skipped_reasons: tuple[tuple[str, int], ...] = ()
    failed: int = 0
    failed_reasons: tuple[tuple[str, int], ...] = ()
    renamed: int = 0
    changed: int = 0
    contents: int = 0
    altered: int = 0
    compared_by: str = ""
    names: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """A fresh comparison was made and found nothing to do, and nothing was skipped or failed."""
        return self.differing == 0 and self.altered == 0 and self.skipped == 0 and self.failed == 0

    @property
    def contradicted(self) -> bool:
        """A fresh comparison found objects still to copy or delete, or contents that are not the source's."""
        return bool(self.differing or self.altered)


@dataclass(frozen=True, slots=True)
class IndexOutcome:
    """One search index: documents that must be there, documents found, and whether the ids are the same."""

    index: str
    expected: int
    found: int
    same_ids: bool = False

    @property
    def proven(self) -> bool:
        """Exactly the expected ids are there."""
        return self.same_ids and self.expected == self.found


@dataclass(frozen=True, slots=True)
class LeakPlace:
    """Where an address was found that is neither kept nor a pseudonym of ours: never the address itself."""

    where: str
    path: str
    layers: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class DetailsSample:
    """Of how many of a bucket's objects the leak scan looked at metadata and tags."""

    bucket: str
    looked: int
    objects: int


@dataclass(frozen=True, slots=True)
class LeakOutcome:
    """The leak scan: how much was looked at, how many findings there are, and the first few of them.

    `looked_for` are the canaries: digests of source addresses that were looked for; `canaries_found` of the `found` are
    such. With none to look for, that none was found says nothing.
    """

    scanned_items: int = 0
    scanned_keys: int = 0
    scanned_documents: int = 0
    found: int = 0
    places: tuple[LeakPlace, ...] = ()
    scanned_indexes: int = 0
    details: tuple[DetailsSample, ...] = ()
    looked_for: int = 0
    canaries_found: int = 0

    @property
    def scanned(self) -> int:
        """Everything looked at."""
        return self.scanned_items + self.scanned_keys + self.scanned_documents


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


@dataclass(frozen=True, slots=True)
class MaskingOutcome:
    """What the masking was: enough to compare two runs, nothing to undo it. `key_check` is not the key."""

    sink: str
    algorithm: str
    key_check: str
    keep_domains: int = 0
    keep_addresses: int = 0
    kept_domains: tuple[str, ...] = ()
    """The names of the kept domains. Kept addresses are only counted."""


@dataclass(frozen=True, slots=True)
class Objection:
    """One thing that speaks against `proven`: what it makes of the result and exit code, in one line why."""

    exit_code: int
    result: Result
    text: str


@dataclass(frozen=True, slots=True)
class RefreshOutcome:
    """One run, from first step to last.

    `proven` asks for: every step done (one for which the configuration has nothing is done, or not listed;
    one skipped on request is not), every table, bucket and index proven, and a leak scan that found none.
    """

    run_id: str
    environment: str
    source: str
    target_account: str
    source_account: str
    started: str
    ended: str
    steps: tuple[StepOutcome, ...]
    tables: tuple[TableOutcome, ...] = ()
    buckets: tuple[BucketOutcome, ...] = ()
    search: tuple[IndexOutcome, ...] = ()
    leaks: LeakOutcome = field(default_factory=LeakOutcome)
    masking: MaskingOutcome | None = None
    consumers: str = ""
    exports: tuple[ExportOutcome, ...] = ()
    parity: ParityOutcome | None = None
    kind: str = "refresh"
    """`refresh`, or the one command that it was."""
    standing: str = ""
    """In what state the environment stands, in a sentence or two; empty for a run that finished."""

    @property
    def objections(self) -> tuple[Objection, ...]:
        """Everything that speaks against `proven`, gravest first; none means proven."""
        return tuple(_objections(self))

    @property
    def result(self) -> Result:
        """The one word that stands on top of the report: what the gravest objection leaves of the claim."""
        return next((objection.result for objection in self.objections), Result.PROVEN)

    @property
    def exit_code(self) -> int:
        """The honest exit code: 0 only if proven, else that of the gravest objection.

        5 personal data found, before 4 the proof is contradicted, before 1 failed or not finished, before 6:
        all steps ended and nothing is contradicted, but something was left out or not verified. A run that
        did not finish is never 6, whatever it has quarantined so far. The error of a step that failed gives
        its own code, as the process does. A single step claims no proof: only what it found or left out counts, not
        what it was never asked to do.
        """
        for step in self.steps:
            if step.state is StepState.FAILED and step.exit_code is not None:
                return step.exit_code
        codes = [objection.exit_code for objection in self.objections]
        if self.kind == "refresh":
            return next(iter(codes), 0)
        left_out = any(table.quarantined for table in self.tables) or any(b.skipped or b.failed for b in self.buckets)
        return next((code for code in codes if code != 6), 6 if left_out else 0)


def _objections(run: RefreshOutcome) -> Iterator[Objection]:
    """The rules of the verdict, in the order of their gravity."""
    unfinished = [step for step in run.steps if step.state in (StepState.PENDING, StepState.RUNNING)]

    strangers = run.leaks.found - run.leaks.canaries_found
    if strangers:
        found = _counted(strangers, "address")
        text = f"{found} found in the target: neither kept nor a pseudonym of ours."
        yield Objection(5, Result.FAILED, text)
    if run.leaks.canaries_found:
        found = _counted(run.leaks.canaries_found, "canary")
        text = f"{found} found in the target: a real address of the source, or its plain hash, stands there."
        yield Objection(5, Result.FAILED, text)

    for table in run.tables:
        if table.contradicted:
            found = f": {table.differences.told}" if table.differences is not None else ""
            yield Objection(4, Result.FAILED, f"Table {table.target} does not hold what was written to it{found}.")
    for bucket in run.buckets:
        if bucket.differing:
            text = f"Bucket {bucket.target} still differs in {_counted(bucket.differing, 'object')}."
            yield Objection(4, Result.FAILED, text)
        if bucket.altered:
            text = f"Bucket {bucket.target} has other contents than its source in {_counted(bucket.altered, 'object')}."
            yield Objection(4, Result.FAILED, text)
    for index in run.search:
        if not index.proven and not unfinished:  # an index that is still filling contradicts nothing
            yield Objection(4, Result.FAILED, f"Index {index.index} does not hold the expected documents.")

    for step in run.steps:
        if step.state is StepState.FAILED:
            text = f"Step {step.name} failed: {step.detail or 'no reason was recorded.'}"
            yield Objection(step.exit_code or 1, Result.FAILED, text)
    if unfinished:
        text = f"The run has not finished; to do: {', '.join(step.name for step in unfinished)}."
        yield Objection(1, Result.INCOMPLETE, text)

    for table in run.tables:
        if table.quarantined:
            text = f"{_counted(table.quarantined, 'item')} of {table.source} quarantined: not in the target."
            yield Objection(6, Result.INCOMPLETE, text)
        elif not table.proven and not table.contradicted:
            yield Objection(6, Result.INCOMPLETE, f"Table {table.target} was not fully copied and verified.")
    for bucket in run.buckets:
        if bucket.skipped:
            text = f"{_counted(bucket.skipped, 'object')} of {bucket.source} skipped."
            yield Objection(6, Result.INCOMPLETE, text)
        if bucket.failed:
            text = f"{_counted(bucket.failed, 'object')} of {bucket.source} could not be copied or deleted."
            yield Objection(6, Result.INCOMPLETE, text)
        if bucket.skipped or bucket.failed:
            continue
        if not bucket.proven and not bucket.contradicted:
            yield Objection(6, Result.INCOMPLETE, f"Bucket {bucket.target} was not verified.")
    for step in run.steps:
        if step.state is StepState.SKIPPED:
            yield Objection(6, Result.INCOMPLETE, f"Step {step.name} was skipped.")
    if [step.name for step in run.steps] == ["scan"]:
        text = "Only the leak scan was asked for: it says nothing of what was copied."
        yield Objection(6, Result.INCOMPLETE, text)
    elif not run.steps or not (run.tables or run.buckets):
        yield Objection(6, Result.INCOMPLETE, "Nothing was copied, so there is nothing to prove.")
    elif not run.leaks.scanned:
        yield Objection(6, Result.INCOMPLETE, "The target was not scanned for addresses.")


def _counted(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
