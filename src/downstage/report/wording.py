"""What a run proved and what it did not, in sentences that are true of every outcome they are made from.

A sentence of `proven` says what was compared with what, never more: a digest shows that nothing changed
between writing and verifying, a listing shows sizes and tags of objects, not what is in them. `limits` says
the rest. No sentence says that data are anonymous.
"""

from __future__ import annotations

from collections.abc import Sequence

from downstage.domain.bucket_outcome import BucketOutcome
from downstage.domain.counted import counted
from downstage.domain.leak_outcome import LeakOutcome
from downstage.domain.outcome import RefreshOutcome, Result, StepOutcome, StepState
from downstage.domain.table_outcome import ExportOutcome, TableOutcome
from downstage.report.figures import instant, number, parsed, percentage, period, share

_NAMED = 20
_REASONS = 5
_OBJECTS = 10
_FACTS = 8

MEANING = {
    Result.PROVEN: "Everything that was to be copied is in the target as it was written, and the scan found "
    "no address that is neither kept by the policy nor a pseudonym.",
    Result.INCOMPLETE: "Nothing contradicts the proof, but something was left out or not verified.",
    Result.FAILED: "The target must not be used as it is.",
}


def why(outcome: RefreshOutcome) -> str:
    """The one sentence under the verdict: the gravest objection, or what being proven means."""
    if not outcome.objections:
        return MEANING[Result.PROVEN]
    return outcome.objections[0].text


def cut_off(outcome: RefreshOutcome, step: StepOutcome) -> bool:
    """Whether the step was under way when the run stopped: it has not failed, and goes on from where it was."""
    return step.state is StepState.RUNNING and (outcome.stop is not None or bool(outcome.ended))


def statements(outcome: RefreshOutcome) -> list[str]:
    """Every sentence of the report: the objections, what is proven, then its limits."""
    return [*(objection.text for objection in outcome.objections), *proven(outcome), *limits(outcome)]


def proven(outcome: RefreshOutcome) -> list[str]:
    """What holds, whatever the verdict on the whole."""
    sentences = []
    tables = [table for table in outcome.tables if table.proven and table.expected is None]
    if tables:
        written = counted(sum(table.written for table in tables), "item")
        sentences.append(
            f"Proven for {share(len(tables), len(outcome.tables), 'table')}: every item that was read was "
            f"written or had expired, and a fresh read of the target found exactly the {written} that were "
            "written, with the same digest."
        )
    sentences += [_mended(table) for table in outcome.tables if table.proven and table.expected is not None]
    buckets = [bucket for bucket in outcome.buckets if bucket.proven]
    if buckets:
        sentences.append(
            f"Proven for {share(len(buckets), len(outcome.buckets), 'bucket')}: a fresh comparison of the "
            "listings of source and target found nothing left to do."
        )
        contents = sum(bucket.contents for bucket in buckets)
        if contents:
            sentences.append(f"{counted(contents, 'object')} of them had the source's contents when they were read.")
    indexes = [index for index in outcome.search if index.proven]
    if indexes:
        found = counted(sum(index.found for index in indexes), "document")
        sentences.append(
            f"Proven for {share(len(indexes), len(outcome.search), 'search index')}: exactly the expected "
            f"ids are there, {found} in all."
        )
    if outcome.leaks.scanned and not outcome.leaks.found:
        sentences.append(
            f"The leak scan looked at {_scanned(outcome.leaks)} and found no address that is neither kept by "
            "the policy nor a pseudonym."
        )
        if outcome.leaks.looked_for:
            sentences.append(
                f"{counted(outcome.leaks.looked_for, 'address')} of the source, known by keyed digests alone, were "
                "looked for there, and their plain MD5, SHA-1 and SHA-256 too: none was found."
            )
    return sentences


