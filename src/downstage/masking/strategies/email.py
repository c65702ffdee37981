"""The strategy email: a value that ought to be an address has nothing of the person in it afterwards.

The address scan that follows would replace the addresses alone. Here what stands round them goes too: a display name,
or a value that is no address at all (`n/a`, `bob at example`), becomes a pseudonym of its own. Separators stay. So
distinct values stay distinct, and the address in `Ann Lee <ann@…>` is the same pseudonym as everywhere else.
"""

from __future__ import annotations

from downstage.masking.address import find
from downstage.masking.email import EmailPseudonyms
from downstage.masking.strategies.base import Strategy
from downstage.masking.strategies.leaves import Leaves

_SEPARATORS = " \t\r\n,;:<>()[]{}\"'"
_NO_ADDRESS = "@\0"
"""Set behind other text to have a pseudonym of it: no address ends so, and no keep list has it."""


def make_email(email: EmailPseudonyms) -> Strategy:
    """`email`."""
    return Leaves(name="email", text=lambda text, _: _replaced(email, text), injective=True, idempotent=True)


def _replaced(email: EmailPseudonyms, text: str) -> str:
    spans = list(find(text))
    if not spans:
        return email.replace(text + _NO_ADDRESS)
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        pieces += [_between(email, text[done:start], done > 0, True), email.replace(text[start:end])]
        done = end
    return "".join([*pieces, _between(email, text[done:], True, False)])


def _between(email: EmailPseudonyms, text: str, after_address: bool, before_address: bool) -> str:
    """What stands beside an address: separators as they are; other text as one pseudonym, kept apart by them."""
    glued = not text and after_address and before_address
    if not text.strip(_SEPARATORS) and not glued:
        return text
    left = text[: len(text) - len(text.lstrip(_SEPARATORS))] or " " * after_address
    right = text[len(text.rstrip(_SEPARATORS)) :] or " " * before_address
    return f"{left}{email.replace(text + _NO_ADDRESS)}{right}"
