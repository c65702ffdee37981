"""What results are printed on: rich's console over a steady stream, the same for every kind of result.

A terminal gets its own width and colours; a file or pipe gets plain text on lines as long as they need to be.
"""

from __future__ import annotations

from typing import IO, TextIO, cast

from rich.console import Console

from downstage.console.stream import SteadyStream

WIDE = 130
"""Columns from which on a terminal shows everything."""

_PLAIN_WIDTH = 1000


def paper(stream: TextIO) -> tuple[Console, SteadyStream, bool]:
    """The console, the stream under it, and whether it is plain (no terminal). Text on it is text, never markup."""
    steady = SteadyStream(stream)
    plain = not steady.isatty()
    console = Console(
        file=cast(IO[str], steady),
        highlight=False,
        markup=False,
        emoji=False,
        width=_PLAIN_WIDTH if plain else None,
        no_color=True if plain else None,
        force_terminal=False if plain else None,
    )
    return console, steady, plain
