"""Strategies that put something in a value's place that tells nothing of it: hash, template, pick.

They go by the exact value: texts that differ in letter case only are different. Two values have the same 24 letters
with a chance of 2^-112, so from that length on they may stand on keys.
"""

from __future__ import annotations

import base64
import re
from functools import partial

from downstage.masking.draws import Draw, Draws
from downstage.masking.strategies.base import Attribute, Place, Strategy
from downstage.masking.strategies.drawn import Stream
from downstage.masking.strategies.leaves import Leaves, refusal
from downstage.masking.strategies.numbers import canonical_number, exact
from downstage.masking.strategies.options import Options

_TOKEN_LETTERS = 32
_INJECTIVE_LETTERS = 24
_HASH_DIGITS = 36
_LONGEST_PART = 64
_PART = re.compile(r"\{(token|digits)(?::([0-9]{1,3}))?\}")


def make_hash(options: Options, draws: Draws) -> Strategy:
    """`hash`: a text becomes `letters` letters, a number one of 36 digits, a binary 32 bytes."""
    letters = options.integer("letters", 16, 64, _TOKEN_LETTERS)
    draw = draws(options.domain())
    return Leaves(
        name="hash",
        text=lambda text, _: Stream(draw, text).letters(letters),
        number=lambda text, _: _hash_number(draw, text),
        binary=lambda text, _: base64.b64encode(draw.number(text).to_bytes(32, "big")).decode(),
        injective=letters >= _INJECTIVE_LETTERS,
    )


def _hash_number(draw: Draw, text: str) -> str:
    """36 digits, the first not 0. By the number, not by how it is written."""
    lowest: int = 10 ** (_HASH_DIGITS - 1)
    return str(lowest + Stream(draw, canonical_number(text, "hash")).below(9 * lowest))


def make_template(options: Options, draws: Draws) -> Strategy:
    """`template`: a text with {token}, {token:N} and {digits:N} in it."""
    text = options.text("text")
    literals: list[str] = []
    parts: list[tuple[str, int]] = []
    end = 0
    for match in _PART.finditer(text):
        length = int(match[2]) if match[2] else _TOKEN_LETTERS
        if not 1 <= length <= _LONGEST_PART or (match[1] == "digits" and not match[2]):
            raise options.wrong(f"needs a length from 1 to {_LONGEST_PART} in '{match[0]}', such as {{{match[1]}:8}}")
        literals.append(text[end : match.start()])
        parts.append((match[1], length))
        end = match.end()
    literals.append(text[end:])
    if not parts or any("{" in literal or "}" in literal for literal in literals):
        raise options.wrong("needs a 'text' with {token}, {token:N} or {digits:N} in it, and no other braces")
    injective = any(kind == "token" and length >= _INJECTIVE_LETTERS for kind, length in parts)
    render = partial(_rendered, draws(options.domain()), tuple(literals), tuple(parts))
    return Leaves(name="template", text=render, injective=injective)


def _rendered(
    draw: Draw, literals: tuple[str, ...], parts: tuple[tuple[str, int], ...], text: str, place: Place
) -> str:
    stream = Stream(draw, text)
    drawn = [stream.letters(length) if kind == "token" else stream.digits(length) for kind, length in parts]
    return "".join(literal + part for literal, part in zip(literals, [*drawn, ""], strict=True))


class Pick:
    """One of a few texts. A number is picked where the texts are numbers, a truth where they are true and false."""

    injective = False
    idempotent = False
    whole = False

    def __init__(self, draw: Draw, texts: tuple[str, ...]) -> None:
        self._draw = draw
        self._texts = texts

    def replace(self, value: Attribute, place: Place) -> Attribute:
        """See Strategy."""
        ((kind, content),) = value.items()
        if kind == "NULL" or content == "":
            return value
        if kind not in ("S", "N", "BOOL"):
            raise refusal("pick", kind)
        picked = self._draw.choose(content if isinstance(content, str) else str(content).lower(), self._texts)
        if kind == "N":
            exact(picked, "pick")
        if kind == "BOOL":
            if picked not in ("true", "false"):
                raise refusal("pick", kind)
            return {"BOOL": picked == "true"}
        return {kind: picked}


def make_pick(options: Options, draws: Draws) -> Strategy:
    """`pick`: one of the texts in `from`."""
    return Pick(draws(options.domain()), options.texts("from", 2))
