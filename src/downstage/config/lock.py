"""`masking.lock`: every path and type that was seen in the source tables, one a line, made to be reviewed as a diff.

The file holds no values: names that are data stand as `*` in it. It is written in one order whatever the order of
what was seen, so that a change of the file is a change of the data's shape. Reading is strict: a line that is not
understood could be a path that passes unseen.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationError

from downstage.config import document
from downstage.config.checks import Problem
from downstage.config.document import FileKind
from downstage.config.model import Model
from downstage.config.policy_words import show_policy_path
from downstage.config.problems import Whereabouts, as_error, from_validation
from downstage.config.typed_json import ATTRIBUTE_TYPES
from downstage.config.yaml_text import entry
from downstage.domain import paths
from downstage.domain.policy import LockedTable, SchemaLock
from downstage.errors import ConfigError

LOCK = FileKind(
    what="lock",
    absent="'downstage discover' writes one",
    empty="'downstage discover' writes it anew",
    largest=20_000_000,
    most_values=200_000,
    null_is_a_word=True,
)

_HEADER = """\
# Every path and type that 'downstage discover' saw in the source tables. It holds names and no values.
# What is not here is drift: 'unknown' in the masking policy says what becomes of it. Review a change like code.
version: 1
"""


def read_lock(path: Path, *, name: str | None = None) -> SchemaLock:
    """The lock in the file, in the order of its paths. `name` stands in messages instead of `path`.

    Raises `ConfigError` with the line of what is not understood.
    """
    name = str(path) if name is None else name
    return parse_lock(document.read_text(path, LOCK), name)


def parse_lock(text: str, name: str) -> SchemaLock:
    """`read_lock` for a text that is already there."""
    read = document.parse(text, name, kind=LOCK)
    whereabouts = Whereabouts(name, read.places, {}, _LockFile.model_json_schema(), "the lock", show_policy_path)
    try:
        file = _LockFile.model_validate(read.values)
    except ValidationError as error:
        raise as_error(from_validation(error, whereabouts), whereabouts) from None
    problems: list[Problem] = []
    tables = []
    for table, lines in file.tables.items():
        known: dict[paths.Steps, tuple[str, ...]] = {}
        for text_of_path, types in lines.items():
            if known.setdefault(paths.parse(text_of_path), types) is not types:
                problems.append((("tables", table, text_of_path), "stands here a second time, written otherwise"))
        tables.append(_sorted(LockedTable(table, tuple(known.items()))))
    if problems:
        raise as_error(problems, whereabouts)
    return SchemaLock(tuple(sorted(tables, key=lambda locked: locked.table)))


def lock_text(lock: SchemaLock) -> str:
    """The text of the file. Raises ValueError for a path or type that a lock cannot hold, or that is there twice."""
    lines = [_HEADER, "tables:\n" if lock.tables else "tables: {}\n"]
    for table in sorted(lock.tables, key=lambda locked: locked.table):
        rows = {paths.show(steps): types for steps, types in _sorted(table).paths}
        if len(rows) != len(table.paths) or len({other.table for other in lock.tables}) != len(lock.tables):
            raise ValueError("a table or path stands in the lock twice")
        lines.append(entry(2, table.table, "" if rows else "{}"))
        for path, types in rows.items():
            _path(path)
            shown = " ".join(_types(" ".join(types)))
            lines.append(entry(4, path, '"NULL"' if shown == "NULL" else shown))
    return "".join(lines)


def write_lock(path: Path, lock: SchemaLock) -> None:
    """Write the lock, all or nothing: a reader sees the old file or the new one. Raises `ConfigError` if it cannot be
    written."""
    text = lock_text(lock)
    path = path.resolve()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror or 'not a usable path'}") from None


def _sorted(table: LockedTable) -> LockedTable:
    rows = [(steps, tuple(sorted(set(types)))) for steps, types in table.paths]
    return LockedTable(table.table, tuple(sorted(rows, key=lambda row: paths.show(row[0]))))


def _path(value: str) -> str:
    steps = paths.parse(value)
    if paths.ANY_DEPTH in steps or paths.KEY in steps:
        raise ValueError("holds '**' or '{key}'; a lock names places one by one, with '*' for names that are data")
    return value


def _types(value: Any) -> tuple[str, ...]:
    types = tuple(value.split()) if isinstance(value, str) else ()
    if not types or not set(types) <= set(ATTRIBUTE_TYPES) or len(set(types)) != len(types):
        raise ValueError(f"must be types of DynamoDB, each once, such as 'N S': of {', '.join(ATTRIBUTE_TYPES)}")
    return types


def _table(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,255}", value) is None:
        raise ValueError("must be the name of a source table")
    return value


class _LockFile(Model):
    """The file as it is written: for each table its paths, and for each path the types that were seen."""

    version: Literal[1]
    tables: dict[
        Annotated[str, AfterValidator(_table)],
        dict[Annotated[str, AfterValidator(_path)], Annotated[tuple[str, ...], BeforeValidator(_types)]],
    ]
