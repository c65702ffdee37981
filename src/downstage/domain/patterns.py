"""Whether one shell pattern takes everything that another takes: patterns of `*` and `?`, one pass, no backtracking.

The narrow pattern stands for all its texts at once. Of these the hardest to match is followed through the wide one: a
`?` of it is a character that no pattern names; a `*` of it is so many of these that nothing half matched lives on, or
none at all, where characters only have to be counted. So the work is the product of the two lengths at most.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_RUN = re.compile(r"[*?]*\*[*?]*")


def covers(wide: str, narrow: str) -> bool:
    """Whether every text that the shell pattern `narrow` matches is matched by `wide` too."""
    first, *rest = _single(wide).split("*")
    follower = _Follower(first, rest)
    return all(follower.takes(symbol) for symbol in _single(narrow)) and follower.accepts()


def _single(pattern: str) -> str:
    """The same pattern with at most one `*` in a row, and every `?` beside it before it."""
    return _RUN.sub(lambda run: "?" * run.group().count("?") + "*", pattern)


class _Follower:
    """Where the wide pattern stands. `first` is its text before the first `*`, `rest` what follows each `*`; each of
    `rest` begins with a letter, or is empty.

    `_to_go`: so many characters, whatever they are, lead to the next `*`; None if it depends on them. `_matched`: how
    much of the text after the last `*` is matched by what was taken last; several lengths may be.
    """

    def __init__(self, first: str, rest: list[str]) -> None:
        self._part = first
        self._rest = rest
        self._next = 0
        self._matched: Collection[int] = (0,)
        self._to_go: int | None = None
        self._look()

    def takes(self, symbol: str) -> bool:
        """Goes on by one symbol of the narrow pattern; False if its hardest text is lost."""
        if symbol != "*":
            if self._to_go is not None:
                self._to_go -= 1
            else:
                self._matched = [
                    length + 1
                    for length in self._lengths()
                    if length < len(self._part) and self._part[length] in ("?", symbol)
                ]
        elif self._to_go is None:
            if not self._next:
                return False
            self._matched = ()
        self._look()
        return self._next > 0 or self._to_go is not None or len(self._matched) > 0

    def accepts(self) -> bool:
        """Whether the whole of the wide pattern is matched where the narrow one ends."""
        if self._next < len(self._rest):
            return False
        return not self._part or len(self._part) in self._matched

    def _lengths(self) -> Collection[int]:
        """What is matched so far; after a `*` its text may begin at every character."""
        return {0, *self._matched} if self._next else self._matched

    def _look(self) -> None:
        """Goes to the next `*` if it is reached, or counts down to it if nothing but `?` is left before it."""
        while self._next < len(self._rest):
            if self._to_go is None:
                longest = max(self._lengths(), default=0)
                if not self._matched and not self._next:
                    return
                left = self._part[longest:]
                if left.strip("?"):
                    return
                self._to_go = len(left)
            if self._to_go:
                return
            self._part, self._matched, self._to_go = self._rest[self._next], (), None
            self._next += 1
