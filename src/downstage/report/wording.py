"""What a run proved and what it did not, in sentences that are true of every outcome they are made from.

A sentence of `proven` says what was compared with what, never more: a digest shows that nothing changed
between writing and verifying, a listing shows sizes and tags of objects, not what is in them. `limits` says
the rest. No sentence says that data are anonymous.
"""

from __future__ import annotations

from collections.abc import Sequence

from downstage.domain.outcome import LeakOutcome, RefreshOutcome, Result, TableOutcome
from downstage.report.figures import counted, number, parsed, percentage, period, share

_NAMED = 20
_REASONS = 5

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


def statements(outcome: RefreshOutcome) -> list[str]:
    """Every sentence of the report: the objections, what is proven, then its limits."""
    return [*(objection.text for objection in outcome.objections), *proven(outcome), *limits(outcome)]


def proven(outcome: RefreshOutcome) -> list[str]:
    """What holds, whatever the verdict on the whole."""
    sentences = []
    tables = [table for table in outcome.tables if table.proven]
    if tables:
        written = counted(sum(table.written for table in tables), "item")
        sentences.append(
            f"Proven for {share(len(tables), len(outcome.tables), 'table')}: every item that was read was "
            f"written or had expired, and a fresh read of the target found exactly the {written} that were "
            "written, with the same digest."
        )
    buckets = [bucket for bucket in outcome.buckets if bucket.proven]
    if buckets:
        sentences.append(
            f"Proven for {share(len(buckets), len(outcome.buckets), 'bucket')}: a fresh comparison of the "
            "listings of source and target found nothing left to do."
        )
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
    sentences: list[str] = []
    starts = [table.read_from for table in outcome.tables if table.read_from]
    ends = [table.read_to for table in outcome.tables if table.read_to]
    if starts and ends:
        read = period(min(starts, key=_order), max(ends, key=_order))
        sentences.append(f"The source was read from {read}; this is not a point in time.")
    expired = sum(table.expired for table in outcome.tables)
    if expired:
        sentences.append(f"{counted(expired, 'item')} past the time to live: not copied.")
    for table in outcome.tables:
        for reason, count in table.quarantine_reasons[:_REASONS]:
            sentences.append(f"{counted(count, 'item')} of {table.source} quarantined: {reason}.")
        if len(table.quarantine_reasons) > _REASONS:
            sentences.append(f"The JSON report lists {len(table.quarantine_reasons) - _REASONS} further reasons.")
    for bucket in outcome.buckets:
        for reason, count in bucket.skipped_reasons:
            sentences.append(f"{counted(count, 'object')} of {bucket.source} skipped: {reason}.")
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
