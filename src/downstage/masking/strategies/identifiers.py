"""Identifiers that keep their form and lose their meaning: phone, ssn, postcode.

What they make was never given to anybody: `555-01XX` is set aside for fiction in every North American area code, 999
is no country's code, no number begins with 000, no social security number with 000 or 666. Another spelling of the
same number makes the same one. Letters round a number may be somebody's name, so they do not stay.
"""

from __future__ import annotations

import re
from functools import partial

from downstage.errors import MaskingError
from downstage.masking.draws import Draw, Draws
from downstage.masking.strategies.base import Place, Strategy
from downstage.masking.strategies.drawn import Stream, fold, is_letter, reshape
from downstage.masking.strategies.leaves import Leaves
from downstage.masking.strategies.options import Options

_LONGEST_PHONE = 64
_SHORTEST = 7
"""Digits below which a number is only a part of one: nothing of it stays."""

_EXTENSION = re.compile(r"(?i)[ ,;]{0,2}(?:extension|ext\.?|x|#)[ :]{0,2}\d{1,8}\s{0,2}\Z")
_FICTION = "55501"
_PLAIN_NUMBER = re.compile(r"[0-9]{1,38}")
_TOLL = {"800", "822", "833", "844", "855", "866", "877", "880", "881", "882", "883", "884", "885", "886", "887", "888"}


def _area_codes() -> tuple[str, ...]:
    """Those of the form of a place: no service codes (N11), none held back (N9X), none that is free or dear to call."""
    every = (f"{number}" for number in range(200, 1000))
    return tuple(code for code in every if code[1] != "9" and code[1:] != "11" and code not in _TOLL | {"900"})


_AREAS = _area_codes()
_AREA_SET = frozenset(_AREAS)


def phone_text(draw: Draw, text: str) -> str:
    """A phone number that reaches nobody, with the spaces, dashes and brackets of `text`."""
    extension = _EXTENSION.search(text) if len(text) <= _LONGEST_PHONE else None
    number = text[: extension.start()] if extension else text
    if len(text) > _LONGEST_PHONE or any(map(is_letter, number)):
        return _fiction(draw, fold(text))
    digits = _digits(number)
    if not digits:
        return text if not extension else _fiction(draw, fold(text))
    plus = "+" in number
    masked = _put(number, _phone_digits(draw, digits, plus=plus, nowhere="999" if plus else "000"))
    return masked + re.sub(r"\d", "0", extension[0] if extension else "")


def phone_number(draw: Draw, text: str) -> str:
    """The same for a number: what would begin with 0 begins with 999, because numbers have no leading zeros."""
    if not _PLAIN_NUMBER.fullmatch(text):
        raise MaskingError("the strategy 'phone' was given a number that has a sign, decimals or more than 38 digits")
    return _phone_digits(draw, text, plus=False, nowhere="999")


def _phone_digits(draw: Draw, digits: str, *, plus: bool, nowhere: str) -> str:
    if len(digits) < _SHORTEST:
        return "0" * len(digits)
    if digits.startswith(nowhere):
        return digits
    home = digits[-10:]
    national = len(digits) == 10 and not plus
    if (national or (len(digits) == 11 and digits[0] == "1")) and home[0] not in "01":
        already = home[:3] in _AREA_SET and home[3:8] == _FICTION
        return digits if already else digits[:-10] + _fiction(draw, home)
    return nowhere + Stream(draw, digits).digits(len(digits) - len(nowhere))


def _fiction(draw: Draw, canonical: str) -> str:
    stream = Stream(draw, canonical)
    return _AREAS[stream.below(len(_AREAS))] + _FICTION + stream.digits(2)


def ssn_text(draw: Draw, text: str) -> str:
    """000 and drawn digits in the form of `text`; letters become X."""
    digits = _digits(text)
    if len(digits) < _SHORTEST:
        digits = "0" * len(digits)
    elif not digits.startswith("000"):
        digits = "000" + Stream(draw, digits).digits(len(digits) - 3)
    return _put("".join("X" if is_letter(character) else character for character in text), digits)


def ssn_number(draw: Draw, text: str) -> str:
    """666 and drawn digits: nine, also where the number has lost its leading zeros."""
    if not _PLAIN_NUMBER.fullmatch(text):
        raise MaskingError("the strategy 'ssn' was given a number that has a sign, decimals or more than 38 digits")
    digits = text.zfill(9)
    return digits if digits.startswith("666") else "666" + Stream(draw, digits).digits(len(digits) - 3)


def make_phone(options: Options, draws: Draws) -> Strategy:
    """`phone`."""
    draw = draws(options.domain())
    return Leaves(
        name="phone",
        text=lambda text, _: phone_text(draw, text),
        number=lambda text, _: phone_number(draw, text),
        idempotent=True,
    )


def make_ssn(options: Options, draws: Draws) -> Strategy:
    """`ssn`."""
    draw = draws(options.domain())
    return Leaves(
        name="ssn",
        text=lambda text, _: ssn_text(draw, text),
        number=lambda text, _: ssn_number(draw, text),
        idempotent=True,
    )


def make_postcode(options: Options, draws: Draws) -> Strategy:
    """`postcode`: letters for letters, digits for digits."""
    draw = draws(options.domain())
    return Leaves(name="postcode", text=partial(_postcode, draw), number=partial(_postcode_number, draw))


def _postcode(draw: Draw, text: str, place: Place) -> str:
    return postcode_text(draw, text)


def postcode_text(draw: Draw, text: str) -> str:
    """`text` with other letters and digits; the same for every spelling of one postcode."""
    canonical = "".join(filter(str.isalnum, fold(text)))
    return reshape(text, Stream(draw, canonical))


def _postcode_number(draw: Draw, text: str, place: Place) -> str:
    if not _PLAIN_NUMBER.fullmatch(text):
        raise MaskingError("the strategy 'postcode' was given a number with a sign, decimals or more than 38 digits")
    stream = Stream(draw, text)
    return reshape(text, stream, first=str(stream.below(9) + 1))


def _digits(text: str) -> str:
    return "".join(str(int(character)) for character in text if character.isdecimal())


def _put(text: str, digits: str) -> str:
    """`text` with its digits replaced by `digits`, one for one."""
    left = iter(digits)
    return "".join(next(left) if character.isdecimal() else character for character in text)
