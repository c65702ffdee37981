"""Steps round the wipe: how the search domain is made is recorded before it, and made again after it.

An index that is not there is made by its first document, with types that OpenSearch guesses from it; so before the
consumers are on, every index is there as it was. What the deployment has made itself is left as it is. The record may
hold data (a filter of an alias, a synonym), so the journal sees it sealed; it outlives the run, for a run that is given
up after its wipe leaves its successor nothing to record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from downstage.domain.events import Note
from downstage.domain.plan import SearchPlan
from downstage.errors import AwsError, NotFound
from downstage.ports import SearchIndex
from downstage.workflow import search_record
from downstage.workflow.parts import Parts, Step
from downstage.workflow.search_record import CAPTURE, RESTORE, Definitions

__all__ = ["CAPTURE", "RESTORE", "capture", "restore"]


def capture(parts: Parts, step: Step) -> str:
    """Records the target domain's configuration, and its indices' settings, mappings and aliases. Touches nothing."""
    if parts.plan.search is None or parts.plan.wipe is None:
        return "nothing configured"
    search = parts.plan.search
    intent = step.intent(lambda: _looked_at(parts, search))
    if not intent["captured"]:
        return f"there is no search domain {search.target.name} yet"
    return f"{intent['indices']} indices of {search.target.name}"


def restore(parts: Parts, step: Step) -> str:
    """Makes the domain and its indices as they were, as far as the deployment has not; waits until it can be used."""
    if parts.plan.search is None:
        return "nothing configured"
    search, domain = parts.plan.search, parts.plan.search.target.name
    parts.guard()
    step.intent(lambda: {"domain": domain})
    configuration, definitions = search_record.newest(parts, domain)
    if configuration is None and parts.target_domains.description(domain) is None:
        raise NotFound(
            f"there is no search domain {domain}: the deployment has not made it, and none was recorded that it could "
            "be made after; make it, then resume the run"
        )
    parts.target_domains.restore(domain, configuration or {})
    documents = parts.target_domains.index(domain)
    there = {*documents.writable(), *documents.indices()}
    wanted = {name: how for name, how in definitions.items() if not there & {name, *how.get("aliases", {})}}
    known = there | wanted.keys() | {alias for how in wanted.values() for alias in how.get("aliases", {})}
    wanted |= _from_source(parts, search, [e.index for e in search.expectations if e.index not in known])
    made = 0
    for name, definition in sorted(wanted.items()):
        clean = _without_addresses(parts, name, definition)
        parts.still_ours()
        if clean is not None and _made(parts, search, documents, name, clean):
            made += 1
    _tell_unknown(parts, search, documents)
    return f"{made} indices made, {len(there)} names were there"


def _looked_at(parts: Parts, search: SearchPlan) -> Mapping[str, Any]:
    domain = search.target.name
    configuration = parts.target_domains.configuration(domain)
    if configuration is None:
        return {"captured": "", "indices": 0}
    documents = parts.target_domains.index(domain)
    found = {name: documents.definition(name) for name in documents.indices()}
    return search_record.keep(parts, domain, configuration, found)


def _without_addresses(parts: Parts, name: str, definition: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The definition without aliases that hold an address of a person, in a filter for example; None if the rest of it
    does. It was there before, but it is not we who bring it back."""
    aliases = definition.get("aliases", {})
    clean = {alias: how for alias, how in aliases.items() if not parts.scanner.scan_document({alias: how}, "")}
    rest = {part: how for part, how in definition.items() if part != "aliases"}
    named = "" if parts.scanner.scan_text(name, "") else f" {name}"
    if not named or parts.scanner.scan_document(rest, ""):
        parts.emit(Note(f"index{named} was not made again: how it was defined holds an address that is no pseudonym"))
        return None
    if len(clean) < len(aliases):
        parts.emit(
            Note(
                f"index{named}: {len(aliases) - len(clean)} of its aliases were not made again: they hold an address "
                "that is no pseudonym"
            )
        )
    return {**rest, "aliases": clean}


def _made(parts: Parts, search: SearchPlan, documents: SearchIndex, name: str, definition: Mapping[str, Any]) -> bool:
    """Makes the index; False if OpenSearch refuses such a one, and nothing is expected in it."""
    try:
        documents.create(name, definition)
    except AwsError as error:
        if error.code != "400":
            raise
        needed = sorted({name, *definition["aliases"]} & {wanted.index for wanted in search.expectations})
        if needed:
            raise AwsError(
                f"{error}, asked to make it as it was, and 'search.expect' names {', '.join(needed)}: have your "
                "deployment make it, then resume the run",
                error.code,
            ) from None
        parts.emit(Note(f"index {name} was not made again: {error}"))
        return False
    return True


def _from_source(parts: Parts, search: SearchPlan, missing: Sequence[str]) -> Definitions:
    """Indices that must be filled and were recorded nowhere, as the source's domain has them."""
    if search.source is None or not missing:
        return {}
    theirs = parts.source_domains.index(search.source.name)
    return {name: theirs.definition(name) for name in missing if name in theirs.indices()}


def _tell_unknown(parts: Parts, search: SearchPlan, documents: SearchIndex) -> None:
    there = {*documents.writable(), *documents.indices()}
    unknown = [wanted.index for wanted in search.expectations if wanted.index not in there]
    if unknown:
        parts.emit(
            Note(
                f"search domain {search.target.name} has no index {', '.join(unknown)} yet: its first document will "
                "have OpenSearch guess the types; have your deployment make it, or name 'search.from'"
            )
        )
