"""The checks that need several values of the configuration at once.

Each yields a problem at the path of the value that is to be changed. They run on a configuration whose
single values are already good. They are the first of two lines of defence: the guards in `planning` check
again, against the plan and against what AWS says, before anything is written.
"""

from __future__ import annotations

import difflib
import posixpath
import unicodedata
from collections.abc import Collection, Iterable, Iterator

from downstage.config.automation_checks import check_automation
from downstage.config.document import KeyPath
from downstage.config.notification_checks import check_notifications
from downstage.config.schema import Config, Environment, Keep, Masking, Refresh

_TOKEN_LETTERS = 32
_RESERVED = ("example.com", "example.net", "example.org", "example", "test", "invalid")
_SIMULATOR = "simulator.amazonses.com"
_SIMULATOR_LABELS = ("success+", "bounce+", "complaint+")

Problem = tuple[KeyPath, str]
"""The path of the value to change, and a text that reads after it."""


def cross_check(config: Config) -> Iterator[Problem]:
    """Every problem between values that is only a mistake."""
    for name, environment in config.environments.items():
        if environment.refresh is not None:
            yield from _source(config, environment.refresh, ("environments", name, "refresh", "from"))
            yield from _wiped_regions(environment, environment.refresh, ("environments", name, "refresh", "wipe"))
    yield from _shared_targets(config)
    yield from _masking(config)
    yield from check_automation(config)
    yield from check_notifications(config)


