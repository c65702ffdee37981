"""What the masking commands say: objects for machines, tables for people. Values of the data only where they were asked
for; everything else here is paths, types, numbers and rules."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from downstage.app.coverage import TableCoverage
    from downstage.app.discovery import TableFound
    from downstage.app.preview import Refusal
    from downstage.app.showing import Shown
    from downstage.masking.compile import Touch

_LISTED = 20


_PLURALS = {"leaf": "leaves", "address": "addresses"}


def several(count: int, what: str) -> str:
    """A number of things: `1 item`, `2 items`."""
    return f"{count:,} {what if count == 1 else _PLURALS.get(what, what + 's')}"


def line(value: dict[str, Any], *, err: bool = False) -> None:
    import orjson

    typer.echo(orjson.dumps(value).decode(), err=err)


def say(value: dict[str, Any], words: str, *, json: bool) -> None:
    if json:
        line(value)
    else:
        typer.echo(words)


def say_refused(refusal: Refusal, *, json: bool) -> None:
    if json:
        where = {"line": refusal.line, "item": refusal.item}
        line({"event": "refused", **where, "reason": refusal.reason}, err=True)
    else:
        which = f", item {refusal.item}" if refusal.item > 1 else ""
        typer.echo(f"line {refusal.line}{which}: not written: {refusal.reason}", err=True)


def masked_sentence(summary: dict[str, Any]) -> str:
    words = f"{several(summary['written'], 'item')} written, {summary['changed']:,} changed"
    words += f"; {several(summary['addresses'], 'address')} replaced"
    for name, what in (("kept", "kept"), ("opaque", "opaque binaries"), ("unknown", "values unknown to the lock")):
        if summary[name]:
            words += f", {summary[name]:,} {what}"
    return f"{words}; {several(summary['refused'], 'item')} refused" if summary["refused"] else words


def _why(by: str, rule: str, strategy: str) -> str:
    if by == "key":
        return f"key template {rule}"
    if by == "rule":
        return f"rule {rule}: {strategy}"
    if by == "keep":
        return f"rule {rule}: keep (addresses are replaced all the same)"
    if by == "unknown":
        return "not in masking.lock"
    return "address scan"


def touch_object(touch: Touch) -> dict[str, Any]:
    return {
        "path": touch.path,
        "type": touch.kind,
        "by": touch.by,
        "rule": touch.rule,
        "strategy": touch.strategy,
        "place": touch.place,
        "changed": touch.changed,
        "addresses": touch.addresses,
    }


def shown_object(change: Shown) -> dict[str, Any]:
    return {
        "path": change.path,
        "type": change.kind,
        "before": change.before,
        "after": change.after,
        "by": change.by,
        "rule": change.rule,
        "strategy": change.strategy,
        "place": change.place,
    }


def print_touches(touches: list[Touch]) -> None:
    from downstage.console.grid import Column, print_grid

    columns = (
        Column("Path"),
        Column("Type"),
        Column("Touched by"),
        Column("Rule at", spare=True),
        Column("Changed"),
        Column("Addresses", figure=True),
    )
    rows = [
        (
            touch.path,
            touch.kind,
            _why(touch.by, touch.rule, touch.strategy),
            touch.place,
            "changed" if touch.changed else "",
            str(touch.addresses or ""),
        )
        for touch in touches
    ]
    print_grid(sys.stdout, columns, rows)
    changed = sum(touch.changed for touch in touches)
    addresses = sum(touch.addresses for touch in touches)
    typer.echo(f"{several(len(touches), 'leaf')}, {changed:,} changed, {several(addresses, 'address')} replaced")


def print_changes(shown: Sequence[tuple[int, Shown]]) -> None:
    """Changed leaves, each with the number of its item."""
    from downstage.console.grid import Column, print_grid

    columns = (
        Column("Item", figure=True),
        Column("Path"),
        Column("Type"),
        Column("Before"),
        Column("After"),
        Column("Why", spare=True),
    )
    rows = [
        (
            f"{item:,}",
            change.path,
            change.kind,
            change.before,
            change.after,
            _why(change.by, change.rule, change.strategy),
        )
        for item, change in shown
    ]
    print_grid(sys.stdout, columns, rows)


def coverage_object(found: TableCoverage) -> dict[str, Any]:
    totals = found.totals()
    leaves = totals.total()
    return {
        "table": found.table,
        "items": found.items,
        "leaves": leaves,
        "share": {group: count / leaves if leaves else 0.0 for group, count in totals.items()},
        "paths": [
            {
                "path": path,
                "types": sorted(leaf.types),
                **{group: leaf.by[group] for group in totals},
                "changed": leaf.changed,
                "addresses": leaf.addresses,
            }
            for path, leaf in sorted(found.paths.items())
        ],
        "unseen_rules": [{"rule": rule, "place": place} for rule, place in found.unseen_rules],
        "unseen_paths": found.unseen_paths,
        "refused": [{"reason": reason, "items": items} for reason, items in found.refused.items()],
    }


def print_coverage(found: TableCoverage) -> None:
    from downstage.console.grid import Column, print_grid

    totals = found.totals()
    groups = ("ruled", "scanned", "kept", "unknown")
    columns = (
        Column("Path"),
        Column("Types"),
        Column("Leaves", figure=True),
        *(Column(group.capitalize(), figure=True) for group in groups),
        Column("Changed", figure=True),
        Column("Addresses", figure=True, spare=True),
    )
    rows = [
        (
            path,
            " ".join(sorted(leaf.types)),
            f"{leaf.by.total():,}",
            *(f"{leaf.by[group]:,}" if leaf.by[group] else "" for group in groups),
            f"{leaf.changed:,}" if leaf.changed else "",
            f"{leaf.addresses:,}" if leaf.addresses else "",
        )
        for path, leaf in sorted(found.paths.items())
    ]
    typer.echo(f"{found.table}: {several(found.items, 'item')} looked at")
    print_grid(sys.stdout, columns, rows)
    leaves = totals.total()
    shares = ", ".join(f"{group} {percent(totals[group], leaves)}" for group in groups)
    typer.echo(f"of {several(leaves, 'leaf')}: {shares}")
    _print_some("rules never met", [f"{rule} ({place})" if place else rule for rule, place in found.unseen_rules])
    _print_some("paths of the lock never met", found.unseen_paths)
    _print_some("refused", [f"{several(items, 'item')}: {reason}" for reason, items in found.refused.most_common()])
    typer.echo()


def percent(count: int, of: int) -> str:
    """A share; 0% and 100% only if it is so."""
    if not of or count in (0, of):
        return "100%" if of and count else "0%"
    return f"{min(max(100 * count / of, 0.1), 99.9):.1f}%"


def _print_some(heading: str, lines: list[str]) -> None:
    if not lines:
        return
    typer.echo(f"{heading}: {len(lines):,}")
    for line in lines[:_LISTED]:
        typer.echo(f"  {line}")
    if len(lines) > _LISTED:
        typer.echo(f"  and {len(lines) - _LISTED:,} more; --json lists all")


def discovery_object(found: TableFound) -> dict[str, Any]:
    from downstage.app.discovery import strategy_text

    def paths(changes: tuple[tuple[str, tuple[str, ...]], ...]) -> list[dict[str, Any]]:
        return [{"path": path, "types": list(types)} for path, types in changes]

    return {
        "table": found.table,
        "items": found.items,
        "paths": len(found.lock.paths),
        "complete": found.complete,
        "added": paths(found.added),
        "not_met": paths(found.unmet),
        "dropped": paths(found.dropped),
        "paths_with_addresses": found.addresses,
        "suggestions": [
            {
                "entity": entity.kind.name if entity.kind else "",
                "path": _path(rule.path),
                "strategy": strategy_text(rule.strategy),
                "reason": rule.reason,
                "doubt": rule.doubt,
            }
            for entity in found.entities
            for rule in entity.suggestions
        ],
    }


def print_discovery(found: TableFound, *, sampled: bool) -> None:
    """What was found in one table. What a sample did not meet is only counted."""
    from downstage.app.discovery import strategy_text
    from downstage.console.grid import Column, print_grid

    typer.echo(
        f"{found.table}: {several(found.items, 'item')}; {several(len(found.lock.paths), 'path')} in the lock; "
        f"addresses at {found.addresses:,}, which are replaced without a rule"
    )
    if not found.complete:
        typer.echo("  there are more paths than are told apart: the lock does not hold all of them")
    rows = [
        (
            entity.kind.name if entity.kind else "any",
            _path(rule.path),
            strategy_text(rule.strategy) + ("?" if rule.doubt else ""),
            rule.reason,
        )
        for entity in found.entities
        for rule in entity.suggestions
    ]
    print_grid(sys.stdout, (Column("Entity"), Column("Looks personal"), Column("Draft rule"), Column("Why")), rows)
    for heading, changes in (
        ("new in the lock", found.added),
        ("no longer in the lock, or part of a * now", found.dropped),
        ("in the lock, but no longer in the table", () if sampled else found.unmet),
    ):
        _print_some(heading, [f"{path}  {' '.join(types)}" for path, types in changes])
    if sampled and found.unmet:
        typer.echo(f"in the lock, not met in this sample: {len(found.unmet):,}")
    typer.echo()


def _path(steps: Any) -> str:
    from downstage.domain.paths import show

    return show(steps)
