"""Rows and columns on the terminal, or as plain aligned text in a file or pipe. Cells come from outside: every one is
made printable, and is text, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich import box
from rich.table import Table
from rich.text import Text

from downstage.console.lines import printable
from downstage.console.paper import WIDE, paper


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; whether the cells are figures; whether a narrow terminal leaves the column out."""

    heading: str
    figure: bool = False
    spare: bool = False


def print_grid(stream: TextIO, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Writes the rows under their headings; nothing if there are none."""
    written = [list(map(printable, row)) for row in rows]
    if not written:
        return
    console, _, plain = paper(stream)
    shown = [n for n, column in enumerate(columns) if not column.spare or console.width >= WIDE]
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for n in shown:
        figure = columns[n].figure
        table.add_column(
            columns[n].heading,
            justify="right" if figure else "left",
            no_wrap=figure,
            overflow="fold",
            header_style="dim",
        )
    for row in written:
        table.add_row(*(Text(row[n]) for n in shown))
    console.print(table)
