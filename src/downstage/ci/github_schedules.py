"""GitHub cron: it has no API, it lives in workflow files; so the place is the directory of those files.

A file that is not there is written whole. One that is there is somebody's work: only the text of its cron is changed.
Files are ours by their name; what is written still has to be committed and merged into the default branch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from downstage.ci import render
from downstage.domain.schedule import FoundSchedule, SchedulePlan
from downstage.errors import CiError, ConfigError

_CRON = re.compile(r"^(\s*-\s+(?:\{\s*)?cron:\s*)(['\"]?)([^'\"#\n}]+)\2", re.MULTILINE)
_LARGEST = 1_000_000


class GitHubSchedules:
    """Implements `ports.ScheduleStore` for a directory of workflow files, which need not exist yet."""

    def __init__(self, directory: Path, plans: Sequence[SchedulePlan]) -> None:
        self._directory = directory
        self._plans = {plan.name: plan for plan in plans}

    @property
    def place(self) -> str:
        """Where the schedules are."""
        return f"workflow files in {self._directory}"

    def settings(self, plan: SchedulePlan) -> Mapping[str, Any]:
        """The cron that the plan's file must have. Raises ConfigError for a name that is no file's."""
        if re.fullmatch(r"[A-Za-z0-9_.-]+", plan.name) is None:
            raise ConfigError(f"the schedule {plan.name} becomes a file: its name may hold letters, digits and _ . -")
        return {"cron": plan.timetable.cron()}

    def found(self, names: Collection[str]) -> Sequence[FoundSchedule]:
        """Every workflow file that has a cron, or the name of a wanted one."""
        found = []
        for path in sorted(self._directory.glob("*.y*ml")):
            crons = [match[3].strip() for match in _CRON.finditer(_read(path))]
            if crons or path.stem in names:
                found.append(FoundSchedule(path.stem, str(path), {"cron": " and ".join(crons) or "none"}))
        return found

    def create(self, name: str, settings: Mapping[str, Any]) -> None:
        """Writes the file."""
        self._directory.mkdir(parents=True, exist_ok=True)
        _write(self._directory / f"{name}.yml", render.github(self._plans[name]))

    def update(self, found: FoundSchedule, settings: Mapping[str, Any]) -> None:
        """Changes the cron in the file, and nothing else of it."""
        path = Path(found.identity)
        text = _read(path)
        if len(_CRON.findall(text)) != 1:
            raise CiError(
                f"{path} has not exactly one cron to change: write 'schedule: [{{cron: \"{settings['cron']}\"}}]' "
                f"into it, "
                "or delete the file and apply again"
            )
        _write(path, _CRON.sub(lambda match: f'{match[1]}"{settings["cron"]}"', text))

    def remove(self, found: FoundSchedule) -> None:
        """Deletes the file."""
        Path(found.identity).unlink(missing_ok=True)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise CiError(f"{path} is too large for a workflow file")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise CiError(f"{path} cannot be read as text") from None


def _write(path: Path, text: str) -> None:
    """The whole file at once: a half-written workflow would be run."""
    draft = path.with_name(path.name + ".downstage")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise CiError(f"{path} cannot be written: {error.strerror}") from None
