"""Two described tables compared: everything in which the target is not what the source demands. Pure.

The source is first said in the target's words (`translation`), then fact is held against fact. What one side could not
tell is a difference of its own ("unknown"), never equality; what the configuration accepts is shown, not demanded.
What only the target has (an index, a tag, a protection) is shown and is never a clone's to take away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from downstage.domain.refs import TargetTable
from downstage.domain.table_schema import (
    FACTS,
    Difference,
    Encryption,
    Index,
    KeyPart,
    ParityTerms,
    Remedy,
    Scaling,
    Subscription,
    TableSchema,
    Units,
    Unknown,
)
from downstage.planning.translation import (
    lacks_key,
    names_account,
    normal_statement,
    statements,
    translated,
)

NONE = "none"
_ONLY_TARGET = "only the target has it: remove it yourself, or accept it"


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
    yield from _value("keys", "", _keys(ours.keys), _keys(theirs.keys), remedy="recreate")
    yield from _local_indexes(ours, theirs)
    yield from _global_indexes(ours, theirs)
    yield from _value("billing", "", _billing(ours), _billing(theirs))
    yield from _throughput(ours, theirs)
    yield from _maxima(ours, theirs)
    yield from _warmth(ours, theirs, terms)
    yield from _autoscaling(ours, theirs)
    yield from _stream(ours, theirs)
    yield from _ttl(ours, theirs)
    yield from _value("table_class", "", ours.table_class, theirs.table_class)
    yield from _encryption(source, ours, theirs, terms, place)
    yield from _protection("deletion_protection", ours.deletion_protection, theirs.deletion_protection)
    yield from _recovery(ours, theirs)
    yield from _named("tags", ours.tags, theirs.tags)
    yield from _policy(source, ours, theirs)
    yield from _insights(ours, theirs)
    yield from _value(
        "replicas", "", _list(ours.replicas), _list(theirs.replicas), remedy="by hand",
        note="replicas of a global table are never cloned: they would carry the data on",
    )  # fmt: skip
    yield from _subscriptions(ours, theirs)


def _value(
    fact: str, place: str, ours: str, theirs: str, *, remedy: Remedy = "change", note: str = ""
) -> Iterator[Difference]:
    if ours != theirs:
        yield Difference(fact, place, ours, theirs, remedy=remedy, note=note)


def _unknown(fact: str, ours: Any, theirs: Any, *, place: str = "") -> Difference:
    texts = [f"not known: {side.reason}" if isinstance(side, Unknown) else "known" for side in (ours, theirs)]
    return Difference(
        fact, place, texts[0], texts[1], "unknown", "none", "allow the role to look, or accept it in the configuration"
    )


def _named(fact: str, ours: Mapping[str, str] | Unknown, theirs: Mapping[str, str] | Unknown) -> Iterator[Difference]:
    """Facts with a name each: what the source lacks is only shown."""
    if isinstance(ours, Unknown) or isinstance(theirs, Unknown):
        yield _unknown(fact, ours, theirs)
        return
    for name in sorted({*ours, *theirs}):
        if name not in ours:
            yield Difference(fact, name, NONE, theirs[name], remedy="by hand", note=_ONLY_TARGET)
        elif ours[name] != theirs.get(name):
            yield Difference(fact, name, ours[name], theirs.get(name, NONE), remedy="change")


# ---- indexes and capacity


def _local_indexes(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    mine, other = ({index.name: _index(index) for index in side.local_indexes} for side in (ours, theirs))
    for name in sorted({*mine, *other}):
        yield from _value("local_indexes", name, mine.get(name, NONE), other.get(name, NONE), remedy="recreate")


def _global_indexes(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    mine, other = ({index.name: _index(index) for index in side.global_indexes} for side in (ours, theirs))
    for one in _named("global_indexes", mine, other):
        both = one.place in mine and one.place in other
        yield replace(one, note="a clone removes the index and makes it anew") if both else one


def _throughput(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    """Provisioned units; where both sides scale by themselves, what they have at the moment says nothing."""
    if ours.on_demand or theirs.on_demand:
        return
    scaled = _scaled(ours) & _scaled(theirs)
    for index, mine, other in _capacities(ours, theirs, "throughput"):
        for way in ("read", "write"):
            if (index, way) not in scaled:
                yield from _value("throughput", _at(index, way), _units(mine, way), _units(other, way))


def _maxima(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    if not ours.on_demand:
        return
    for index, mine, other in _capacities(ours, theirs, "maximum"):
        for way in ("read", "write"):
            yield from _value("on_demand_maximum", _at(index, way), _units(mine, way), _units(other, way))


def _warmth(ours: TableSchema, theirs: TableSchema, terms: ParityTerms) -> Iterator[Difference]:
    """Warm throughput costs money and never goes down, so production's is asked for only in the configuration."""
    for index, mine, other in _capacities(ours, theirs, "warm"):
        for way in ("read", "write"):
            have = getattr(other, way) or 0
            asked = getattr(terms.warm, way) if terms.warm is not None else None
            if asked is not None and have < asked:
                yield Difference("warm_throughput", _at(index, way), str(asked), _units(other, way))
            elif terms.warm is None and have < (getattr(mine, way) or 0):
                yield Difference(
                    "warm_throughput", _at(index, way), _units(mine, way), _units(other, way), "accepted", "none",
                    "colder than the source: it costs money, so set 'warm_throughput' of the table if you want it",
                )  # fmt: skip


