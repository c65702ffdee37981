"""The wipe: the target's search domains and tables deleted in every region that is wiped, each awaited.

What goes is resolved once and recorded before the first deletion, region by region, by name and by what tells it from
whatever is made under that name later: a run that is taken up again deletes what is left of that, and stops before
anything that has been made since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from downstage.domain.events import Note
from downstage.errors import NotFound, RunConflict, Unreachable
from downstage.planning.wiping import Doomed, WipePlace, check_places, check_wipe, doomed, told
from downstage.workflow.parts import Parts, Step


def wipe(parts: Parts, step: Step) -> str:
    """Empties the indices, deletes the tables and domains that the patterns name, and waits until each is gone."""
    if parts.plan.wipe is None:
        return "nothing configured"
    parts.guard()
    places = places_of(parts)
    check_places(parts.plan, places, parts.environments)
    check_wipe(parts.plan, places)
    intent = step.intent(lambda: _intended(parts, places))
    recorded = [intent, *(intent.get("further", {}).get(place.region, {}) for place in places[1:])]
    for place, there in zip(places, recorded, strict=True):
        with told(parts.plan, place.region):
            _refuse_others(parts, place, there)
    for place, there in zip(places, recorded, strict=True):
        with told(parts.plan, place.region):
            _delete(parts, place, there)
    tables, domains = (sum(len(there.get(kind, ())) for there in recorded) for kind in ("tables", "domains"))
    where = f" in {len(places)} regions" if len(places) > 1 else ""
    return f"{tables} tables and {domains} search domains deleted{where}"


def places_of(parts: Parts) -> tuple[WipePlace, ...]:
    """The target's own region, then the further ones."""
    own = WipePlace(parts.plan.target.region, parts.target_identity, parts.target_tables, parts.target_domains)
    return own, *parts.further


def _intended(parts: Parts, places: Sequence[WipePlace]) -> Mapping[str, Any]:
    """The target's own region as it was recorded before there were further ones: others read it."""
    own, *further = [
        _recorded(parts, place, found) for place, found in zip(places, doomed(parts.plan, places), strict=True)
    ]
    if not further:
        return own
    return {**own, "further": {place.region: found for place, found in zip(places[1:], further, strict=True)}}


def _recorded(parts: Parts, place: WipePlace, found: Doomed) -> dict[str, Any]:
    """What goes in one region: names, and each one's identity. What is gone by now is left out."""
    with told(parts.plan, place.region):
        tables = {name: place.tables.identity(name) for name in found.tables}
        domains = {name: place.domains.identity(name) for name in found.domains}
    ids = {kind: {name: one for name, one in named.items() if one is not None}
           for kind, named in (("tables", tables), ("domains", domains))}  # fmt: skip
    return {"tables": list(ids["tables"]), "domains": list(ids["domains"]), "ids": ids}


def _refuse_others(parts: Parts, place: WipePlace, there: Mapping[str, Any]) -> None:
    """Raises RunConflict for the first of the recorded names under which something else stands now."""
    for table in there.get("tables", ()):
        _refuse_another(parts, "table", table, place.tables.identity(table), there)
    for domain in there.get("domains", ()):
        _refuse_another(parts, "search domain", domain, place.domains.identity(domain), there)


def _refuse_another(parts: Parts, what: str, name: str, now: str | None, there: Mapping[str, Any]) -> None:
    """A record of an earlier version holds names only, and an empty identity is none: whether what is there is what was
    meant, nobody can tell."""
    was = there.get("ids", {}).get("tables" if what == "table" else "domains", {}).get(name)
    if now is None or (now and now == was):
        return
    run = parts.run.run_id
    why = f"was made anew since run {run} recorded what it deletes"
    if not (was and now):
        why = f"may have been made anew since run {run} recorded, by its name alone, that it deletes it"
    raise RunConflict(
        f"{what} {name} {why}: it is left as it is; if it is to go, 'downstage resume {run} --from wipe' records and "
        f"deletes what is there now; else give the run up with 'downstage cancel {run}'"
    )


def _delete(parts: Parts, place: WipePlace, there: Mapping[str, Any]) -> None:
    for domain in there.get("domains", ()):
        parts.still_ours()
        _refuse_another(parts, "search domain", domain, place.domains.identity(domain), there)
        description = place.domains.description(domain)
        if description is not None and not description.get("Deleted"):
            _empty(parts, place, domain)
        place.domains.delete(domain)
    for table in there.get("tables", ()):
        parts.still_ours()
        _refuse_another(parts, "table", table, place.tables.identity(table), there)
        place.tables.delete(table, parts.plan.wiped_regions)


def _empty(parts: Parts, place: WipePlace, domain: str) -> None:
    """Deletes every index. A domain that is still being made has no address yet, and nothing in it; one in a further
    region may answer in a network of its own alone: its deletion, which asks nothing of it, takes what it holds."""
    try:
        documents = place.domains.index(domain)
    except NotFound:
        return
    try:
        for index in documents.indices():
            parts.still_ours()
            documents.delete(index)
    except (NotFound, Unreachable) as error:
        if place.region == parts.plan.target.region:
            raise
        parts.emit(Note(f"in region {place.region}: {error}; the domain is deleted with what it holds"))
