"""Two described tables compared: everything in which the target is not what the source demands. Pure.

The source is first said in the target's words (`translation`), then fact is held against fact. What one side could not
tell is a difference of its own ("unknown"), never equality; what the configuration accepts is shown, not demanded.
What only the target has (an index, a tag, a protection) is shown and is never a clone's to take away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase

from downstage.domain.refs import TargetTable
from downstage.domain.table_schema import (
    FACTS,
    Difference,
    ParityTerms,
    Remedy,
    Subscription,
    TableSchema,
    Unknown,
)
from downstage.planning import parity_capacity
from downstage.planning.parity_words import (
    NONE,
    ONLY_TARGET,
    differing,
    index_text,
    json_text,
    key_text,
    keys_text,
    list_text,
    named,
    number_text,
    unknown,
)
from downstage.planning.translation import (
    lacks_key,
    names_account,
    normal_statement,
    statements,
    translated,
)


def differences(
    source: TableSchema, target: TableSchema | None, place: TargetTable, terms: ParityTerms
) -> tuple[Difference, ...]:
    """Everything in which the table at `place` is not the twin of `source`, in the order of `FACTS`.

    `target` None: there is no such table; the list then holds that, and only what a clone could not make.
    """
    present = target or TableSchema(place.name, place.account, place.region, keys=())
    demanded = translated(source, place, terms)
    found = list(_all(source, demanded, present, terms, place))
    if target is None:
        absent = Difference("table", "", source.name, NONE, remedy="create", note="made anew by a clone")
        found = [absent, *(one for one in found if one.remedy == "by hand" or one.verdict == "unknown")]
    judged = [
        replace(one, verdict="accepted", remedy="none") if terms.accepts(one.fact, one.place) else one for one in found
    ]
    return tuple(sorted(judged, key=lambda one: FACTS.index(one.fact)))


def demanded(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Those of the differences that parity demands be gone. Empty: the tables are twins, by the configuration."""
    return tuple(one for one in found if one.demanded)


def _all(
    source: TableSchema, ours: TableSchema, theirs: TableSchema, terms: ParityTerms, place: TargetTable
) -> Iterator[Difference]:
    yield from differing("keys", "", keys_text(ours.keys), keys_text(theirs.keys), remedy="recreate")
    yield from _local_indexes(ours, theirs)
    yield from _global_indexes(ours, theirs)
    yield from differing("billing", "", _billing(ours), _billing(theirs))
    yield from parity_capacity.throughput(ours, theirs)
    yield from parity_capacity.maxima(ours, theirs)
    yield from parity_capacity.warmth(ours, theirs, terms)
    yield from parity_capacity.autoscaling(ours, theirs)
    yield from _stream(ours, theirs)
    yield from _ttl(ours, theirs)
    yield from differing("table_class", "", ours.table_class, theirs.table_class)
    yield from _encryption(source, ours, theirs, terms, place)
    yield from _protection("deletion_protection", ours.deletion_protection, theirs.deletion_protection)
    yield from _recovery(ours, theirs)
    yield from named("tags", ours.tags, theirs.tags)
    yield from _policy(source, ours, theirs)
    yield from _insights(ours, theirs)
    yield from differing(
        "replicas", "", list_text(ours.replicas), list_text(theirs.replicas), remedy="by hand",
        note="replicas of a global table are never cloned: they would carry the data on",
    )  # fmt: skip
    yield from _subscriptions(ours, theirs, terms)


# ---- indexes and billing


