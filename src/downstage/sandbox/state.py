"""What is on record about a running sandbox: `state.json`, and the record that callers get.

Why: whoever comes next must know exactly which processes are the sandbox's, and where they answer.
Rules: the file is replaced whole, never edited in place. The supervisor writes it until `ready`; after that only
`Sandbox.up`, to say that the data is in. A file alone never means "running": the processes are looked at.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from downstage.errors import SandboxError
from downstage.sandbox.processes import ProcessIdentity


@dataclass(frozen=True)
class SandboxRecord:
    """A running, seeded sandbox. `search_urls` is by domain name; `pids` gives each process with its creation time."""

    directory: Path
    config_path: Path
    truth_path: Path
    endpoint: str
    search_urls: dict[str, str]
    pids: tuple[ProcessIdentity, ...]
    cases: int
    seed: int


@dataclass
class State:
    """The content of state.json. `cases` and `seed` are None until the data is in."""

    processes: list[ProcessIdentity] = field(default_factory=list)
    endpoint: str = ""
    search_urls: dict[str, str] = field(default_factory=dict)
    ready: bool = False
    cases: int | None = None
    seed: int | None = None


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` by `text` so that a reader sees the old or the new content, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def save(path: Path, state: State) -> None:
    """Write state.json."""
    write_whole(path, json.dumps(asdict(state), indent=2) + "\n")


def load(path: Path) -> State | None:
    """Read state.json; None if there is none. SandboxError if it is not one of ours."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        processes = [ProcessIdentity(**entry) for entry in content.pop("processes")]
        return State(processes=processes, **content)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as broken:
        raise SandboxError(
            f"{path} is not a sandbox's state file; remove it, then run 'downstage sandbox up'"
        ) from broken
