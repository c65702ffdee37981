"""Paths into an item: how a policy, a lock file and a report name the place of a value.

    contact.phones[*].number      a map entry, every element of a list, an entry of each
    byEmail.*.note                every entry of a map, whatever its name
    byEmail.{key}                 the names of that map's entries themselves
    **.ssn                        `ssn` at any depth
    "a.b".c                       a name that holds a dot, a bracket, a brace, a quote or a `*` stands in quotes

A set is one place: what is said of it is said of each member. A path holds names and no values; where a name is
itself data (an address, an id), it is written `*`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

ANY_NAME = "*"
ANY_DEPTH = "**"
ELEMENT = "[*]"
KEY = "{key}"

_PLAIN = re.compile(r"[^.\[\]{}\"*\s]+")
_STEP = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)+)"|(?P<wild>\*\*|\*)|(?P<key>\{key\})|(?P<plain>[^.\[\]{}"*\s]+)')


@dataclass(frozen=True, slots=True)
class Name:
    """One map entry of that name."""

    name: str


Step = Name | str
"""A name, or one of ANY_NAME, ANY_DEPTH, ELEMENT, KEY."""

Steps = tuple[Step, ...]

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MANY_DIGITS = re.compile(r"(?:[^0-9]*[0-9]){5}")


def parse(text: str) -> Steps:
    """The steps of a path as it is written. Raises ValueError that says what is wrong, for use after the path."""
    steps: list[Step] = []
    at = 0
    while True:
        found = _STEP.match(text, at)
        if found is None:
            what = "ends with a '.'" if steps and at == len(text) else f"cannot be read from character {at + 1} on"
            raise ValueError(f"{what}; write names, '*', '**', '[*]' or '{{key}}', joined by '.'")
        steps.append(_step(found))
        at = found.end()
        while text.startswith(ELEMENT, at):
            steps.append(ELEMENT)
            at += len(ELEMENT)
        if at == len(text):
            break
        if text[at] != ".":
            raise ValueError(f"has no '.' at character {at + 1}; a name that is not plain stands in quotes")
        at += 1
    if KEY in steps[:-1]:
        raise ValueError("has something after '{key}', which names the entries themselves and ends a path")
    if steps[-1] == ANY_DEPTH:
        raise ValueError("ends with '**'; say which name at any depth, for example '**.ssn'")
    return tuple(steps)


def is_plain_name(name: str) -> bool:
    """Whether `name` is what programmers call a field; any other name of a map may be data, and is shown as `*`."""
    return _PLAIN_NAME.fullmatch(name) is not None and _MANY_DIGITS.match(name) is None


def show(steps: Sequence[Step]) -> str:
    """The path as it is written; `parse` gives the same steps again."""
    text = ""
    for step in steps:
        if step == ELEMENT:
            text += ELEMENT
        else:
            text += "." * bool(text) + (_quoted(step.name) if isinstance(step, Name) else step)
    return text


def _step(found: re.Match[str]) -> Step:
    if found["quoted"] is not None:
        return Name(re.sub(r"\\(.)", r"\1", found["quoted"]))
    if found["plain"] is not None:
        return Name(found["plain"])
    return ANY_DEPTH if found["wild"] == ANY_DEPTH else ANY_NAME if found["wild"] else KEY


def _quoted(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
