"""The checks that stand before every write and delete. Pure functions: facts in, nothing or a refusal out.

A guard raises `GuardRefused` (exit code 3) with one line: what is refused, why, what to do. It is called *before* its
step writes, so "nothing was written" is true. Guards trust nothing that was checked earlier, not even the
configuration's own checks: a plan may have been built elsewhere, or come back from a journal. What cannot be known
(None) counts as the worst.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase

from downstage.domain.environment import Caller, Environment
from downstage.domain.export import FOLDER, ExportPlan, bare_arn, export_id, root_of
from downstage.domain.plan import BucketPair, ItemFlag, RefreshPlan
from downstage.domain.refs import ExportBucket, TargetBucket, TargetDomain, TargetTable
from downstage.errors import GuardRefused, MaskingError, RunConflict
from downstage.ports import Replica

OWN_PREFIX = "downstage-"
"""Names of our own control tables begin with this."""

SHORTEST_PREFIX = 3
"""So many plain characters must stand before the first `*`, `?` or `[` of a pattern that deletes."""


def check_accounts(plan: RefreshPlan, environments: Iterable[Environment]) -> None:
    """The plan writes to the account of its target environment, to no protected one, and never onto its own source.

    `environments` are all of the configuration. Names are compared without the region: a replica of a global table
    has its name in another region of the same account.
    """
    target, source = plan.target, plan.source
    known = {environment.name: environment for environment in environments}
    if target.protected:
        raise _refused(
            f"writing to '{target.name}'",
            "the environment is protected",
            "name another environment, or remove 'protected: true' if it is not production",
        )
    if target.name not in known or known[target.name].account != target.account:
        raise _refused(
            f"writing to account {target.account}",
            f"the configuration does not name it as the account of '{target.name}'",
            "correct environments in the configuration, then plan again",
        )
    for environment in (*known.values(), source):
        if environment.protected and environment.account == target.account:
            raise _refused(
                f"writing to '{target.name}'",
                f"its account {target.account} is also that of '{environment.name}', which is protected",
                "give the target an account of its own",
            )
    _check_references(plan)
    _check_not_source(plan)


def _check_references(plan: RefreshPlan) -> None:
    """Everything that would be written lies in the target's account."""
    written: list[TargetTable | TargetBucket | TargetDomain] = [
        *(pair.target for pair in plan.tables),
        *(pair.target for pair in plan.buckets),
        *(flag.table for flag in plan.flags if isinstance(flag, ItemFlag)),
    ]
    if plan.search is not None:
        written.append(plan.search.target)
    for place in written:
        if place.account != plan.target.account:
            raise _refused(
                f"writing to '{place.name}'",
                f"the plan places it in account {place.account}, but '{plan.target.name}' is {plan.target.account}",
                "build the plan anew from the configuration",
            )


def _check_not_source(plan: RefreshPlan) -> None:
    """Nothing that would be written is something that is read."""
    read_tables = {(pair.source.account, pair.source.name) for pair in plan.tables}
    for table in (pair.target for pair in plan.tables):
        if (table.account, table.name) in read_tables:
            raise _refused(
                f"copying to table '{table.name}'",
                f"it is a source table in the same account {table.account}",
                "name another target table",
            )
    read_buckets = {pair.source.name for pair in plan.buckets}
    for bucket in (pair.target for pair in plan.buckets):
        if bucket.name in read_buckets:
            raise _refused(
                f"syncing to bucket '{bucket.name}'",
                "it is a source bucket, and bucket names are global",
                "name another target bucket",
            )
    search = plan.search
    if search is None or search.source is None:
        return
    if (search.source.account, search.source.name) == (search.target.account, search.target.name):
        raise _refused(
            f"filling search domain '{search.target.name}'",
            f"it is the source domain in the same account {search.target.account}",
            "name another target domain",
        )


