"""The proof on the terminal, at the end of a run: the verdict, why, and the tables of what was compared.

The same rows everywhere. A wide terminal gets all columns and colour, a narrow one the columns that carry the
proof, a file or pipe all columns as plain aligned text on lines as long as they need to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from downstage.console.lines import printable
from downstage.console.paper import WIDE, paper
from downstage.domain.bucket_outcome import BucketOutcome, IndexOutcome
from downstage.domain.leak_outcome import LeakPlace
from downstage.domain.outcome import RefreshOutcome, Result
from downstage.domain.table_outcome import TableOutcome

_STYLE = {Result.PROVEN: "bold green", Result.INCOMPLETE: "bold yellow", Result.FAILED: "bold red"}
_SHOWN = 10

_Column = tuple[str, bool]  # its heading, and whether a narrow terminal shows it
_TABLES: tuple[_Column, ...] = (
    ("Table", True),
    ("Read", False),
    ("Expired", False),
    ("Quarantined", False),
    ("Written", True),
    ("In target", True),
    ("Addresses", False),
    ("Digests", False),
    ("Proof", True),
)
_BUCKETS: tuple[_Column, ...] = (
    ("Bucket", True),
    ("Copied", True),
    ("Deleted", False),
    ("Unchanged", False),
    ("Skipped", False),
    ("Size", False),
    ("Differing", True),
    ("Proof", True),
)
_SEARCH: tuple[_Column, ...] = (("Index", True), ("Expected", True), ("Found", True), ("Proof", True))
_PLACES: tuple[_Column, ...] = (("Found in", True), ("Path", True), ("Encoding", False), ("Fingerprint", False))


def print_outcome(outcome: RefreshOutcome, stream: TextIO) -> None:
    """Writes the outcome to `stream`; sections with nothing in them are left out."""
    console, steady, _ = paper(stream)
    arrow = "→" if steady.unicode else "->"

    console.print()
    console.print(
        Text.assemble(
            (outcome.result.value.upper(), _STYLE[outcome.result]),
            f"  {printable(outcome.environment)} from {printable(outcome.source)}, run {printable(outcome.run_id)}",
        )
    )
    for objection in outcome.objections[:_SHOWN]:
        console.print(Text(printable(objection.text)))
    if len(outcome.objections) > _SHOWN:
        console.print(Text(f"and {len(outcome.objections) - _SHOWN:,} more; see the report"))
    for reason, count in [entry for table in outcome.tables for entry in table.quarantine_reasons][:_SHOWN]:
        console.print(Text(printable(f"  {count:,} × {reason}")))

    for table in outcome.tables:
        for kind, name in (table.differences.names if table.differences is not None else ())[:_SHOWN]:
            mended = ", mended" if table.proven else ""
            console.print(Text(printable(f"  {table.target}: {kind}: item {name}{mended}")))

    _section(console, _TABLES, [_table_row(table, arrow) for table in outcome.tables])
    _section(console, _BUCKETS, [_bucket_row(bucket, arrow) for bucket in outcome.buckets])
    _section(console, _SEARCH, [_index_row(index) for index in outcome.search])
    leaks = outcome.leaks
    _section(console, _PLACES, [_place_row(place) for place in leaks.places[:_SHOWN]])
    console.print()
    if leaks.scanned:
        looked = f"{leaks.scanned_items:,} items, {leaks.scanned_keys:,} keys, {leaks.scanned_documents:,} documents"
        style = "bold red" if leaks.found else ""
        console.print(Text.assemble("Leak scan: ", (f"{leaks.found:,} found", style), f" in {looked}"))
    if outcome.consumers:
        console.print(Text(f"Consumers: {printable(outcome.consumers)}"))


def _section(console: Console, columns: Sequence[_Column], rows: Sequence[Sequence[Text]]) -> None:
    """One table, if it has rows: the first column is text, the last the verdict, those between are figures."""
    if not rows:
        return
    shown = [n for n, (_, always) in enumerate(columns) if always or console.width >= WIDE]
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, padding=(0, 2, 0, 0))
    for n in shown:
        figure = columns is not _PLACES and 0 < n < len(columns) - 1
        name = n == 0 or columns is _PLACES
        table.add_column(
            columns[n][0],
            justify="right" if figure else "left",
            no_wrap=not name,
            overflow="fold",
            header_style="dim",
        )
    for row in rows:
        table.add_row(*(row[n] for n in shown))
    console.print()
    console.print(table)


def _table_row(table: TableOutcome, arrow: str) -> list[Text]:
    return [
        _pair(table.source, table.target, arrow),
        _figure(table.read),
        _figure(table.expired),
        _figure(table.quarantined, worrying=table.quarantined > 0),
        _figure(table.written),
        _figure(table.in_target, worrying=table.in_target is not None and table.in_target != table.must_hold),
        _figure(table.addresses),
        _digests(table),
        _verdict(table.proven, table.contradicted),
    ]


def _bucket_row(bucket: BucketOutcome, arrow: str) -> list[Text]:
    return [
        _pair(bucket.source, bucket.target, arrow),
        _figure(bucket.copied),
        _figure(bucket.deleted),
        _figure(bucket.unchanged),
        _figure(bucket.skipped, worrying=bucket.skipped > 0),
        Text(decimal(bucket.bytes_copied)),
        _figure(bucket.differing, worrying=bucket.contradicted),
        _verdict(bucket.proven, bucket.contradicted),
    ]


def _index_row(index: IndexOutcome) -> list[Text]:
    return [
        Text(printable(index.index)),
        _figure(index.expected),
        _figure(index.found, worrying=index.found != index.expected),
        _verdict(index.proven, not index.proven),
    ]


def _place_row(place: LeakPlace) -> list[Text]:
    encoding = ", ".join(place.layers) or "plain"
    return [Text(printable(text)) for text in (place.where, place.path, encoding, place.fingerprint)]


def _pair(source: str, target: str, arrow: str) -> Text:
    return Text(f"{printable(source)} {arrow} {printable(target)}")


def _figure(value: int | None, worrying: bool = False) -> Text:
    return Text("-" if value is None else f"{value:,}", style="bold red" if worrying else "")


def _digests(table: TableOutcome) -> Text:
    written, target = table.digest_written[:8] or "-", table.digest_target[:8] or "-"
    if not (table.digest_written and table.digest_target):
        return Text(f"{written} / {target}")
    if table.digest_written == table.digest_target:
        return Text(f"{written} = {target}")
    return Text(f"{written} != {target}", style="bold red")


def _verdict(proven: bool, contradicted: bool) -> Text:
    if contradicted:
        return Text("differs", style="bold red")
    return Text("proven", style="green") if proven else Text("incomplete", style="yellow")