def limits(outcome: RefreshOutcome) -> list[str]:
    """What was left out, what was not looked at, and what stays true of pseudonymised data."""
    sentences: list[str] = [outcome.standing] if outcome.standing else []
    sentences += [f"Nobody was told: {line}." for line in outcome.unsent]
    alive = [table for table in outcome.tables if table.read_from]
    starts = [table.read_from for table in alive]
    ends = [table.read_to for table in alive if table.read_to]
    if starts and ends:
        read = period(min(starts, key=_order), max(ends, key=_order))
        which = "The source" if len(alive) == len(outcome.tables) else ", ".join(table.source for table in alive)
        sentences.append(f"{which} was read from {read}; this is not a point in time.")
    sentences += _exports(outcome.exports)
    sentences += _parity(outcome)
    expired = sum(table.expired for table in outcome.tables)
    if expired:
        sentences.append(f"{counted(expired, 'item')} past the time to live: not copied.")
    sentences += [
        f"{counted(table.differences.source_changed, 'item')} of {table.source} changed since the copy: "
        f"{table.target} holds what was copied."
        for table in outcome.tables
        if table.differences is not None and table.differences.source_changed
    ]
    for table in outcome.tables:
        for reason, count in table.quarantine_reasons[:_REASONS]:
            sentences.append(f"{counted(count, 'item')} of {table.source} quarantined: {reason}.")
        if len(table.quarantine_reasons) > _REASONS:
            sentences.append(f"The JSON report lists {len(table.quarantine_reasons) - _REASONS} further reasons.")
    for bucket in outcome.buckets:
        for reason, count in bucket.skipped_reasons:
            sentences.append(f"{counted(count, 'object')} of {bucket.source} skipped: {reason}.")
        for reason, count in bucket.failed_reasons:
            sentences.append(f"{counted(count, 'object')} of {bucket.source} failed: {reason}.")
        sentences += _bucket_notes(bucket)
    if outcome.buckets:
        sentences.append(
            "Objects were copied as they are: their listings were compared, what is in them was neither "
            "masked nor scanned."
        )
    if outcome.leaks.scanned:
        sentences.append("The leak scan looks for e-mail addresses; it recognises no other personal data.")
        if not outcome.leaks.looked_for:
            sentences.append(
                "No known address of the source was looked for: no copy of this environment under the same key and "
                "policy has kept canaries."
            )
    sentences += [
        f"Bucket {sample.bucket}: the leak scan looked at metadata and tags of {number(sample.looked)} of "
        f"{counted(sample.objects, 'object')} ({percentage(sample.looked, sample.objects)})."
        for sample in outcome.leaks.details
    ]
    sentences += _notes(outcome.tables)
    if outcome.masking and (outcome.masking.keep_domains or outcome.masking.keep_addresses):
        sentences.append(kept(outcome))
    sentences.append(
        "The data are pseudonymised, not anonymous: they stay personal data, for whoever holds the key can re-identify."
    )
    return sentences


def _parity(outcome: RefreshOutcome) -> list[str]:
    """In what the tables are not their sources' twins; a table of that kind is not silently passed over."""
    found = outcome.parity
    if found is None:
        return []
    if found.unseen:
        return [f"Whether the tables are their sources' twins was not seen: {found.unseen}"]
    sentences = []
    for table in found.tables:
        mine = [one for one in found.demanded if one.table == table]
        facts = list(dict.fromkeys(f"{one.fact}:{one.place}" if one.place else one.fact for one in mine))
        if facts:
            more = f" and {len(facts) - _FACTS} more" if len(facts) > _FACTS else ""
            sentences.append(
                f"Table {table} is not its source's twin in {', '.join(facts[:_FACTS])}{more}: see "
                f"'downstage tables diff {outcome.environment}', then clone, or accept it under 'parity'."
            )
    return sentences


