"""The lock file: written in one order, read strictly, and found where the configuration, or nobody, names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstage.config.lock import lock_text, parse_lock, read_lock, write_lock
from downstage.config.typed_json import ATTRIBUTE_TYPES
from downstage.domain.paths import ANY_NAME, ELEMENT, Name, Step, Steps, parse
from downstage.domain.policy import LockedTable, SchemaLock
from downstage.errors import ConfigError

LOCK = SchemaLock(
    (
        LockedTable(
            "app",
            (
                (parse("byEmail.*.note"), ("S",)),
                (parse("contact.phones[*]"), ("N", "S")),
                (parse("gone"), ("NULL",)),
                (parse('"odd name: # x"'), ("M",)),
            ),
        ),
        LockedTable("empty", ()),
    )
)

TEXT = """\
version: 1
tables:
  app:
    "\\"odd name: # x\\"": M
    byEmail.*.note: S
    contact.phones[*]: N S
    gone: "NULL"
  empty: {}
"""


def without_comments(text: str) -> str:
    return re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)


def normal(lock: SchemaLock) -> dict[str, dict[Steps, tuple[str, ...]]]:
    return {table.table: {steps: tuple(sorted(types)) for steps, types in table.paths} for table in lock.tables}


def test_how_it_is_written() -> None:
    text = lock_text(LOCK)
    assert without_comments(text) == TEXT
    assert "holds names and no values" in text.splitlines()[0]
    assert normal(parse_lock(text, "masking.lock")) == normal(LOCK)


def test_what_is_read_is_in_the_order_of_the_paths() -> None:
    table = parse_lock("version: 1\ntables: {app: {b: S, a: S N, c: NULL}}\n", "masking.lock").tables[0]
    assert table == LockedTable("app", (((Name("a"),), ("N", "S")), ((Name("b"),), ("S",)), ((Name("c"),), ("NULL",))))


def test_the_order_of_what_was_seen_does_not_matter() -> None:
    turned = SchemaLock(
        tuple(
            LockedTable(table.table, tuple((steps, types[::-1]) for steps, types in reversed(table.paths)))
            for table in reversed(LOCK.tables)
        )
    )
    assert lock_text(turned) == lock_text(LOCK)


def test_an_empty_lock() -> None:
    assert parse_lock(lock_text(SchemaLock()), "masking.lock") == SchemaLock()


steps = st.lists(st.one_of(st.text(min_size=1, max_size=12).map(Name), st.just(ANY_NAME)), min_size=1, max_size=4)


@st.composite
def places(draw: st.DrawFn) -> Steps:
    names: list[Step] = []
    for step in draw(steps):
        names += [step, *[ELEMENT] * draw(st.integers(0, 2))]
    return tuple(names)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_.-]{3,20}", fullmatch=True),
        st.dictionaries(places(), st.sets(st.sampled_from(ATTRIBUTE_TYPES), min_size=1), max_size=5),
        max_size=3,
    )
)
def test_whatever_was_seen_is_read_again(seen: dict[str, dict[Steps, set[str]]]) -> None:
    lock = SchemaLock(
        tuple(
            LockedTable(table, tuple((path, tuple(sorted(types))) for path, types in rows.items()))
            for table, rows in seen.items()
        )
    )
    text = lock_text(lock)
    assert normal(parse_lock(text, "masking.lock")) == normal(lock)
    assert len(text.splitlines()) == 4 + max(0, sum(1 + len(rows) for rows in seen.values()))


def test_a_very_long_path_survives() -> None:
    lock = SchemaLock((LockedTable("app", (((Name("n" * 5000),), ("S",)),)),))
    assert parse_lock(lock_text(lock), "masking.lock") == lock


def test_many_paths_survive() -> None:
    rows = tuple(((Name(f"field{number:04}"),), ("S",)) for number in range(2000))
    lock = SchemaLock((LockedTable("app", rows),))
    assert parse_lock(lock_text(lock), "masking.lock") == lock


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("version: 1", "version: 2"), "masking.lock:1:1: version must be 1"),
        (TEXT.replace("version: 1\n", ""), "masking.lock:1:1: the lock needs the key 'version'"),
        ("version: 1\n", "masking.lock:1:1: the lock needs the key 'tables'"),
        (TEXT + "more: 1\n", "masking.lock:9:1: unknown key 'more' at the top level; known keys: version, tables"),
        (TEXT.replace("*.note", "..note"), "masking.lock:5:5: tables.app.'byEmail...note' cannot be read from charac"),
        (TEXT.replace("byEmail.*.note", '"**.note"'), "masking.lock:5:5: tables.app.'**.note' holds '**' or '{key}'"),
        (TEXT.replace("*.note", "{key}"), "masking.lock:5:5: tables.app.'byEmail.{key}' holds '**' or '{key}'; a lock"),
        (TEXT.replace(": N S", ": N T"), "masking.lock:6:5: tables.app.'contact.phones[*]' must be types of DynamoDB"),
        (TEXT.replace(": N S", ": N N"), "masking.lock:6:5: tables.app.'contact.phones[*]' must be types of DynamoDB"),
        (TEXT.replace(": N S", ": [N, S]"), "masking.lock:6:5: tables.app.'contact.phones[*]' must be types of Dyna"),
        (TEXT.replace(": N S", ":"), "masking.lock:6:5: tables.app.'contact.phones[*]' must be types of DynamoDB"),
        (TEXT.replace("  app:", "  'a b':"), "masking.lock:3:3: tables.'a b' must be the name of a source table"),
        (TEXT.replace("gone:", "byEmail.*.note:"), "masking.lock:7:5: key (not shown) stands here a second time"),
        (TEXT.replace("gone:", "'\"byEmail\".*.note':"), "masking.lock:7:5: tables.app.'\"byEmail\".*.note' stands"),
        ("<<<<<<< ours\n" + TEXT, "masking.lock:2:8: not valid YAML"),
        ("", "masking.lock: is empty; 'downstage discover' writes it anew"),
    ],
)
def test_locks_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_lock(text, "masking.lock")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "table",
    [
        LockedTable("app", ((parse("a"), ("Q",)),)),
        LockedTable("app", ((parse("a"), ()),)),
        LockedTable("app", ((parse("**.a"), ("S",)),)),
        LockedTable("app", ((parse("a.{key}"), ("S",)),)),
        LockedTable("app", ((parse("a"), ("S",)), (parse("a"), ("N",)))),
    ],
)
def test_what_a_lock_cannot_hold_is_not_written(table: LockedTable) -> None:
    with pytest.raises(ValueError, match=r"^(a|holds|must be) "):
        lock_text(SchemaLock((table,)))


def test_writing_replaces_the_file_at_once_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "masking.lock"
    write_lock(path, SchemaLock())
    write_lock(path, LOCK)
    assert path.read_text(encoding="utf-8") == lock_text(LOCK)
    assert normal(read_lock(path)) == normal(LOCK)
    assert [found.name for found in tmp_path.iterdir()] == ["masking.lock"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "masking.lock"
    write_lock(path, LOCK)

    def full(_draft: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        write_lock(path, SchemaLock())
    assert normal(read_lock(path)) == normal(LOCK)
    assert [found.name for found in tmp_path.iterdir()] == ["masking.lock"]


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        write_lock(tmp_path / "nowhere" / "masking.lock", LOCK)
    with pytest.raises(ConfigError, match=r"no lock at .*: 'downstage discover' writes one"):
        read_lock(tmp_path / "masking.lock")
