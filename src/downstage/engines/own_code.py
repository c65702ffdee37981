"""Which Downstage this process runs: its version, and a digest of its Python files wherever they lie (a zip too).

Two machines with one version number may still have different code: lanes of one run are to be carried by one code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from downstage import __version__


@cache
def code_mark() -> str:
    """`VERSION (DIGEST)`, read once a process."""
    found = hashlib.sha256()
    for name, path in sorted(_python_files(files("downstage"), ""), key=lambda each: each[0]):
        found.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{__version__} ({found.hexdigest()[:12]})"


def _python_files(folder: Traversable, under: str) -> Iterator[tuple[str, Traversable]]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _python_files(path, f"{under}{path.name}/")
        elif path.name.endswith(".py"):
            yield under + path.name, path
