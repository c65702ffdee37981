"""Whether an export may be read as a table: its plan, what DynamoDB says of it, and its own two manifests.

Facts in, nothing, a refusal or the checked result out. An export is taken only if it is a full one in DynamoDB's
JSON, of this very table, in the configured bucket of production's account, and its files are those that it lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from downstage.domain.export import ExportPlan, ExportSource, bare_arn, root_of
from downstage.domain.plan import TablePair
from downstage.errors import AwsError, ConfigError, ExportDamaged, NotFound
from downstage.ports import ExportFacts, ExportFiles, RestoreWindow, StoredFile
from downstage.wire.export import FILES, SUMMARY, DataFile, Summary, parse_files, parse_summary, says_otherwise

MANIFEST_BYTES = 64 * 1024 * 1024
"""No manifest is so large: a quarter of a million data files."""

_JSON, _FULL = "DYNAMODB_JSON", "FULL_EXPORT"


@dataclass(frozen=True, slots=True)
class Manifests:
    """An export's manifests, checked. `size` is that of its data files together, in bytes."""

    summary: Summary
    files: tuple[DataFile, ...]
    size: int


def check_window(pair: TablePair, window: RestoreWindow | None) -> None:
    """The table can be exported at the instant that is asked for. Raises ConfigError."""
    name = pair.source.name
    if window is None:
        raise recovery_off(name)
    at = pair.export.at if pair.export is not None else None
    if at is not None and not window.earliest <= at <= window.latest:
        raise ConfigError(
            f"table {name}: point-in-time recovery does not reach to 'export.time' (AWS keeps up to 35 days, and is "
            "some minutes behind): name another instant, or none"
        )


def recovery_off(table: str) -> ConfigError:
    """What to say of a table that cannot be exported."""
    return ConfigError(
        f"table {table}: point-in-time recovery is off, and an export needs it: switch it on, or remove 'export' for "
        "this table"
    )


def check_facts(pair: TablePair, export: ExportPlan, facts: ExportFacts) -> None:
    """The export is one that can be read as this table. Raises ConfigError, or AwsError if it has failed."""
    name = pair.source.name
    if facts.status == "FAILED":
        raise AwsError(
            f"the export of table {name} has failed: {facts.failure or 'AWS gives no reason'}; put that right, then "
            "start a new refresh"
        )
    if bare_arn(facts.table_arn) != bare_arn(pair.source.arn):
        raise ConfigError(
            f"table {name}: the export {facts.arn} is of another table ({facts.table_arn}); correct 'export.arn'"
        )
    _check_form(name, facts.format, facts.kind)
    owner = facts.bucket_owner or export.bucket.account
    if (facts.bucket, owner) != (export.bucket.name, export.bucket.account):
        raise ConfigError(
            f"table {name}: the export lies in bucket {facts.bucket} of account {owner}, but 'export.bucket' is "
            f"{export.bucket.name} of {export.bucket.account}; correct one of them"
        )


def read_summary(pair: TablePair, table_id: str, facts: ExportFacts, content: bytes, checksum: bytes | None) -> Summary:
    """The summary manifest of an export that `check_facts` has passed. Raises ConfigError, ExportDamaged."""
    name = pair.source.name
    root = root_of(facts.prefix, facts.arn)
    try:
        if checksum is not None and says_otherwise(checksum, content):
            raise ValueError("has another MD5 than its checksum file says")
        summary = parse_summary(content)
    except ValueError as error:
        raise damaged(root + SUMMARY, error) from None
    if (summary.arn, summary.table_arn) != (facts.arn, facts.table_arn):
        raise damaged(root + SUMMARY, ValueError("is of another export"))
    if summary.table_id and table_id and summary.table_id != table_id:
        raise ConfigError(
            f"table {name}: the export is of an earlier table of that name, which was deleted since; name another"
        )
    _check_form(name, summary.format, summary.kind)
    return summary


def read_files(
    root: str, summary: Summary, content: bytes, checksum: bytes | None, stored: Iterable[StoredFile]
) -> Manifests:
    """The list of data files, each of which is there as it was written. Raises ExportDamaged."""
    try:
        if checksum is not None and says_otherwise(checksum, content):
            raise ValueError("has another MD5 than its checksum file says")
        files = tuple(_placed(file, root) for file in parse_files(content))
        if sum(file.items for file in files) != summary.items:
            raise ValueError(f"lists files of another number of items than the {summary.items:,} of the summary")
    except ValueError as error:
        raise damaged(root + FILES, error) from None
    return Manifests(summary, files, _whole(files, {found.key: found for found in stored}))


def damaged(key: str, error: ValueError | str) -> ExportDamaged:
    """What to say of a file of an export; `error` completes a sentence that begins with its key."""
    return ExportDamaged(f"export file {key} {error}: the export cannot be read; start a new refresh with a new export")


def most_segments(files: Sequence[DataFile]) -> int:
    """Into how many segments an export can be cut: one for each file with items in it, and at least one."""
    return max(1, sum(1 for file in files if file.items))


def listed_files(store: ExportFiles, export: ExportSource) -> tuple[DataFile, ...]:
    """The data files, from the very list that the run has read and checked before. Raises ExportDamaged."""
    try:
        content = store.read(export.bucket, export.manifest, 0, MANIFEST_BYTES, None).content
    except NotFound:
        raise damaged(export.manifest, "is not there any more") from None
    if hashlib.sha256(content).hexdigest() != export.digest:
        raise damaged(export.manifest, "is not what it was when the run began")
    try:
        return _files_of(export.root, content)
    except ValueError as error:
        raise damaged(export.manifest, error) from None


def _files_of(root: str, content: bytes) -> tuple[DataFile, ...]:
    """The data files to read, those with most items first, so that the segments are about alike: from a list that
    `read_files` has passed before. The order is the same each time."""
    files = [_placed(file, root) for file in parse_files(content)]
    return tuple(sorted((file for file in files if file.items), key=lambda file: (-file.items, file.key)))


def _check_form(name: str, form: str, kind: str) -> None:
    if kind != _FULL:
        raise ConfigError(
            f"table {name}: the export is {kind}, which holds only what has changed: a FULL_EXPORT is needed"
        )
    if form != _JSON:
        raise ConfigError(f"table {name}: the export's format is {form}, which is not read: {_JSON} is needed")


def _placed(file: DataFile, root: str) -> DataFile:
    """The file with its key in the bucket, which AWS writes with or without the prefix: in the export's own folder."""
    data = f"{root}data/"
    below = file.key.rpartition("/data/")[2]
    if not below or "/" in below or not data.endswith(file.key.removesuffix(below)):
        raise ValueError("lists a file outside the export's own folder")
    return DataFile(data + below, file.md5, file.etag, file.items)


def _whole(files: Sequence[DataFile], stored: Mapping[str, StoredFile]) -> int:
    """The size of all files. Raises ExportDamaged if one is not there, or was written again."""
    size = 0
    for file in files:
        found = stored.get(file.key)
        if found is None:
            raise damaged(file.key, "is listed in the manifest, but is not there")
        if file.etag and found.etag != file.etag:
            raise damaged(file.key, "is not the object that the manifest lists: it was written again")
        size += found.size
    return size