def _local_indexes(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    mine, other = ({index.name: index_text(index) for index in side.local_indexes} for side in (ours, theirs))
    for name in sorted({*mine, *other}):
        yield from differing("local_indexes", name, mine.get(name, NONE), other.get(name, NONE), remedy="recreate")


def _global_indexes(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    mine, other = ({index.name: index_text(index) for index in side.global_indexes} for side in (ours, theirs))
    for one in named("global_indexes", mine, other):
        both = one.place in mine and one.place in other
        yield replace(one, note="a clone removes the index and makes it anew") if both else one


# ---- the rest


def _stream(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    if ours.stream == theirs.stream:
        return
    unheard = theirs.stream is None or theirs.subscriptions == ()
    remedy: Remedy = "change" if ours.stream is not None and unheard else "by hand"
    note = "" if unheard else "another view is another stream, on which the consumers of this one would be deaf"
    if ours.stream is None:
        note = ONLY_TARGET
    yield Difference("stream", "", ours.stream or NONE, theirs.stream or NONE, remedy=remedy, note=note)


def _ttl(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    if isinstance(ours.ttl, Unknown) or isinstance(theirs.ttl, Unknown):
        yield unknown("ttl", ours.ttl, theirs.ttl)
    elif ours.ttl is None:
        yield from differing("ttl", "", NONE, theirs.ttl or NONE, remedy="by hand", note=ONLY_TARGET)
    else:
        note = "enabled once the copy is verified"
        yield from differing("ttl", "", ours.ttl, theirs.ttl or NONE, remedy="later", note=note)


def _encryption(
    source: TableSchema, ours: TableSchema, theirs: TableSchema, terms: ParityTerms, place: TargetTable
) -> Iterator[Difference]:
    if isinstance(source.encryption, Unknown) or isinstance(ours.encryption, Unknown):
        yield unknown("encryption", source.encryption, theirs.encryption)
    elif lacks_key(source, place, terms):
        there = "not known" if isinstance(theirs.encryption, Unknown) else key_text(theirs.encryption)
        note = "a key of the source encrypts nothing here: name one of the target under 'parity.kms', or accept it"
        yield Difference("encryption", "", key_text(source.encryption), there, remedy="by hand", note=note)
    elif isinstance(theirs.encryption, Unknown):
        yield unknown("encryption", source.encryption, theirs.encryption)
    elif ours.encryption != theirs.encryption:
        note = f"in the target: {key_text(ours.encryption)}" if ours.encryption != source.encryption else ""
        yield Difference("encryption", "", key_text(source.encryption), key_text(theirs.encryption), note=note)


def _protection(fact: str, ours: bool, theirs: bool) -> Iterator[Difference]:
    on = {True: "on", False: "off"}
    if ours != theirs:
        safer = theirs and not ours
        yield Difference(
            fact, "", on[ours], on[theirs], remedy="by hand" if safer else "change", note=ONLY_TARGET if safer else ""
        )


def _recovery(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    fact = "point_in_time_recovery"
    if isinstance(ours.recovery, Unknown) or isinstance(theirs.recovery, Unknown):
        yield unknown(fact, ours.recovery, theirs.recovery)
        return
    yield from _protection(fact, ours.recovery.on, theirs.recovery.on)
    if ours.recovery.on and theirs.recovery.on:
        yield from differing(fact, "days", number_text(ours.recovery.days), number_text(theirs.recovery.days))


def _policy(source: TableSchema, ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    if isinstance(ours.policy, Unknown) or isinstance(theirs.policy, Unknown):
        yield unknown("resource_policy", ours.policy, theirs.policy)
        return
    foreign = source.account != ours.account
    mine = {sid: normal_statement(found) for sid, found in statements(ours.policy).items()}
    other = {sid: normal_statement(found) for sid, found in statements(theirs.policy).items()}
    for sid in sorted({*mine, *other}):
        told = foreign and sid in mine and names_account(mine[sid], source.account)
        texts = (json_text(mine[sid]) if sid in mine else NONE, json_text(other[sid]) if sid in other else NONE)
        if told:
            note = "it names the source's account: say under 'parity.accounts' who it is in the target, or accept it"
            yield Difference("resource_policy", sid, *texts, remedy="by hand", note=note)
        elif texts[0] != texts[1]:
            only = sid not in mine
            yield Difference(
                "resource_policy",
                sid,
                *texts,
                remedy="by hand" if only else "change",
                note=ONLY_TARGET if only else "",
            )


def _insights(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    sides = [
        side.insights if isinstance(side.insights, Unknown) else {name or "table": "on" for name in side.insights}
        for side in (ours, theirs)
    ]
    yield from named("contributor_insights", sides[0], sides[1])


def _subscriptions(ours: TableSchema, theirs: TableSchema, terms: ParityTerms) -> Iterator[Difference]:
    if isinstance(ours.subscriptions, Unknown) or isinstance(theirs.subscriptions, Unknown):
        yield unknown("consumers", ours.subscriptions, theirs.subscriptions)
        return
    mine = {one.function: one for one in ours.subscriptions}
    other = {one.function: one for one in theirs.subscriptions}
    for one in named(
        "consumers",
        {name: json_text(found.settings) for name, found in mine.items()},
        {name: json_text(found.settings) for name, found in other.items()},
    ):
        base = one.place.partition(":")[0]
        if one.place not in mine and any(fnmatchcase(base, pattern) for pattern in terms.own_consumers):
            yield replace(one, verdict="accepted", remedy="none", note="'streams.functions' names it")
        else:
            yield one
    for name in sorted({*mine} & {*other}):
        yield from _start(mine[name], other[name])


def _start(mine: Subscription, other: Subscription) -> Iterator[Difference]:
    if mine.start in (other.start, None) or other.start is None:
        return
    from_the_beginning = other.start == "TRIM_HORIZON"
    yield Difference(
        "consumers", f"{mine.function} start", mine.start or NONE, other.start,
        "accepted" if from_the_beginning else "differs",
        "none" if from_the_beginning else "by hand",
        "from the beginning, so that it sees what was loaded" if from_the_beginning else
        "a mapping's start cannot be changed: remove the mapping, then clone",
    )  # fmt: skip


def _billing(schema: TableSchema) -> str:
    return "on demand" if schema.on_demand else "provisioned"
