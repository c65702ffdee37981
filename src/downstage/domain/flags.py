"""What flags are called by whoever uses their values: `${flags.NAME}` in settings, DOWNSTAGE_FLAG_NAME in a process.

A flag's name is its `as`; else the last part of a parameter's name, or the first key attribute's value of an item.
An item that sets several attributes has `NAME.attribute` for each. The values are those read back from AWS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from downstage.domain.plan import Flag, ItemFlag
from downstage.errors import ConfigError

_REFERENCE = re.compile(r"\$\{flags\.([^}]+)\}")

PREFIX = "DOWNSTAGE_FLAG_"
"""What the names of the environment variables begin with."""

Read = Callable[[Flag], Mapping[str, Any] | str | None]
"""What a flag is now, read consistently: typed attributes, a parameter's text, or None."""


def names_of(flag: Flag) -> Iterator[tuple[str, str | None]]:
    """Each name that a flag gives, and the attribute that it stands for (None: the parameter)."""
    if not isinstance(flag, ItemFlag):
        yield flag.name_as or flag.name.rpartition("/")[2], None
        return
    name = flag.name_as or _text(next(iter(flag.key.values())))
    for attribute in flag.values:
        yield (name if len(flag.values) == 1 else f"{name}.{attribute}"), attribute


def configured_values(flags: Iterable[Flag]) -> dict[str, str]:
    """The values that the configuration gives, by name. Raises ConfigError if two of one name differ."""
    return read_values(flags, lambda flag: flag.values if isinstance(flag, ItemFlag) else flag.value)


def read_values(flags: Iterable[Flag], read: Read) -> dict[str, str]:
    """The value of each flag by name. Raises ConfigError if one is not set, or two of one name differ."""
    found: dict[str, str] = {}
    for flag in flags:
        now = read(flag)
        for name, attribute in names_of(flag):
            value = now if attribute is None or not isinstance(now, Mapping) else now.get(attribute)
            if value is None:
                raise ConfigError(f"the flag {flag.label} is not set: run the step 'flags' first")
            text = value if isinstance(value, str) else _text(value)
            if found.setdefault(name, text) != text:
                raise ConfigError(f"two flags with different values are named '{name}': give one of them 'as: NAME'")
    return found


def substituted(value: Any, flags: Mapping[str, str]) -> Any:
    """The value with `${flags.NAME}` replaced in every text of it. Raises ConfigError for a name that is no flag's."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda reference: _value(reference[1], flags), value)
    if isinstance(value, Mapping):
        return {name: substituted(member, flags) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [substituted(member, flags) for member in value]
    return value


def mentioned(value: Any) -> bool:
    """Whether any text of the value holds `${flags.NAME}`."""
    if isinstance(value, Mapping):
        return any(mentioned(member) for member in value.values())
    if isinstance(value, list | tuple):
        return any(mentioned(member) for member in value)
    return isinstance(value, str) and _REFERENCE.search(value) is not None


def as_environment(flags: Mapping[str, str]) -> dict[str, str]:
    """The flags as environment variables."""
    return {PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper()): value for name, value in flags.items()}


def _value(name: str, flags: Mapping[str, str]) -> str:
    if name not in flags:
        known = f"known: {', '.join(sorted(flags))}" if flags else "no flags are configured"
        raise ConfigError(f"${{flags.{name}}} names no flag; {known}")
    return flags[name]


def _text(value: Mapping[str, Any]) -> str:
    """A typed value as text: strings and numbers as they are, true and false, anything else as JSON."""
    ((kind, content),) = value.items()
    if kind in ("S", "N"):
        return str(content)
    if kind == "BOOL":
        return "true" if content else "false"
    return "" if kind == "NULL" else json.dumps(content)