def check_identity(environment: Environment, caller: Caller, environments: Iterable[Environment] = ()) -> None:
    """The credentials belong to the environment's account. `environments`, all of them, only better the message."""
    if caller.account == environment.account:
        return
    others = sorted({other.name for other in environments if other.account == caller.account})
    which = f", which is {' and '.join(repr(name) for name in others)}" if others else ""
    raise _refused(
        f"using these credentials for '{environment.name}'",
        f"credentials for '{environment.name}' belong to account {caller.account}{which}, "
        f"but its account is {environment.account}",
        "correct the environment's profile, role or credentials",
    )


def check_wipe(
    existing: Iterable[str],
    patterns: Iterable[str],
    *,
    flags_tables: Collection[str] = (),
    source_names: Collection[str] = (),
    what: str = "table",
    own_prefix: str = OWN_PREFIX,
) -> None:
    """No pattern reaches a flags table, a table of our own, or what is read.

    `existing` are the names that are there now; `source_names` those of the source *if it lies in the same account*,
    else empty; `what` is the word for messages, "table" or "search domain".
    """
    names = (*existing, *flags_tables)
    for pattern in patterns:
        literal = literal_prefix(pattern)
        if len(literal) < SHORTEST_PREFIX:
            raise _refused_wipe(
                what, pattern, f"it has fewer than {SHORTEST_PREFIX} plain characters before its first wildcard"
            )
        own = [name for name in names if name.startswith(own_prefix) and fnmatchcase(name, pattern)]
        could_be_own = literal != pattern and own_prefix.startswith(literal)
        if own or could_be_own or literal.startswith(own_prefix):
            raise _refused_wipe(what, pattern, f"it reaches Downstage's own names ('{own_prefix}…')")
        for kept, why in ((flags_tables, "which holds flags"), (source_names, "which is read from")):
            hit = [name for name in sorted(kept) if fnmatchcase(name, pattern)]
            if hit:
                raise _refused_wipe(what, pattern, f"it matches '{hit[0]}', {why}")


def check_replicas(name: str, place: Environment, replicas: Iterable[Replica], regions: Collection[str]) -> None:
    """A table is deleted with all its copies or not at all: each lies in one of the `regions` that are wiped, and in
    the account of `place`, where the table is."""
    for replica in replicas:
        what = f"wiping table '{name}' in {place.region}"
        if replica.account != place.account:
            raise _refused(
                what,
                f"its replica in {replica.region} lies in account {replica.account}, not in '{place.name}'",
                "take it out of the table's replicas yourself, or take the table out of 'wipe'",
            )
        if replica.region not in regions:
            raise _refused(
                what,
                f"it has a replica in {replica.region}, which 'wipe.regions' does not name",
                "name that region too, so that it is deleted there as well, or remove the replica yourself",
            )


def check_sync(pair: BucketPair, *, source_is_empty: bool | None, delete: bool, reason: str = "") -> None:
    """A sync that deletes has a source that was listed and holds something; None: it could not be listed (`reason`)."""
    if pair.source.name == pair.target.name:
        raise _refused(
            f"syncing bucket '{pair.target.name}'", "source and target are one bucket", "name another target bucket"
        )
    if not delete or source_is_empty is False:
        return
    raise _refused(
        f"deleting from bucket '{pair.target.name}'",
        f"the source bucket '{pair.source.name}' "
        f"{'is empty' if source_is_empty else f'could not be listed ({reason})' if reason else 'could not be listed'}, "
        "so every object of the target would go",
        "check the source's name and credentials, or set 'delete: false'",
    )


def check_prefix(pair: BucketPair, masker: Callable[[str], str]) -> None:
    """What every key of the target begins with holds no address, which `masker` would change."""
    prefix = pair.options.target_prefix
    try:
        personal = masker(prefix) != prefix
    except MaskingError:
        personal = True
    if personal:
        raise _refused(
            f"syncing bucket '{pair.source.name}'",
            f"every key of bucket '{pair.target.name}' would hold the e-mail address that stands in 'to_prefix' (in "
            "'from_prefix', if nothing else is said)",
            "set a 'to_prefix' without an address",
        )


