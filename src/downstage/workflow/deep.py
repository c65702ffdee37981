"""A table that is not what was written to it, looked at item by item: what is wrong, and what only moved on.

Partitioned work on an engine again, of this machine always, for the lanes share a file: the target is read into a
spill, then, if its digest is still another one, the source, masked as in the copy; both are joined, every difference is
read again by key on both sides, and what is left is judged by the digests of the copy (`verify.telling`). Nothing is
written to the target here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from downstage.domain.events import Progress
from downstage.domain.table_outcome import Differences
from downstage.errors import AwsError, CredentialsError, JournalError
from downstage.planning.surroundings import SPILLED_BYTES
from downstage.ports import Checkpoint, Lane
from downstage.proof import digest
from downstage.verify.item_names import ItemNames, shown
from downstage.verify.spill import Spill
from downstage.verify.spill_records import Difference, Side, Survey
from downstage.verify.telling import Candidate, Told, tell_apart
from downstage.workflow.deep_lanes import CHUNKS
from downstage.workflow.parts import Deep, DeepWork, Parts, TableWork
from downstage.workflow.reference import Reference

MOST_DIFFERENCES = 100_000
"""More than these are not looked at one by one: such a table is copied again, not mended."""

FEW_DIFFERENCES = 200
"""So few are looked at in this process: to start workers would take longer."""

_NAMED = 50
_A_LANE = 4
_LOOKS = 200
"""So often at most a phase says how far it is, however many lanes it has."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What is known of one segment: digest and number of the items written, and of those that the source, masked, has
    now."""

    written: int
    written_items: int
    source: int
    source_items: int
    unmaskable: int = 0


@dataclass(frozen=True, slots=True)
class Looked:
    """The outcome of a deep comparison. `segments` are empty if the target turned out to be what it must be, or if too
    much differs."""

    differences: Differences
    segments: dict[int, Segment]
    told: Told | None = None


def look_deep(parts: Parts, deep: Deep, work: TableWork, reference: Reference, *, keep: bool = False) -> Looked:
    """Compares one table. `keep`: for mending, so the spill stays, and one that an earlier attempt has left is gone on
    with; who only looks wants to know how things stand now. Raises JournalError if the disk cannot hold the spill, and
    AwsError or CredentialsError if a side cannot be read."""
    job = deep_work(parts, deep, work)
    _clear(parts, deep)
    if not (keep and job.spill.exists()):
        _refuse_small_disk(parts, job, reference)
    try:
        with Spill.begin(job.spill, parts.run.epoch, anew=not keep) as spill:
            looked = _look(parts, deep, job, reference, spill)
    except (AwsError, CredentialsError, JournalError):
        if not keep:
            Spill.discard(job.spill)  # nobody goes on with it, and it may be large
        raise
    if not keep:
        Spill.discard(job.spill)
    return looked


def where(parts: Parts) -> str:
    """For a note: where the comparison is made, if that is not where the run's other lanes are."""
    if parts.here is None:
        return ""
    return f", on this machine ({parts.here.workers} at a time), not on {parts.plan.engine.name}"


def _refuse_small_disk(parts: Parts, job: DeepWork, reference: Reference) -> None:
    """Raises JournalError for a table whose records the state directory has no room for: not hours later."""
    if parts.around is None:
        return
    wanted = _written(reference.checkpoints).written_items * SPILLED_BYTES
    try:
        disk = parts.around.disk()
    except OSError as error:
        raise JournalError(f"the state directory cannot be looked at ({error.strerror}); name another") from None
    if disk.free < wanted:
        raise JournalError(
            f"to compare {job.table.target} item by item takes about {wanted / 1e9:,.1f} GB, and "
            f"{disk.free / 1e9:,.1f} GB are free at {disk.directory}; make room there, or name another directory in "
            "'state'"
        )


def _clear(parts: Parts, deep: Deep) -> None:
    """Deletes what comparisons of earlier runs of this environment have left: nobody else is at work on it now."""
    run = parts.run
    ended = [
        f"{r.run_id}." for r in parts.journal.runs() if r.environment == run.environment and r.run_id != run.run_id
    ]
    for path in deep.folder.glob("*.sqlite"):
        if path.name.startswith(tuple(ended)):
            Spill.discard(path)


