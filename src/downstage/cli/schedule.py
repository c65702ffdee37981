"""`schedule apply|list|remove`: refreshes that start by themselves, as the configuration says."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from downstage.cli import options
from downstage.cli.carry import open_project
from downstage.errors import UsageError

if TYPE_CHECKING:
    from downstage.app.automation import PlaceChanges
    from downstage.planning.schedules import Change

commands = typer.Typer(
    help="The schedules that start refreshes: at CircleCI, in EventBridge, in GitHub's workflow files, or in the "
    "runner.\n\n"
    "Example: downstage schedule list",
    no_args_is_help=True,
)

Environments = Annotated[
    list[str] | None, typer.Argument(metavar="[ENV]...", help="These environments only; all if none is named.")
]
_STATES = {"create": "missing", "update": "differs", "remove": "nobody's"}
"""What a schedule is, for who only looks; else it is said what becomes of it."""

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Needed where nobody can answer.")]


@commands.command()
def apply(
    environments: Environments = None,
    config: options.Config = options.DEFAULT_CONFIG,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    json: options.Json = False,
) -> None:
    """Bring all schedules to what the configuration says. Shows the differences first, then asks.

    Only schedules whose name begins with schedule_prefix, or is that of a stanza, are touched; others are listed. One
    of ours that no environment has any more is removed, unless environments are named.

    Example: downstage schedule apply --dry-run
    """
    from downstage.app import automation

    places = automation.changes_of(open_project(config), environments or ())
    _show(places, json=json)
    if not dry_run:
        _carry_out(places, yes=yes, json=json)


@commands.command(name="list")
def show(
    environments: Environments = None,
    config: options.Config = options.DEFAULT_CONFIG,
    json: options.Json = False,
) -> None:
    """Show every schedule there is at the configured places, whose it is, and when it starts next. Changes nothing.

    Example: downstage schedule list
    """
    from downstage.app import automation

    _show(automation.changes_of(open_project(config), environments or ()), json=json, words=_STATES)


@commands.command()
def remove(
    environments: Annotated[list[str], typer.Argument(metavar="ENV...", help="Whose schedules to take away.")],
    config: options.Config = options.DEFAULT_CONFIG,
    yes: Yes = False,
    json: options.Json = False,
) -> None:
    """Take the schedules of environments away. Do it before you remove their stanza from the configuration.

    Example: downstage schedule remove mig
    """
    from downstage.app import automation

    places = automation.removals_of(open_project(config), environments)
    _show(places, json=json)
    _carry_out(places, yes=yes, json=json)


def add_to(app: typer.Typer) -> None:
    """Adds the family."""
    app.add_typer(commands, name="schedule")


def _show(places: Sequence[PlaceChanges], *, json: bool, words: Mapping[str, str] = MappingProxyType({})) -> None:
    """Every schedule: what becomes of it (or what it is, in other `words`), in what it differs, when it starts next;
    doubts on standard error."""
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    if not places and not json:
        typer.echo("no environment has a 'schedule' in its 'refresh': nothing starts by itself")
    for place in places:
        if not json:
            typer.echo(f"{place.store.place}:")
            if not place.changes:
                typer.echo("  no schedule")
        for change in place.changes:
            following = place.next_time(change, now)
            starts = following.isoformat().replace("+00:00", "Z") if following is not None else None
            if json:
                _line(_as_object(place, change, starts, words))
                continue
            adopted = ", adopted" if change.adopted and change.changes else ""
            next_one = f"  next {starts}" if starts is not None else ""
            typer.echo(f"  {words.get(change.kind.value, change.kind.value):8} {change.name}{adopted}{next_one}")
            for setting, was, will_be in change.differences:
                typer.echo(f"           {setting}: {_plain(was)} → {_plain(will_be)}")
            for doubt in place.doubts(change):
                typer.echo(f"downstage: {change.name}: {doubt}", err=True)


def _carry_out(places: Sequence[PlaceChanges], *, yes: bool, json: bool) -> None:
    """Makes the changes, after asking; says each as it is done."""
    from downstage.app import automation

    changing = [(place, change) for place in places for change in place.changes if change.changes]
    if not changing:
        if not json:
            typer.echo("nothing to do")
        return
    if not yes:
        if json or not sys.stdin.isatty():
            raise UsageError("nobody is here to ask: add --yes to make these changes, or --dry-run to see them only")
        if not typer.confirm(f"make {len(changing)} change{'s' * (len(changing) > 1)}?", err=True):
            raise UsageError("nothing was changed")
    for place, change in changing:
        automation.carry_out(place.store, change)
        if json:
            _line({"event": "schedule", "done": change.kind.value, "name": change.name, "place": place.store.place})
        else:
            typer.echo(f"done: {change.kind.value} {change.name}")


def _as_object(place: PlaceChanges, change: Change, starts: str | None, words: Mapping[str, str]) -> dict[str, Any]:
    return {
        "event": "schedule",
        "place": place.store.place,
        "name": change.name,
        "state": words.get(change.kind.value, change.kind.value),
        "next": starts,
        "differences": {setting: {"is": was, "wanted": wanted} for setting, was, wanted in change.differences},
        "doubts": place.doubts(change),
    }


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        import orjson

        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return "not set" if value is None else str(value)


def _line(value: dict[str, Any]) -> None:
    import orjson

    typer.echo(orjson.dumps(value).decode())