def check_copy_target(table: TargetTable, *, empty: bool | None, resumes_own_run: bool) -> None:
    """The table is empty, or holds what this very run wrote. Raises `RunConflict`; None: it could not be looked at."""
    if resumes_own_run or empty is True:
        return
    why = "it could not be seen to be empty" if empty is None else "it holds items that this run did not write"
    raise RunConflict(
        _line(f"copying to table '{table.name}'", why, "wipe it first, or resume the run that is writing to it")
    )


def check_exports(plan: RefreshPlan) -> None:
    """Every export bucket lies in production's account, not in the target's, and is no bucket that is synced.

    A raw copy of production that could be read in the target, or were synced to it, would undo the masking.
    """
    synced = {name for pair in plan.buckets for name in (pair.source.name, pair.target.name)}
    first: dict[str, ExportPlan] = {}
    for pair in plan.tables:
        if pair.export is None:
            continue
        if first.setdefault(pair.source.name, pair.export) != pair.export:
            raise _refused(
                f"copying table '{pair.source.name}' twice",
                "its two entries name different exports",
                "give all entries of one source table the same 'export'",
            )
        bucket = pair.export.bucket
        if bucket.account == plan.target.account or bucket.account != plan.source.account:
            whose = "the target's" if bucket.account == plan.target.account else "not production's"
            raise _refused(
                f"exporting table '{pair.source.name}' to bucket '{bucket.name}'",
                f"its account {bucket.account} is {whose}, and a raw export stays in production's",
                "name a bucket of production's account, and give the target an account of its own",
            )
        if bucket.name in synced:
            raise _refused(
                f"exporting table '{pair.source.name}' to bucket '{bucket.name}'",
                "the same bucket is synced, so that raw exports would reach the target",
                "give the exports a bucket of their own",
            )


def check_export_delete(
    plan: RefreshPlan, export: ExportPlan, bucket: ExportBucket, arn: str, root: str, keys: Iterable[str]
) -> None:
    """The one exception to "production is only read": what is deleted lies in the folder of one export, of a table of
    this plan, in its configured bucket, and the plan does not keep it. `keys` are the objects that would be deleted."""
    what = f"deleting the export in bucket '{bucket.name}'"
    remedy = "delete it by hand if it must go"
    named = bare_arn(arn).partition("/export/")[0]
    known = any(pair.export == export and bare_arn(pair.source.arn) == named for pair in plan.tables)
    if not known or bucket != export.bucket or bucket.account != plan.source.account:
        raise _refused(what, "it is not the export bucket that the plan names for this table", remedy)
    if export.keep or (export.arn is not None and export.arn != arn):
        raise _refused(what, "the plan keeps this export", remedy)
    folder = re.fullmatch(rf"(?:[^/]+/)*{FOLDER}/([A-Za-z0-9][A-Za-z0-9-]*)/", root)
    if folder is None or folder[1] != export_id(arn):
        raise _refused(what, "the folder is not the one of this export", remedy)
    if export.arn is None and root != root_of(export.prefix, arn):
        raise _refused(what, "the folder does not lie below the prefix that the plan names", remedy)
    if not all(key.startswith(root) for key in keys):
        raise _refused(what, "an object lies outside the export's own folder", remedy)


def resolve_patterns(patterns: Iterable[str], existing: Iterable[str]) -> tuple[str, ...]:
    """The existing names that a pattern matches (shell style, upper and lower case apart): sorted, each once."""
    wanted = tuple(patterns)
    return tuple(sorted({name for name in existing if any(fnmatchcase(name, pattern) for pattern in wanted)}))


def literal_prefix(pattern: str) -> str:
    """What stands before the pattern's first wildcard; the whole of it if it has none."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0]


def _refused_wipe(what: str, pattern: str, why: str) -> GuardRefused:
    return _refused(f"wiping {what}s with '{pattern}'", why, "narrow the pattern under 'wipe' in the configuration")


def _refused(what: str, why: str, remedy: str) -> GuardRefused:
    return GuardRefused(_line(what, why, remedy))


def _line(what: str, why: str, remedy: str) -> str:
    return f"refused: {what}: {why}; {remedy} (nothing was written)"