def deep_work(parts: Parts, deep: Deep, work: TableWork) -> DeepWork:
    """The comparison of one table, in this run."""
    return DeepWork(work, deep.folder / f"{parts.run.run_id}.{work.target}.sqlite", parts.copy_run)


def run_phases(
    parts: Parts, deep: Deep, job: DeepWork, phases: Mapping[str, Collection[int]], *, differences: int | None = None
) -> Iterator[None]:
    """Runs phases side by side, each over its segments; yields as lanes end, and when the last has: a few hundred times
    at most, for who hears it looks at the spill. On this machine's engine, unless it is known that there are but a few
    `differences` to look at."""
    lanes = [
        Lane(f"{phase}/{job.table.target}", tuple(order[first : first + _A_LANE]))
        for phase, segments in phases.items()
        for order in [sorted(segments)]
        for first in range(0, len(order), _A_LANE)
    ]
    if not lanes:
        return
    work = deep.lanes.deep(parts.run, [job])
    few = differences is not None and differences <= FEW_DIFFERENCES
    each = -(-len(lanes) // _LOOKS)
    for ended, _ in enumerate(map(work, lanes) if few else parts.engine_here.run(work, lanes), 1):
        if ended % each == 0 or ended == len(lanes):
            yield


def _look(parts: Parts, deep: Deep, job: DeepWork, reference: Reference, spill: Spill) -> Looked:
    everywhere = range(job.table.segments)
    _scan(parts, deep, job, spill, Side.TARGET, everywhere)
    target = _sum(spill.surveys(Side.TARGET).values())
    written = _written(reference.checkpoints)
    if (target.written, target.written_items) == (written.written, written.written_items):
        return Looked(Differences(), {})
    _scan(parts, deep, job, spill, Side.SOURCE, everywhere)
    counts = spill.count()
    if counts.all > MOST_DIFFERENCES:
        return Looked(Differences(counts.missing, counts.extra, counts.differing, complete=False), {})
    spill.keep_differences()
    wanted = {"locate-source": spill.wanted(Side.SOURCE), "locate-target": spill.wanted(Side.TARGET)}
    for _ in run_phases(parts, deep, job, wanted, differences=counts.all):
        pass
    if counts.all:
        chunks = range(min(CHUNKS, counts.all + 1))
        for _ in run_phases(parts, deep, job, {"reread": chunks}, differences=counts.all):
            parts.emit(Progress("reread", job.table.target, _reread(spill), counts.all, "items"))
    as_one = job.table.export is not None
    return _judge(deep.names, spill, reference.checkpoints, target.written_items, as_one=as_one)


def _scan(parts: Parts, deep: Deep, job: DeepWork, spill: Spill, side: Side, segments: Collection[int]) -> None:
    phase = "source" if side is Side.SOURCE else "target"
    for _ in run_phases(parts, deep, job, {phase: segments}):
        parts.emit(Progress(f"compare {phase}", job.table.target, spill.items(side), None, "items"))


def _reread(spill: Spill) -> int:
    return sum(difference.reread for difference in spill.differences())


def _judge(
    names: ItemNames, spill: Spill, reference: Sequence[Checkpoint], target_items: int, *, as_one: bool
) -> Looked:
    """Tells genuine differences from those of a source that moved on."""
    surveys = spill.surveys(Side.SOURCE)
    segments = _segments(reference, surveys, as_one=as_one)
    place = segment_of(segments)
    differences = list(spill.differences())
    residuals = {number: (segment.written - segment.source) % digest.MODULUS for number, segment in segments.items()}
    items = target_items
    candidates = []
    for difference in differences:
        now = Now.of(names, difference)
        items += (now.target is not None) - (difference.target_digest is not None)
        number = place(difference.segment)
        if number is not None:
            residuals[number] += now.source_scanned - (now.target or 0)
        if not now.agrees:
            source = now.source if now.source is not None or number is None else now.source_scanned
            candidates.append(Candidate(difference.id, number, source or 0, now.target or 0))
    residuals = {number: residual % digest.MODULUS for number, residual in residuals.items()}
    told = tell_apart(residuals, candidates)
    by_id = {candidate.id: candidate for candidate in candidates}
    if not told.untold and not told.unexplained:
        for number in told.genuine:
            items += _was_written(by_id[number]) - (by_id[number].target != 0)
        if items != sum(segment.written_items for segment in segments.values()):
            told = Told(frozenset(), frozenset(), frozenset(by_id), frozenset(segments))  # the counts belie the digests
    verdicts = {
        **dict.fromkeys(told.genuine, "genuine"),
        **dict.fromkeys(told.moved, "moved"),
        **dict.fromkeys(told.untold, "untold"),
    }
    spill.keep_verdicts(verdicts.items())
    return Looked(_summary(names, differences, verdicts, len(told.unexplained)), segments, told)


@dataclass(frozen=True, slots=True)
class Now:
    """The digests of one difference as they are now; None where there is no item. `source_scanned` is what the scan of
    the source had seen, 0 for nothing. It `agrees` if there is nothing to mend any more."""

    source: int | None
    target: int | None
    source_scanned: int
    agrees: bool

    @classmethod
    def of(cls, names: ItemNames, difference: Difference) -> Now:
        """From the second look, or from the scans where there was none (twins)."""

        def open_(covered: bytes | None) -> int | None:
            return None if covered is None else names.uncover(difference.name, covered)

        scanned = open_(difference.source_digest)
        source = open_(difference.source_now) if difference.reread else scanned
        target = open_(difference.target_now) if difference.reread else open_(difference.target_digest)
        agrees = not difference.twins and (difference.quarantined or source == target)
        return cls(source, target, scanned or 0, agrees)


def segment_of(segments: Collection[int]) -> Callable[[int | None], int | None]:
    """The number under which a segment of the scan is known: where the copy was cut differently, there is only 0."""
    return lambda segment: segment if segment is None or segment in segments else 0


def _segments(reference: Sequence[Checkpoint], surveys: dict[int, Survey], *, as_one: bool) -> dict[int, Segment]:
    """What was written and what the source holds, by segment; `as_one` if the copy was cut differently."""
    if as_one or [checkpoint.segment for checkpoint in reference] != sorted(surveys):
        written, source = _written(reference), _sum(surveys.values())
        return {
            0: Segment(
                written.written,
                written.written_items,
                source.written,
                source.written_items,
                sum(survey.unmaskable for survey in surveys.values()),
            )
        }
    return {
        checkpoint.segment: Segment(
            checkpoint.digest,
            checkpoint.counters.get("written", 0),
            surveys[checkpoint.segment].digest,
            surveys[checkpoint.segment].items,
            surveys[checkpoint.segment].unmaskable,
        )
        for checkpoint in reference
    }


def _written(reference: Sequence[Checkpoint]) -> Segment:
    total = sum(checkpoint.digest for checkpoint in reference) % digest.MODULUS
    return Segment(total, sum(checkpoint.counters.get("written", 0) for checkpoint in reference), 0, 0)


def _sum(surveys: Collection[Survey]) -> Segment:
    total = sum(survey.digest for survey in surveys) % digest.MODULUS
    return Segment(total, sum(survey.items for survey in surveys), 0, 0)


def _was_written(candidate: Candidate) -> int:
    """Whether the copy wrote an item of this key, if the difference is genuine."""
    return int(candidate.segment is not None and candidate.source != 0)


def _summary(
    names: ItemNames, differences: Sequence[Difference], verdicts: dict[int, str], unexplained: int
) -> Differences:
    kinds: Counter[str] = Counter()
    failing: list[tuple[str, str]] = []
    for difference in differences:
        verdict = verdicts.get(difference.id)
        if verdict not in ("genuine", "untold"):
            continue
        now = Now.of(names, difference)
        kind = "missing" if now.target is None else "extra" if now.source is None else "differing"
        kinds["untold" if verdict == "untold" else kind] += 1
        failing.append((kind, shown(difference.name)))
    return Differences(
        missing=kinds["missing"],
        extra=kinds["extra"],
        differing=kinds["differing"],
        untold=kinds["untold"],
        unexplained=unexplained,
        source_changed=sum(verdict == "moved" for verdict in verdicts.values()),
        quarantined=sum(difference.quarantined for difference in differences),
        names=tuple(islice(failing, _NAMED)),
    )
