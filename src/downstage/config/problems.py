"""Validation errors in plain words, one line each, at the place in the file that is to be changed.

`downstage.yaml:12:5: unknown key 'bukets' in environments.test.refresh; did you mean 'buckets'?` Values are
never shown. Known keys are looked up in the JSON Schema, so there is one description of what may stand
where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from downstage.config.checks import Problem, nearest
from downstage.config.document import KeyPath, Place, show_key
from downstage.config.layers import show_path
from downstage.errors import ConfigError, DownstageError

MOST_LINES = 20

_WORDS: Mapping[str, str] = {
    "string_type": "must be text; put the value in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
}

_LIMITS: Mapping[str, str] = {
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must not be empty",
    "too_long": "must hold at most {max_length}",
}


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where values come from: the file's name and places, the origins of what was laid over it, the JSON
    Schema. `whole` is what a message calls the file's content, `show` writes a path."""

    name: str
    places: Mapping[KeyPath, Place]
    origins: Mapping[KeyPath, str]
    schema: Mapping[str, Any]
    whole: str = "the configuration"
    show: Callable[[KeyPath], str] = show_path

    def __call__(self, path: KeyPath) -> str:
        """The prefix of a message: the layer, or file, line and column, of the value or of what holds it."""
        found = self._nearest(path)
        return found if isinstance(found, str) else f"{self.name}:{found.line}:{found.column}"

    def order(self, path: KeyPath) -> tuple[int, int]:
        """Sorts problems in the order of the file, those of other layers first."""
        found = self._nearest(path)
        return (0, 0) if isinstance(found, str) else (found.line, found.column)

    def _nearest(self, path: KeyPath) -> str | Place:
        for length in range(len(path), -1, -1):
            found = self.origins.get(path[:length]) or self.places.get(path[:length])
            if found is not None:
                return found
        return Place(1, 1)


def from_validation(error: ValidationError, whereabouts: Whereabouts) -> list[Problem]:
    """Each of pydantic's errors as a path and a text that reads after the path."""
    return [_problem(dict(detail), whereabouts) for detail in error.errors(include_url=False)]


def as_error(
    problems: Iterable[Problem], whereabouts: Whereabouts, kind: type[DownstageError] = ConfigError
) -> DownstageError:
    """One error of that kind: a line for each problem, in the order of the file, 20 at most."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: whereabouts.order(problem[0]))
    lines = [f"{whereabouts(path)}: {_sentence(path, text, whereabouts)}" for path, text in ordered]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f"and {len(lines) - MOST_LINES + 1} more problems"]
    return kind("\n".join(lines))


def schema_at(schema: Mapping[str, Any], path: KeyPath) -> Mapping[str, Any] | None:
    """The part of the JSON Schema that describes `path`, or None if nothing of that name may stand there."""
    here: Mapping[str, Any] = schema
    for part in path:
        here = _resolved(here, schema)
        below = here.get("items") if isinstance(part, int) else here.get("properties", {}).get(part)
        if below is None and not isinstance(part, int):
            below = here.get("additionalProperties")
        if not isinstance(below, Mapping):
            return None
        here = below
    return _resolved(here, schema)


_UNKNOWN = "unknown key "


def _problem(detail: Mapping[str, Any], whereabouts: Whereabouts) -> Problem:
    path: KeyPath = tuple(part for part in detail["loc"] if part != "[key]")
    kind: str = detail["type"]
    if kind == "extra_forbidden":
        return path, _unknown_key(path, whereabouts)
    if kind == "missing":
        return path[:-1], f"needs the key '{path[-1]}'"
    if kind == "value_error":
        return path, str(detail["ctx"]["error"])
    if detail.get("input") is None and kind in _WORDS:
        return path, "is empty; write a value, or remove the key"
    if kind in _LIMITS:
        return path, _LIMITS[kind].format_map({name: _plain(limit) for name, limit in detail["ctx"].items()})
    return path, _WORDS.get(kind, "is not a value that can stand here")


def _plain(limit: object) -> object:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _unknown_key(path: KeyPath, whereabouts: Whereabouts) -> str:
    parent = schema_at(whereabouts.schema, path[:-1]) or {}
    known = list(parent.get("properties", {}))
    key = str(path[-1])
    close = nearest(key, known)
    where = f"in {whereabouts.show(path[:-1])}" if len(path) > 1 else "at the top level"
    hint = f"did you mean '{close}'?" if close else f"known keys: {', '.join(known)}" if known else "it has no keys"
    return f"{_UNKNOWN}{show_key(key)} {where}; {hint}"


def _sentence(path: KeyPath, text: str, whereabouts: Whereabouts) -> str:
    if text.startswith(_UNKNOWN):
        return text
    return f"{whereabouts.show(path) or whereabouts.whole} {text}"


def _resolved(here: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follows `$ref`, and of a choice takes the branch that is not null."""
    while True:
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rpartition("/")[2]]
        elif "anyOf" in here:
            here = next(branch for branch in here["anyOf"] if branch.get("type") != "null")
        else:
            return here