def dangers(config: Config) -> Iterator[Problem]:
    """Every problem between values that would have production written to: a guard's refusal, before its time."""
    for name, environment in config.environments.items():
        here: KeyPath = ("environments", name)
        if environment.role is not None and environment.role.split(":")[4] != environment.account:
            yield (*here, "role"), "is a role of another account than the environment's 'account'"
        if environment.refresh is not None:
            yield from _onto_itself(config, name, environment, environment.refresh, (*here, "refresh"))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, or None if none does."""
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def _wiped_regions(environment: Environment, refresh: Refresh, here: KeyPath) -> Iterator[Problem]:
    regions = () if refresh.wipe is None else refresh.wipe.regions
    if regions and environment.region not in regions:
        yield (*here, "regions"), f"must name the environment's own region {environment.region} as well"


def _source(config: Config, refresh: Refresh, here: KeyPath) -> Iterator[Problem]:
    if refresh.source not in config.environments:
        close = nearest(refresh.source, config.environments)
        hint = f"did you mean '{close}'?" if close else f"known environments: {', '.join(config.environments)}"
        yield here, f"names the environment '{refresh.source}', which is not there; {hint}"


def _onto_itself(config: Config, name: str, target: Environment, refresh: Refresh, here: KeyPath) -> Iterator[Problem]:
    if target.protected:
        yield here, "must not be there: the environment is protected; remove 'refresh' or 'protected: true'"
    if refresh.source == name:
        yield (*here, "from"), "names the environment itself; name the one that the data comes from"
        return
    source = config.environments.get(refresh.source)
    if source is None:
        return
    one_account = source.account == target.account
    for index, table in enumerate(refresh.tables):
        if one_account and table.source == table.target:
            yield (
                (*here, "tables", index, "to"),
                "is the source table itself: both environments are one account; name another target table",
            )
    for index, bucket in enumerate(refresh.buckets):
        if bucket.source == bucket.target:
            yield (
                (*here, "buckets", index, "to"),
                "is the source bucket itself: bucket names are global; name another target bucket",
            )
    search = refresh.search
    if search is not None and one_account and search.source == search.domain:
        yield (
            (*here, "search", "domain"),
            "is the source domain itself: both environments are one account; name another target domain",
        )


def _shared_targets(config: Config) -> Iterator[Problem]:
    """A table or bucket that two refreshes, or one refresh twice, would load."""
    tables: dict[tuple[str, str], str] = {}
    buckets: dict[str, str] = {}
    for name, environment in config.environments.items():
        if environment.refresh is None:
            continue
        here: KeyPath = ("environments", name, "refresh")
        for index, table in enumerate(environment.refresh.tables):
            first = tables.setdefault((environment.account, table.target), name)
            if first != name or _seen(environment.refresh.tables[:index], table.target):
                yield (
                    (*here, "tables", index, "to"),
                    f"is a target table of '{first}' already; each is loaded once",
                )
        for index, bucket in enumerate(environment.refresh.buckets):
            first = buckets.setdefault(bucket.target, name)
            if first != name or _seen(environment.refresh.buckets[:index], bucket.target):
                yield (
                    (*here, "buckets", index, "to"),
                    f"is a target bucket of '{first}' already; each is synced once",
                )


def _seen(pairs: Iterable[object], target: str) -> bool:
    return any(getattr(pair, "target", None) == target for pair in pairs)


def _masking(config: Config) -> Iterator[Problem]:
    masking = config.masking
    local, _, domain = masking.sink.partition("@")
    if not _receives_no_mail(domain.replace("{env}", "e"), masking):
        yield (
            ("masking", "sink"),
            "must be at a domain where no person reads mail: example.com/.net/.org or below, *.example, "
            f"*.test, *.invalid, {_SIMULATOR}, or one that 'masking.owned_domains' lists",
        )
    if domain == _SIMULATOR and not local.startswith(_SIMULATOR_LABELS):
        yield (
            ("masking", "sink"),
            f"must start with {', '.join(_SIMULATOR_LABELS[:-1])} or {_SIMULATOR_LABELS[-1]} at {_SIMULATOR}, which "
            "knows no other names; 'ses-simulator' is short for the first",
        )
    for name in config.environments:
        filled = domain.replace("{env}", name)
        longest = len(local.replace("{env}", name).replace("{token}", "")) + _TOKEN_LETTERS
        whole = longest + 1 + len(filled)
        if longest > 64 or whole > 254 or any(len(label) > 63 for label in filled.split(".")):
            yield (
                ("masking", "sink"),
                f"is too long for an address (64 characters before the '@', 254 in all) in '{name}'",
            )
    yield from _old_keys(masking)
    yield from keep_problems(masking.keep, ("masking", "keep"), sink_domains(config))
    for index, owned in enumerate(masking.owned_domains):
        if not _is_domain(owned) or "." not in owned:
            yield ("masking", "owned_domains", index), "must be a domain such as masked.acme.com"


def sink_domains(config: Config) -> frozenset[str]:
    """The domain that the pseudonyms of each environment have."""
    domain = config.masking.sink.partition("@")[2]
    return frozenset(domain.replace("{env}", name) for name in config.environments)


def keep_problems(keep: Keep, here: KeyPath, sinks: Collection[str]) -> Iterator[Problem]:
    """What is wrong with keep lists that stand at `here`. `sinks` are the domains of pseudonyms."""
    for index, kept in enumerate(keep.domains):
        at: KeyPath = (*here, "domains", index)
        if not _is_domain(kept):
            yield (
                at,
                "must be a domain such as acme.com, without '@' or '*' (a non-ASCII one in its xn-- form)",
            )
        elif canonical(kept) in sinks:
            yield at, "is the sink's own domain: what is kept there could not be told from a pseudonym"
    for index, address in enumerate(keep.addresses):
        before, at_sign, after = address.rpartition("@")
        if not (before and at_sign and _is_domain(after)) or any(c.isspace() for c in before):
            yield (*here, "addresses", index), "must be one e-mail address"


def _old_keys(masking: Masking) -> Iterator[Problem]:
    seen = {_one_spelling(masking.key): "key"}
    for index, reference in enumerate(masking.old_keys):
        first = seen.setdefault(_one_spelling(reference), f"old_keys[{index}]")
        if first != f"old_keys[{index}]":
            yield (
                ("masking", "old_keys", index),
                f"is the same reference as masking.{first}; an old key is one that is no longer used",
            )


def _one_spelling(reference: str) -> str:
    kind, _, rest = reference.partition(":")
    return f"file:{posixpath.normpath(rest)}" if kind == "file" else reference


def canonical(text: str) -> str:
    """NFC and lower case: how kept domains and addresses are compared."""
    return unicodedata.normalize("NFC", text).lower()


def _receives_no_mail(domain: str, masking: Masking) -> bool:
    if domain == _SIMULATOR:
        return True
    return any(
        domain == safe or domain.endswith("." + safe)
        for safe in (*_RESERVED, *(canonical(owned) for owned in masking.owned_domains if "." in owned))
    )


def _is_domain(text: str) -> bool:
    labels = text.split(".")
    return text.isascii() and all(
        label and len(label) <= 63 and label.replace("-", "a").isalnum() and label.strip("-") == label
        for label in labels
    )
