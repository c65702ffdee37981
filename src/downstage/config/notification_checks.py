"""What the notifications and environments of a configuration must agree on. Each problem is yielded at the key to
change."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from downstage.config.document import KeyPath
from downstage.config.schema import Config


def check_notifications(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Every problem of the notifications."""
    refreshed = [name for name, environment in config.environments.items() if environment.refresh is not None]
    names: set[str] = set()
    for index, notification in enumerate(config.notifications):
        here: KeyPath = ("notifications", index)
        for place, name in enumerate(notification.environments):
            if name not in refreshed:
                close = difflib.get_close_matches(name, refreshed, n=1, cutoff=0.6)
                hint = f"did you mean '{close[0]}'?" if close else f"these are refreshed: {', '.join(refreshed)}"
                yield (*here, "environments", place), f"names '{name}', which is not refreshed; {hint}"
        if notification.name is not None and notification.name in names:
            yield (*here, "name"), "is the name of another notification already"
        names.add(notification.name or "")
