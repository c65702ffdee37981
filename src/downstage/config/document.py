"""YAML text to plain values, and where each of them stands.

ruamel.yaml only composes nodes here; the values are made in this module, so no tag can construct an object,
keys are always text (`NULL:` and `N:` are DynamoDB type names, not null and false), a duplicate key is an
error with its line, and every value has a line and column. Merge keys (`<<`) are refused: what an
environment is allowed to do should be read in one place. No message holds a value of the file: it may be a
secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from downstage.errors import ConfigError

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"

_PLAIN_REASONS: tuple[tuple[str, str], ...] = (
    (r"found character '(\\t|\t)'", "a tab is used for indentation; use spaces"),
    (r"found character", "a value starts with a character that YAML reserves; put the value in quotes"),
    (
        r"mapping values are not allowed",
        "a ':' stands where none can be; check the indentation, or use quotes",
    ),
    (r"unexpected end of stream", "a quoted text has no closing quote"),
    (r"could not find expected ':'", "a key has no ':' after it"),
    (r"expected ',' or '[\]}]'", "a '[' or '{' is not closed, or a ',' is missing"),
    (r"expected <block end>", "the indentation does not fit the lines above"),
    (
        r"undefined alias",
        "an alias ('*name') is used that is not defined; put a value that starts with '*' in quotes",
    ),
    (r"unknown escape character", "a double-quoted text holds an unknown '\\' escape; use single quotes"),
    (r"single document", "the file holds more than one document ('---')"),
)


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is, for messages (`absent` and `empty` say what to do), and how large it may sanely be.

    `null_is_a_word` reads an unquoted `null` as that text; a value that is not written is still None.
    """

    what: str
    absent: str
    empty: str
    largest: int = 1_000_000
    most_values: int = 50_000
    null_is_a_word: bool = False


CONFIGURATION = FileKind(
    what="configuration",
    absent="write one with 'downstage init', or name it with --config",
    empty="'downstage init' writes a configuration to start from",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """The file's values (dict, list, str, int, float, bool, None) and the place of each, by its path.

    The place of a mapping's entry is that of its key, the place of a list's element that of the element.
    """

    values: dict[str, Any]
    places: dict[KeyPath, Place]


def read_text(path: Path, kind: FileKind = CONFIGURATION) -> str:
    """The file's text. Raises `ConfigError` if there is no file, or it is no UTF-8 text of a sane size."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"no {kind.what} at {path}: {kind.absent}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory; name the file itself") from None
    except PermissionError:
        raise ConfigError(f"{path}: may not be read; check the file's permissions") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    if len(raw) > kind.largest:
        raise ConfigError(f"{path}: is larger than {kind.largest} bytes; this is not a {kind.what} file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text; save the file as UTF-8") from None


def parse(text: str, name: str, transform: Callable[[str], str] = str, kind: FileKind = CONFIGURATION) -> Document:
    """Parse YAML; `name` stands in messages, `transform` is applied to every text value (never to keys).

    Raises `ConfigError` with name, line and column; a `ValueError` of `transform` becomes one.
    """
    try:
        node = YAML(typ="safe", pure=True).compose(text)
        if node is None:
            raise ConfigError(f"{name}: is empty; {kind.empty}")
        walk = _Walk(name, transform, kind)
        values = walk.value(node, ())
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply") from None
    except ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        raise ConfigError(f"{name}:{line}: holds a control character; remove it") from None
    except MarkedYAMLError as error:
        raise ConfigError(f"{name}{_where(error)}: not valid YAML: {_reason(error)}") from None
    except YAMLError:
        raise ConfigError(f"{name}: not valid YAML") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{name}:1:1: must be a mapping of keys to values, starting with 'version: 1'")
    return Document(values, walk.places)


class _Walk:
    """Turns nodes into values and writes down their places."""

    def __init__(self, name: str, transform: Callable[[str], str], kind: FileKind) -> None:
        self.places: dict[KeyPath, Place] = {}
        self._name = name
        self._transform = transform
        self._kind = kind
        self._count = 0

    def value(self, node: Node, path: KeyPath) -> Any:
        self._count += 1
        most = self._kind.most_values
        if self._count > most:
            raise ConfigError(f"{self._name}: holds more than {most} values (aliases count each time)")
        self.places.setdefault(path, _place(node))
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        raise self._error(node, "tags ('!') are not supported")

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self._error(key_node, "a key must be plain text")
            if key_node.tag == _TAG + "merge":
                raise self._error(key_node, "merge keys ('<<') are not supported; write the keys out")
            key = str(key_node.value)
            here = (*path, key)
            if key in values:
                first = self.places[here].line
                raise self._error(key_node, f"key {show_key(key)} stands here a second time (first: line {first})")
            self.places[here] = _place(key_node)
            values[key] = self.value(value_node, here)
        return values

    def _scalar(self, node: ScalarNode) -> Any:
        text = str(node.value)
        match str(node.tag).removeprefix(_TAG):
            case "str":
                try:
                    return self._transform(text)
                except ValueError as error:
                    raise self._error(node, str(error)) from None
            case "null":
                return text if self._kind.null_is_a_word and text.lower() == "null" else None
            case "bool":
                return text.lower() == "true"
            case "timestamp":
                return text
            case "int" | "float" as kind:
                return self._number(node, text, kind)
            case _:
                raise self._error(node, "tags ('!') are not supported")

    def _number(self, node: ScalarNode, text: str, kind: str) -> int | float:
        bare = text.replace("_", "").lower()
        try:
            if kind == "float":
                return float(bare.replace(".inf", "inf").replace(".nan", "nan"))
            return int(bare, 0) if re.match(r"[-+]?0[xob]", bare) else int(bare)
        except ValueError:
            raise self._error(node, "is not a number that can be read; put the value in quotes") from None

    def _error(self, node: Node, text: str) -> ConfigError:
        place = _place(node)
        return ConfigError(f"{self._name}:{place.line}:{place.column}: {text}")


def show_key(key: str) -> str:
    """A key in quotes for a message; a long or odd one may be a misplaced secret and is not shown."""
    return f"'{key}'" if re.fullmatch(r"[A-Za-z0-9_.:/-]{1,30}", key) else "(not shown)"


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _where(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"


def _reason(error: MarkedYAMLError) -> str:
    problem = f"{error.problem} {error.context}"
    for pattern, words in _PLAIN_REASONS:
        if re.search(pattern, problem):
            return words
    return "the structure cannot be read; check quotes, brackets and indentation on this line"
