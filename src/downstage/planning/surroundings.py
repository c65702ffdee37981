"""What is round a refresh and would hurt it later: roles that may too much, a key that is not secret, clock, disk.

Each check raises the problem that it has found, or says nothing. What AWS does not let us see is no problem: it is told
in a note, so that nobody takes it for looked at. The masking key's value is never asked for here: the port says only
whether the target's role could read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from downstage.domain.plan import BucketPair, RefreshPlan
from downstage.errors import AwsError, ConfigError, CredentialsError, DownstageError, GuardRefused
from downstage.ports import (
    BucketKeys,
    DiskFacts,
    KeyProbe,
    ObjectStore,
    Permissions,
    StreamControl,
    TableFacts,
)

Note = Callable[[str], None]

TABLE_ACTIONS = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
    "dynamodb:UpdateTimeToLive",
    "dynamodb:DeleteTable",
)
OBJECT_ACTIONS = ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion")
BUCKET_ACTIONS = ("s3:PutLifecycleConfiguration", "s3:DeleteBucket")
"""What changes or destroys data that is to be copied."""

CLOCK_WRONG = 300.0
CLOCK_OFF = 60.0
"""Seconds: AWS refuses signatures that are further off than the first; the second is on the way there."""

JOURNAL_BYTES = 64 * 1024 * 1024
SPILLED_BYTES = 2 * 150
"""What the state directory must hold at least, and what each item takes there when a table has to be compared item by
item (about 100 bytes a side, half as much again while they are joined)."""

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The looks round a refresh. `disk` is that of the state directory; `seconds_ahead` tells how far this machine's
    clock is ahead of AWS's, and raises AwsError if that cannot be told."""

    source_role: Permissions
    key_probe: KeyProbe
    bucket_keys: BucketKeys
    disk: Callable[[], DiskFacts]
    seconds_ahead: Callable[[], float]


def check_clock(surroundings: Surroundings, note: Note) -> None:
    """Raises AwsError if the clock is so far off that AWS refuses what it signs."""
    try:
        ahead = surroundings.seconds_ahead()
    except DownstageError as error:
        note(f"clock: not compared with AWS's: {error}")
        return
    off = f"this machine's clock is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} AWS's"
    if abs(ahead) > CLOCK_WRONG:
        raise AwsError(f"{off}, and AWS refuses signatures that are more than 300 s off: set it (NTP)", "ClockSkew")
    if abs(ahead) >= CLOCK_OFF:
        note(f"clock: {off}; from 300 s on AWS refuses what it signs: set it (NTP)")


def check_source_role(plan: RefreshPlan, permissions: Permissions, note: Note) -> None:
    """Raises GuardRefused (a note, if the plan says so) if the source's role could change what is copied."""
    granted: dict[str, list[str]] = {}
    for what, resource, actions in _read_from(plan):
        try:
            for action in permissions.allowed(actions, resource):
                granted.setdefault(action, []).append(what)
        except (AwsError, CredentialsError) as error:
            note(f"source's role: whether it may change what is copied is not known: {error}")
            break
    if not granted:
        return
    places = list(dict.fromkeys(place for found in granted.values() for place in found))
    why = f"its policies allow {', '.join(granted)} on {_some(places)}"
    if plan.source_role == "warn":
        note(f"source's role of '{plan.source.name}': {why}; it should only read")
        return
    raise GuardRefused(
        f"refused: reading '{plan.source.name}' with its role: {why}, and the source must only be read; take these "
        "actions from the role, or set 'preflight.source_role: warn' (nothing was written)"
    )


def check_masking_key(plan: RefreshPlan, probe: KeyProbe, note: Note) -> None:
    """Raises GuardRefused if the target's role can read the masking key, or one of the old ones."""
    for setting, reference in (
        ("masking.key", plan.masking.key),
        *(("masking.old_keys", reference) for reference in plan.masking.old_keys),
    ):
        try:
            readable = probe.readable(reference)
        except (AwsError, CredentialsError) as error:
            note(f"{setting}: whether the target's role can read it is not known: {error}")
            continue
        if readable:
            raise GuardRefused(
                f"refused: masking with {setting} ({reference}): the role of '{plan.target.name}' can read it, and so "
                "undo the pseudonyms; deny it to that role, or remove the secret of that name from the target's "
                "account (nothing was written)"
            )


