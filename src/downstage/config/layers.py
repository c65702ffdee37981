"""Environment variables and the command line, laid over the file's values; and `${VAR}` inside them.

Order: file < environment variables < command line. `DOWNSTAGE__ENGINE__WORKERS=4` sets `engine.workers`:
double underscores part the levels, case and `-`/`_` do not matter, a number steps into a list that is
there. Environment variables set single values (text, numbers, true, false); lists and mappings belong in
the file. Every value that was set here keeps the name of the variable, so that an error, and
`LoadedConfig.origin`, can name it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from downstage.config.document import Document, KeyPath, show_key
from downstage.errors import ConfigError

PREFIX = "DOWNSTAGE__"

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")


def interpolation(environ: Mapping[str, str]) -> Callable[[str], str]:
    """A function that puts the variables' values in for `${NAME}`.

    `$${` becomes a plain `${`, `${flags.…}` is left alone. It raises `ValueError` for an unset variable,
    naming it.
    """

    def replace(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        name, closed = found[1], found[2]
        if closed and name.startswith("flags."):
            return found[0]
        if not closed or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is None:
            raise ValueError("'${' must be followed by a variable's name and '}'; for a plain '${' write '$${'")
        if name not in environ:
            raise ValueError(f"the environment variable {name} is not set; set it, or write '$${{' for a plain '${{'")
        return environ[name]

    return lambda text: _REFERENCE.sub(replace, text)


def _bare(key: str) -> str:
    return show_key(key).strip("'")


class Layers:
    """The values, and by path where each comes from: its place in the file, or the origin that replaced it."""

    def __init__(self, document: Document) -> None:
        self.values = document.values
        self.places = dict(document.places)
        self.origins: dict[KeyPath, str] = {}

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Lay every `DOWNSTAGE__…` variable over the values."""
        for name in sorted(environ):
            if name.startswith(PREFIX):
                origin = f"environment variable {name}"
                self._set(name.removeprefix(PREFIX).split("__"), environ[name], origin, exact=False)

    def add_overrides(self, overrides: Mapping[str, Any]) -> None:
        """Lay the command line's values over the rest; keys are dotted paths."""
        for path, value in overrides.items():
            self._set(path.split("."), value, "command line", exact=True)

    def _set(self, segments: list[str], value: Any, origin: str, *, exact: bool) -> None:
        if not all(segments):
            raise ConfigError(f"{origin}: is not a path to a setting, such as engine.workers")
        container: Any = self.values
        path: KeyPath = ()
        for position, segment in enumerate(segments):
            key = _key(container, segment, origin, exact=exact)
            path = (*path, key)
            if position == len(segments) - 1:
                container[key] = value
                self._forget(path)
                self._record(path, value, origin)
                return
            held = container[key] if isinstance(container, list) else container.get(key)
            if held is None:
                held = container[key] = {}
                self.origins[path] = origin
            elif not isinstance(held, dict | list):
                raise ConfigError(f"{origin}: {show_path(path)} is a single value and has nothing below it")
            container = held

    def _forget(self, path: KeyPath) -> None:
        """What stood here, and below it, is replaced: it is no longer where a value comes from."""
        self.places = {known: place for known, place in self.places.items() if known[: len(path)] != path}
        self.origins = {known: origin for known, origin in self.origins.items() if known[: len(path)] != path}

    def _record(self, path: KeyPath, value: Any, origin: str) -> None:
        self.origins[path] = origin
        if isinstance(value, Mapping):
            for key, child in value.items():
                self._record((*path, str(key)), child, origin)
        elif isinstance(value, list | tuple):
            for index, child in enumerate(value):
                self._record((*path, index), child, origin)


def show_path(path: KeyPath, show_name: Callable[[str], str] = _bare) -> str:
    """A path as it is written in messages: `environments.test.refresh.tables[0].to`."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += "." * bool(shown) + show_name(part)
    return shown


def _key(container: dict[str, Any] | list[Any], segment: str, origin: str, *, exact: bool) -> Any:
    """The existing key that a segment means; else the segment itself, in lower case unless `exact`."""
    if isinstance(container, list):
        if segment.isdigit() and int(segment) < len(container):
            return int(segment)
        raise ConfigError(f"{origin}: {show_key(segment)} is not an element of the list; it has {len(container)}")
    if exact or segment in container:
        return segment
    alike = [known for known in container if _plain(known) == _plain(segment)]
    return alike[0] if alike else segment.lower()


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
