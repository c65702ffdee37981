"""Which pseudonyms stay as they are wherever they stand apart, and add nothing to what is found round them: a text in
which only such were put needs no second look."""

from __future__ import annotations

import re
from collections.abc import Callable

from downstage.masking.clean_runs import CleanRuns

_REMEMBERED = 16384
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
"""An address that stands between these characters is found as it is, whatever stands there else: none of them is part
of a local part that has other characters, or of a host. They are in no run of base64, and in no unit of a codec that
the address could end or begin, and it holds no sign of one."""

_WITH_TOKEN = re.compile(r"[a-z0-9.+-]*[A-Za-z]{32}[a-z0-9.+-]*@[a-z0-9.-]+")
"""Capitals only in a token. That its letters, drawn by a MAC, are base64 of an address has a probability below 1e-9,
and it would be nobody's: no look is worth it."""

_LIKE_A_HOST = re.compile(r"\.[A-Za-z]{2,24}@")
"""A local part that ends so may be taken for what an address before it was made of, see address."""


class Settled:
    """`replace` gives the pseudonym of an address. The memory is bounded, and emptied when full."""

    def __init__(self, replace: Callable[[str], str], clean_runs: CleanRuns) -> None:
        self._replace = replace
        self._clean_runs = clean_runs
        self._known: set[str] = set()

    def __call__(self, pseudonym: str) -> bool:
        """Whether it stays as it is, and adds nothing to a text in which it stands apart."""
        if pseudonym in self._known:
            return True
        if not (
            _PLAIN_ADDRESS.fullmatch(pseudonym)
            and not _LIKE_A_HOST.search(pseudonym)
            and self._replace(pseudonym) == pseudonym
            and (pseudonym.islower() or _WITH_TOKEN.fullmatch(pseudonym) or self._clean_runs.cover(pseudonym))
        ):
            return False
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known.add(pseudonym)
        return True