def _exports(exports: Sequence[ExportOutcome]) -> list[str]:
    """What the exports show, and what became of the raw data."""
    sentences = [
        f"{export.table} was read from an export, exported at {instant(export.exported)}: a point in "
        "time, as exactly as DynamoDB exports (to about a minute)."
        for export in exports
        if export.exported
    ]
    for export in exports:
        whose = "" if export.ours else " (given by its ARN)"
        if export.deleted:
            when = instant(export.deleted)
            sentences.append(f"The raw export of {export.table}{whose}, {export.place}, was deleted at {when}.")
        else:
            sentences.append(
                f"The raw export of {export.table}{whose} still stands at {export.place}: it holds production's "
                "personal data as they are."
            )
    return sentences


def _mended(table: TableOutcome) -> str:
    """What holds for a table that a repair has changed."""
    done = table.repaired
    what = f" ({counted(done.put, 'item')} put, {done.deleted:,} deleted)" if done is not None else " before this run"
    return (
        f"Proven for table {table.target} after its repair{what}: a fresh read of the target found exactly the "
        f"{counted(table.must_hold, 'item')} that must be there now, with the digest that the repair entered."
    )


def _bucket_notes(bucket: BucketOutcome) -> list[str]:
    """What else must be known of a bucket."""
    notes = []
    if bucket.changed:
        notes.append(
            f"{counted(bucket.changed, 'object')} of {bucket.source} changed after the sync had begun: the target has "
            "them as they were, or not yet."
        )
    if bucket.foreign:
        what = f": {counted(bucket.extra, 'object')} there are not the source's" if bucket.extra else ""
        notes.append(f"Something else than the sync has written to {bucket.target} since{what}.")
    if bucket.compared_by in ("aws", "size"):
        how = "size and time" if bucket.compared_by == "aws" else "size alone"
        notes.append(f"Bucket {bucket.target}: objects were compared by {how}, not by their ETags.")
    if bucket.renamed:
        notes.append(
            f"{counted(bucket.renamed, 'object')} of {bucket.source} got another key: an address in it was "
            "pseudonymised."
        )
    if bucket.names:
        shown = ", ".join(bucket.names[:_OBJECTS])
        more = ", …" if len(bucket.names) > _OBJECTS else ""
        notes.append(f"Objects of {bucket.target} that failed, differ or changed: {shown}{more}.")
    return notes


def kept(outcome: RefreshOutcome) -> str:
    """What the keep lists are and what they did: kept domains by name, kept addresses by their number."""
    masking = outcome.masking
    if masking is None:
        return ""
    names = list(masking.kept_domains[:_NAMED])
    if names and len(masking.kept_domains) > _NAMED:
        names.append("…")
    domains = counted(masking.keep_domains, "domain") + (f" ({', '.join(names)})" if names else "")
    left = counted(sum(table.kept for table in outcome.tables), "address")
    return f"Kept: {domains}, {counted(masking.keep_addresses, 'address')}; {left} in the data were kept by them."


def _notes(tables: Sequence[TableOutcome]) -> list[str]:
    """What the masking could not know, or could not look into."""
    notes = []
    opaque, unknown = (sum(table.opaque for table in tables), sum(table.unknown for table in tables))
    if opaque:
        notes.append(
            f"{counted(opaque, 'binary value')} could not be looked into and passed as they are: no address shows in "
            "them."
        )
    if unknown:
        notes.append(
            f"{counted(unknown, 'value')} stood at paths or had types that masking.lock does not know: run "
            "'downstage discover' and look at what is new."
        )
    return notes


def _scanned(leaks: LeakOutcome) -> str:
    parts = (
        (leaks.scanned_items, "item"),
        (leaks.scanned_keys, "object key"),
        (leaks.scanned_documents, "search document"),
    )
    said = [counted(count, noun) for count, noun in parts if count]
    if leaks.scanned_documents and leaks.scanned_indexes:
        said[-1] += f" of {counted(leaks.scanned_indexes, 'search index')}"
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def _order(instant: str) -> tuple[float, str]:
    moment = parsed(instant)
    return (moment.timestamp() if moment else 0.0, instant)
