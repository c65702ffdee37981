"""A source table's description in the target's words: what a faithful twin over there would look like.

Keys of production encrypt nothing elsewhere, account ids in a policy grant what they say, functions and queues are of
one account: each is rewritten only where the configuration, or the table's own name, says how. What cannot be said in
the target's words is left as it is, for the comparison to show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from downstage.domain.refs import TargetTable
from downstage.domain.table_schema import Encryption, ParityTerms, Subscription, TableSchema, Unknown


def translated(source: TableSchema, place: TargetTable, terms: ParityTerms) -> TableSchema:
    """`source` as it would be at `place`."""
    return replace(
        source,
        name=place.name,
        account=place.account,
        region=place.region,
        encryption=_encryption(source, place, terms),
        policy=_policy(source, place, terms),
        subscriptions=source.subscriptions
        if isinstance(source.subscriptions, Unknown)
        else tuple(_subscription(found, source, place, terms) for found in source.subscriptions),
    )


def lacks_key(source: TableSchema, place: TargetTable, terms: ParityTerms) -> bool:
    """Whether the source's own key encrypts it and the configuration names none that could take its place."""
    key = source.encryption.key if isinstance(source.encryption, Encryption) else None
    return key is not None and key not in terms.kms and not _one_place(source, place)


def names_account(policy: Mapping[str, Any], account: str) -> bool:
    """Whether the account's id stands anywhere in the policy."""
    return any(re.search(_whole(account), text) for text in _texts(policy))


def statements(policy: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """The policy's statements by their Sid, those without one by their number."""
    found = (policy or {}).get("Statement", [])
    listed = [found] if isinstance(found, Mapping) else found
    return {
        str(statement.get("Sid") or f"statement {number}"): statement
        for number, statement in enumerate(listed, start=1)
    }


def normal_statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    """The statement with everything that means the same written in one way: single texts as lists, lists in order,
    an account as its bare id."""
    return {name: _normal(value, name) for name, value in sorted(statement.items()) if name != "Sid"}


def _normal(value: Any, name: str) -> Any:
    if name in ("Principal", "NotPrincipal"):
        who = {"AWS": value} if isinstance(value, str) else value
        return {kind: sorted(map(_bare_account, _listed(names))) for kind, names in sorted(who.items())}
    if isinstance(value, Mapping):
        return {key: _normal(below, "") for key, below in sorted(value.items())}
    return value if name in ("Effect", "Sid") else sorted(map(str, _listed(value)))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _bare_account(principal: str) -> str:
    found = re.fullmatch(r"arn:[a-z-]+:iam::(\d{12}):root", principal)
    return found[1] if found else principal


def _encryption(source: TableSchema, place: TargetTable, terms: ParityTerms) -> Encryption | Unknown:
    if isinstance(source.encryption, Unknown) or source.encryption.key is None:
        return source.encryption
    return Encryption("customer", terms.kms.get(source.encryption.key, source.encryption.key))


def _policy(source: TableSchema, place: TargetTable, terms: ParityTerms) -> Mapping[str, Any] | Unknown | None:
    if source.policy is None or isinstance(source.policy, Unknown):
        return source.policy
    return {name: _rewritten(value, _words(source, place, terms.accounts)) for name, value in source.policy.items()}


def _subscription(found: Subscription, source: TableSchema, place: TargetTable, terms: ParityTerms) -> Subscription:
    base, colon, alias = found.function.partition(":")
    accounts = {source.account: place.account}
    settings = {
        name: _rewritten(value, _arns_of(source, place, accounts)) if name == "DestinationConfig" else value
        for name, value in found.settings.items()
    }
    return replace(found, function=terms.functions.get(base, base) + colon + alias, settings=settings, uuid="")


def _words(source: TableSchema, place: TargetTable, accounts: Mapping[str, str]) -> Callable[[str], str]:
    """Rewrites the table's own ARN, and each account id that `accounts` names."""

    def rewrite(text: str) -> str:
        if text == source.arn or text.startswith(f"{source.arn}/"):
            return place.arn + text[len(source.arn) :]
        for old, new in accounts.items():
            text = re.sub(_whole(old), new, text)
        return text

    return rewrite


def _arns_of(source: TableSchema, place: TargetTable, accounts: Mapping[str, str]) -> Callable[[str], str]:
    """Rewrites the account and region of an ARN: the same name, over there."""

    def rewrite(text: str) -> str:
        parts = text.split(":", 5)
        if len(parts) < 6 or parts[0] != "arn":
            return text
        region = place.region if parts[3] == source.region else parts[3]
        return ":".join((*parts[:3], region, accounts.get(parts[4], parts[4]), parts[5]))

    return rewrite


def _rewritten(value: Any, rewrite: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return rewrite(value)
    if isinstance(value, Mapping):
        return {key: _rewritten(below, rewrite) for key, below in value.items()}
    return [_rewritten(below, rewrite) for below in value] if isinstance(value, list | tuple) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from _texts(below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _texts(below)


def _whole(account: str) -> str:
    return rf"(?<!\d){re.escape(account)}(?!\d)"


def _one_place(source: TableSchema, place: TargetTable) -> bool:
    return (source.account, source.region) == (place.account, place.region)
