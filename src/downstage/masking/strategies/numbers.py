"""Numbers: read exactly, as DynamoDB keeps them (38 digits), and moved a little.

`number_noise` multiplies by 1 ± up to some percent. Sign, decimals and zero stay; there is no binary float anywhere.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal

from downstage.errors import MaskingError
from downstage.masking.draws import Draw, Draws
from downstage.masking.strategies.base import Strategy
from downstage.masking.strategies.drawn import Stream
from downstage.masking.strategies.leaves import Leaves
from downstage.masking.strategies.options import Options

DIGITS = 38
_LARGEST, _SMALLEST = 125, -130
_LONGEST = 180
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_GRAIN = 1_000_000
_CONTEXT = Context(prec=400, rounding=ROUND_HALF_UP, Emin=-999, Emax=999)


def exact(text: str, strategy: str) -> Decimal:
    """The number that `text` is. Raises MaskingError if it is none that DynamoDB can hold."""
    if len(text) <= _LONGEST and _NUMBER.fullmatch(text):
        number = _CONTEXT.create_decimal(text)
        if not number:
            return number
        if len(number.normalize(_CONTEXT).as_tuple().digits) <= DIGITS and _SMALLEST <= number.adjusted() <= _LARGEST:
            return number
    raise MaskingError(f"the strategy '{strategy}' was given or gave a value that is no number of {DIGITS} digits")


def canonical_number(text: str, strategy: str) -> str:
    """One spelling for one number: 1, 1.0 and 1e0 are the same to DynamoDB."""
    number = exact(text, strategy)
    return str(number.normalize(_CONTEXT)) if number else "0"


def make_number_noise(options: Options, draws: Draws) -> Strategy:
    """`number_noise`: up to `percent` more or less."""
    percent = Decimal(str(options.positive("percent", 100)))
    draw = draws(options.domain())
    return Leaves(
        name="number_noise",
        text=lambda text, _: _noisy(draw, percent, text),
        number=lambda text, _: _noisy(draw, percent, text),
    )


def _noisy(draw: Draw, percent: Decimal, text: str) -> str:
    number = exact(text, "number_noise")
    if not number:
        return text
    stream = Stream(draw, text)
    share = percent * (stream.below(_GRAIN - 1) + 1) / (100 * _GRAIN)
    sign = 1 if stream.below(2) else -1
    moved = _moved(number, 1 + sign * share)
    if _too_long(moved):
        moved = _moved(number, 1 - share)
    if not moved:
        moved = abs(moved)
    return str(moved) if "e" in text.lower() else format(moved, "f")


def _moved(number: Decimal, factor: Decimal) -> Decimal:
    """`number` times `factor`, with as many decimals as `number` has."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent > 0:
        exponent = max(0, number.adjusted() - DIGITS + 2)
    step = Decimal((0, (1,), int(exponent)))
    return _CONTEXT.multiply(number, factor).quantize(step, context=_CONTEXT)


def _too_long(number: Decimal) -> bool:
    return bool(number) and (len(number.normalize(_CONTEXT).as_tuple().digits) > DIGITS or number.adjusted() > _LARGEST)