def check_bucket(pair: BucketPair, store: ObjectStore, keys: BucketKeys, note: Note) -> None:
    """Notes what versions will pile up, and raises ConfigError if the key that would encrypt objects is not usable."""
    name = pair.target.name
    facts = store.facts(pair.target)
    if facts.versioned is None:
        note(f"bucket {name}: whether it keeps versions is not known: AWS denies the look")
    elif facts.versioned:
        removed = {True: "a lifecycle rule removes old ones", False: "no lifecycle rule removes old ones", None: ""}
        rule = removed[facts.expires_versions] or "whether a lifecycle rule removes old ones is not known"
        note(f"bucket {name} keeps versions: what is replaced or deleted stays and is paid for; {rule}")
    key = pair.options.kms_key
    setting = f"bucket {name}: its objects are encrypted with {key}"
    if key is None:
        try:
            key = keys.default(pair.target)
        except AwsError as error:
            note(f"bucket {name}: its encryption is not known: {error}")
            return
        setting = f"bucket {name}: its default encryption is {key}"
    if key is None:
        return
    try:
        use = keys.use(key)
    except AwsError as error:
        note(f"{setting}; whether it can be used is not known: {error}")
        return
    if use == "unusable":
        raise ConfigError(f"{setting}, which is not there or disabled: objects cannot be put; name or enable a key")
    if use == "denied":
        note(
            f"{setting}; KMS denies it to our role when it asks itself (kms:GenerateDataKey): unless the policy allows "
            "it by way of S3 alone, objects cannot be put"
        )


def check_disk(surroundings: Surroundings, tables: Sequence[TableFacts], note: Note) -> None:
    """Raises ConfigError if the state directory cannot hold a run's journal; notes if it is too small for more."""
    try:
        disk = surroundings.disk()
    except OSError as error:
        raise ConfigError(f"state: the state directory cannot be looked at ({error.strerror}); name another") from None
    if not disk.writable:
        raise ConfigError(f"state: {disk.directory} cannot be written; allow it, or name another directory in 'state'")
    if disk.free < JOURNAL_BYTES:
        raise ConfigError(
            f"state: {disk.free / 1e6:,.0f} MB are free at {disk.directory}, and a run's journal may take "
            f"{JOURNAL_BYTES / 1e6:,.0f} MB; make room, or name another directory in 'state'"
        )
    largest = max((facts.items for facts in tables), default=0)
    wanted = largest * SPILLED_BYTES + JOURNAL_BYTES
    if disk.free < wanted:
        note(
            f"state: {disk.free / 1e9:,.1f} GB are free at {disk.directory}; if a proof fails, comparing the largest "
            f"table item by item takes about {wanted / 1e9:,.1f} GB there"
        )


def name_consumers(plan: RefreshPlan, control: StreamControl, note: Note) -> None:
    """Notes which event-source mappings were found, and which patterns found none."""
    found = control.consumers([pair.target.name for pair in plan.tables])
    for consumer in found:
        note(f"consumer found: {consumer.function} of table {consumer.table} in {consumer.region} ({consumer.state})")
    names = {consumer.function.partition(":")[0] for consumer in found}
    for pattern in plan.streams.functions if plan.streams is not None and found else ():
        if not any(fnmatchcase(name, pattern) for name in names):
            note(f"streams.functions: no consumer of the target tables is named '{pattern}'")


def _read_from(plan: RefreshPlan) -> Iterator[tuple[str, str, Sequence[str]]]:
    """(in words, ARN, actions) of everything that is to be copied, each once."""
    for table in dict.fromkeys(pair.source for pair in plan.tables):
        yield f"table {table.name}", table.arn, TABLE_ACTIONS
    for name in dict.fromkeys(pair.source.name for pair in plan.buckets):
        yield f"bucket {name}", f"arn:aws:s3:::{name}", BUCKET_ACTIONS
    for name, prefix in dict.fromkeys((pair.source.name, pair.options.source_prefix) for pair in plan.buckets):
        yield f"bucket {name}", f"arn:aws:s3:::{name}/{prefix}*", OBJECT_ACTIONS


def _some(places: Sequence[str]) -> str:
    shown = ", ".join(places[:_NAMED])
    return shown if len(places) <= _NAMED else f"{shown} and {len(places) - _NAMED:,} more"
