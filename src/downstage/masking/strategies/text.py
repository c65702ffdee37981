"""The strategy text: phones, social security numbers, cards and IP addresses in running text, replaced in place.

The rest of the text stays; addresses are the scan's. A number becomes what the strategy of its kind makes of it, so
a phone number in a note is the same as in its field. What a replacement brings about, a number that was none before,
is replaced as well, so that a second masking changes nothing.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial

from downstage.errors import MaskingError
from downstage.masking import shapes
from downstage.masking.draws import Draw, Draws
from downstage.masking.shapes import Finder, Span
from downstage.masking.strategies.base import Strategy
from downstage.masking.strategies.drawn import Stream
from downstage.masking.strategies.identifiers import phone_text, ssn_text
from downstage.masking.strategies.leaves import Leaves
from downstage.masking.strategies.options import Options

KINDS = ("phone", "ssn", "card", "ip")
_TEST_PREFIX = "400000"
_NETWORKS = ("192.0.2.", "198.51.100.", "203.0.113.")
_NETWORK_V6 = ipaddress.IPv6Network("2001:db8::/32")
_MOST_ROUNDS = 8

Replacement = tuple[Finder, Callable[[str], str]]

_SURE_FIRST: tuple[tuple[str, Finder, Callable[[Draw, str], str]], ...]


def make_text(options: Options, draws: Draws) -> Strategy:
    """`text`: `kinds` says what is looked for; everything if it is not given."""
    kinds = options.texts("kinds", 1, KINDS)
    for kind in kinds:
        if kind not in KINDS:
            raise options.wrong(f"knows no kind '{kind}'; it knows {', '.join(KINDS)}")
    replacements = [
        (finder, partial(change, draws(options.domain(f"{kind}/v1"))))
        for kind, finder, change in _SURE_FIRST
        if kind in kinds
    ]
    return Leaves(name="text", text=lambda text, _: _settled(replacements, text), idempotent=True)


def _settled(replacements: Sequence[Replacement], text: str) -> str:
    """`text` after as many rounds as it takes for nothing more to change."""
    for _ in range(_MOST_ROUNDS):
        changed = _replaced(replacements, text)
        if changed == text:
            return text
        text = changed
    raise MaskingError("the strategy 'text' was given a text whose numbers run into each other without end")


def _replaced(replacements: Sequence[Replacement], text: str) -> str:
    """One round. Where two kinds claim the same characters, the one with the surer form has them."""
    taken: list[Span] = []
    edits: dict[Span, str] = {}
    for finder, change in replacements:
        free = [span for span in finder(text) if _is_free(taken, span)]
        for start, end in free:
            edits[start, end] = change(text[start:end])
        taken = sorted([*taken, *free])
    pieces: list[str] = []
    done = 0
    for start, end in taken:
        pieces += [text[done:start], edits[start, end]]
        done = end
    return "".join([*pieces, text[done:]])


def _is_free(taken: list[Span], span: Span) -> bool:
    place = bisect_left(taken, span)
    before_ends = place == 0 or taken[place - 1][1] <= span[0]
    return before_ends and (place == len(taken) or span[1] <= taken[place][0])


def card_text(draw: Draw, text: str) -> str:
    """A card number for tests, with a right check digit, in the groups of `text`."""
    digits = "".join(filter(str.isdecimal, text))
    if not digits.startswith(_TEST_PREFIX):
        digits = _TEST_PREFIX + Stream(draw, digits).digits(len(digits) - len(_TEST_PREFIX) - 1)
        digits += shapes.luhn_digit(digits)
    left = iter(digits)
    return "".join(next(left) if character.isdecimal() else character for character in text)


def ip_text(draw: Draw, text: str) -> str:
    """An address of the networks that are set aside for documentation."""
    address = ipaddress.ip_address(text)
    stream = Stream(draw, address.compressed)
    if isinstance(address, ipaddress.IPv6Address):
        return (
            text if address in _NETWORK_V6 else f"2001:db8:{':'.join(f'{stream.below(1 << 16):x}' for _ in range(6))}"
        )
    return text if text.startswith(_NETWORKS) else f"{_NETWORKS[stream.below(3)]}{stream.below(256)}"


_SURE_FIRST = (
    ("card", shapes.cards, card_text),
    ("ip", shapes.ips, ip_text),
    ("ssn", shapes.ssns, ssn_text),
    ("phone", shapes.phones, phone_text),
)
