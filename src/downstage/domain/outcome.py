"""What a run achieved, in numbers. The report is made from this and from nothing else.

No field can hold item data: counts, digests as hex, names of tables, buckets and indexes, paths, keyed
hashes. The verdict is derived here and nowhere else, from a list of objections that also words it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from downstage.domain.bucket_outcome import BucketOutcome, IndexOutcome
from downstage.domain.counted import counted
from downstage.domain.leak_outcome import LeakOutcome
from downstage.domain.table_outcome import ExportOutcome, ParityOutcome, TableOutcome

_LATER = (75, 130, 143)
"""The exit codes of a run that was told to stop, by its time-box, Ctrl-C or SIGTERM, and can go on later."""


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
class Stop:
    """What stopped a run, in one line, and its exit code: 75 if it was to stop, and goes on later; 130 and 143 if
    Ctrl-C or SIGTERM stopped it."""

    exit_code: int
    text: str


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
    stop: Stop | None = None
    """What stopped the run before its end, if it was not a signal."""
    unsent: tuple[str, ...] = ()
    """Notifications that did not arrive, one line each."""

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
        did not finish is never 6, whatever it has quarantined so far. What stopped a run, or failed a step, gives its
        own code, as the process does: 75 for a time-box that was reached, 130 or 143 for a signal. A single step claims
        no proof: only what it found or left out counts, not what it was never asked to do.
        """
        if self.stop is not None:
            return self.stop.exit_code
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
        found = counted(strangers, "address")
        text = f"{found} found in the target: neither kept nor a pseudonym of ours."
        yield Objection(5, Result.FAILED, text)
    if run.leaks.canaries_found:
        found = counted(run.leaks.canaries_found, "canary")
        text = f"{found} found in the target: a real address of the source, or its plain hash, stands there."
        yield Objection(5, Result.FAILED, text)

    for table in run.tables:
        if table.contradicted:
            found = f": {table.differences.told}" if table.differences is not None else ""
            yield Objection(4, Result.FAILED, f"Table {table.target} does not hold what was written to it{found}.")
    for bucket in run.buckets:
        if bucket.differing:
            text = f"Bucket {bucket.target} still differs in {counted(bucket.differing, 'object')}."
            yield Objection(4, Result.FAILED, text)
        if bucket.altered:
            text = f"Bucket {bucket.target} has other contents than its source in {counted(bucket.altered, 'object')}."
            yield Objection(4, Result.FAILED, text)
    for index in run.search:
        if not index.proven and not unfinished:  # an index that is still filling contradicts nothing
            yield Objection(4, Result.FAILED, f"Index {index.index} does not hold the expected documents.")

    for step in run.steps:
        if step.state is StepState.FAILED:
            text = f"Step {step.name} failed: {step.detail or 'no reason was recorded.'}"
            yield Objection(step.exit_code or 1, Result.FAILED, text)
    if run.stop is not None and not any(step.state is StepState.FAILED for step in run.steps):
        planned = run.stop.exit_code in _LATER
        yield Objection(
            run.stop.exit_code, Result.INCOMPLETE if planned else Result.FAILED, f"The run stopped: {run.stop.text}."
        )
    if unfinished:
        text = f"The run has not finished; to do: {', '.join(step.name for step in unfinished)}."
        yield Objection(1, Result.INCOMPLETE, text)

    for table in run.tables:
        if table.quarantined:
            text = f"{counted(table.quarantined, 'item')} of {table.source} quarantined: not in the target."
            yield Objection(6, Result.INCOMPLETE, text)
        elif not table.proven and not table.contradicted:
            yield Objection(6, Result.INCOMPLETE, f"Table {table.target} was not fully copied and verified.")
    for bucket in run.buckets:
        if bucket.skipped:
            text = f"{counted(bucket.skipped, 'object')} of {bucket.source} skipped."
            yield Objection(6, Result.INCOMPLETE, text)
        if bucket.failed:
            text = f"{counted(bucket.failed, 'object')} of {bucket.source} could not be copied or deleted."
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