def _autoscaling(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    if ours.on_demand:
        return
    sides = [
        side.autoscaling
        if isinstance(side.autoscaling, Unknown)
        else {_at(one.index, one.dimension): _scaling(one) for one in side.autoscaling}
        for side in (ours, theirs)
    ]
    yield from _named("autoscaling", sides[0], sides[1])


def _capacities(ours: TableSchema, theirs: TableSchema, which: str) -> Iterator[tuple[str | None, Units, Units]]:
    """The table's units of both sides, then those of each index that both have."""
    yield None, getattr(ours, which), getattr(theirs, which)
    other = {index.name: index for index in theirs.global_indexes}
    for index in ours.global_indexes:
        if index.name in other:
            yield index.name, getattr(index, which), getattr(other[index.name], which)


def _scaled(side: TableSchema) -> set[tuple[str | None, str]]:
    return set() if isinstance(side.autoscaling, Unknown) else {(one.index, one.dimension) for one in side.autoscaling}


# ---- the rest


def _stream(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    if ours.stream == theirs.stream:
        return
    if ours.stream is None:
        remedy, note = "by hand", _ONLY_TARGET
    elif theirs.stream is None or theirs.subscriptions == ():
        remedy, note = "change", ""
    else:
        remedy, note = "by hand", "another view is another stream, on which the consumers of this one would be deaf"
    yield Difference("stream", "", ours.stream or NONE, theirs.stream or NONE, remedy=remedy, note=note)  # type: ignore[arg-type]


def _ttl(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    if isinstance(ours.ttl, Unknown) or isinstance(theirs.ttl, Unknown):
        yield _unknown("ttl", ours.ttl, theirs.ttl)
    elif ours.ttl is None:
        yield from _value("ttl", "", NONE, theirs.ttl or NONE, remedy="by hand", note=_ONLY_TARGET)
    else:
        note = "enabled once the copy is verified"
        yield from _value("ttl", "", ours.ttl, theirs.ttl or NONE, remedy="later", note=note)


def _encryption(
    source: TableSchema, ours: TableSchema, theirs: TableSchema, terms: ParityTerms, place: TargetTable
) -> Iterator[Difference]:
    if isinstance(source.encryption, Unknown) or isinstance(ours.encryption, Unknown):
        yield _unknown("encryption", source.encryption, theirs.encryption)
    elif lacks_key(source, place, terms):
        there = "not known" if isinstance(theirs.encryption, Unknown) else _key(theirs.encryption)
        note = "a key of the source encrypts nothing here: name one of the target under 'parity.kms', or accept it"
        yield Difference("encryption", "", _key(source.encryption), there, remedy="by hand", note=note)
    elif isinstance(theirs.encryption, Unknown):
        yield _unknown("encryption", source.encryption, theirs.encryption)
    elif ours.encryption != theirs.encryption:
        note = f"in the target: {_key(ours.encryption)}" if ours.encryption != source.encryption else ""
        yield Difference("encryption", "", _key(source.encryption), _key(theirs.encryption), note=note)


def _protection(fact: str, ours: bool, theirs: bool) -> Iterator[Difference]:
    on = {True: "on", False: "off"}
    if ours != theirs:
        safer = theirs and not ours
        yield Difference(
            fact, "", on[ours], on[theirs], remedy="by hand" if safer else "change", note=_ONLY_TARGET if safer else ""
        )


def _recovery(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    fact = "point_in_time_recovery"
    if isinstance(ours.recovery, Unknown) or isinstance(theirs.recovery, Unknown):
        yield _unknown(fact, ours.recovery, theirs.recovery)
        return
    yield from _protection(fact, ours.recovery.on, theirs.recovery.on)
    if ours.recovery.on and theirs.recovery.on:
        yield from _value(fact, "days", _number(ours.recovery.days), _number(theirs.recovery.days))


def _policy(source: TableSchema, ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    if isinstance(ours.policy, Unknown) or isinstance(theirs.policy, Unknown):
        yield _unknown("resource_policy", ours.policy, theirs.policy)
        return
    foreign = source.account != ours.account
    mine = {sid: normal_statement(found) for sid, found in statements(ours.policy).items()}
    other = {sid: normal_statement(found) for sid, found in statements(theirs.policy).items()}
    for sid in sorted({*mine, *other}):
        told = foreign and sid in mine and names_account(mine[sid], source.account)
        texts = (_json(mine[sid]) if sid in mine else NONE, _json(other[sid]) if sid in other else NONE)
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
                note=_ONLY_TARGET if only else "",
            )


def _insights(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    sides = [
        side.insights if isinstance(side.insights, Unknown) else {name or "table": "on" for name in side.insights}
        for side in (ours, theirs)
    ]
    yield from _named("contributor_insights", sides[0], sides[1])


def _subscriptions(ours: TableSchema, theirs: TableSchema) -> Iterator[Difference]:
    if isinstance(ours.subscriptions, Unknown) or isinstance(theirs.subscriptions, Unknown):
        yield _unknown("consumers", ours.subscriptions, theirs.subscriptions)
        return
    mine = {one.function: one for one in ours.subscriptions}
    other = {one.function: one for one in theirs.subscriptions}
    yield from _named(
        "consumers",
        {name: _json(one.settings) for name, one in mine.items()},
        {name: _json(one.settings) for name, one in other.items()},
    )
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


# ---- texts


def _keys(keys: Iterable[KeyPart]) -> str:
    return ", ".join(f"{key.name} {key.type} {key.role}" for key in keys) or NONE


def _index(index: Index) -> str:
    attributes = f" ({', '.join(index.attributes)})" if index.attributes else ""
    return f"{_keys(index.keys)}; {index.projection}{attributes}"


def _billing(schema: TableSchema) -> str:
    return "on demand" if schema.on_demand else "provisioned"


def _units(units: Units, way: str) -> str:
    return _number(getattr(units, way))


def _number(number: int | None) -> str:
    return NONE if number is None else str(number)


def _at(index: str | None, way: str) -> str:
    return f"{index} {way}" if index else way


def _scaling(one: Scaling) -> str:
    return f"{one.minimum} to {one.maximum}, {_json(list(one.policies))}"


def _key(encryption: Encryption) -> str:
    kinds = {"aws-owned": "AWS-owned key", "aws-managed": "AWS-managed key", "customer": "customer key"}
    return f"{kinds[encryption.kind]} {encryption.key}" if encryption.key else kinds[encryption.kind]


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or NONE


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(", ", ": "), ensure_ascii=False, default=dict)
