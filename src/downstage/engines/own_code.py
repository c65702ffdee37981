"""Which Downstage this process runs: its version, and a digest of its Python files wherever they lie (a zip too).

Two machines with one version number may still have different code: lanes of one run are to be carried by one code.
Files are named as in a wheel, by paths that begin with `downstage/`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from downstage import __version__

_OURS, _PYTHON = "downstage/", ".py"


@cache
def code_mark() -> str:
    """`VERSION (DIGEST)`, read once a process."""
    python = {name: path.read_bytes() for name, path in own_paths() if name.endswith(_PYTHON)}
    return f"{__version__} ({code_digest(python)[:12]})"


def code_digest(files: Mapping[str, bytes]) -> str:
    """Tells one Downstage from another: SHA-256 (hex) of its Python files. What else there is among `files`, a wheel's
    own or another package's, does not count."""
    found = hashlib.sha256()
    for name in sorted(name for name in files if name.startswith(_OURS) and name.endswith(_PYTHON)):
        found.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return found.hexdigest()


def own_paths() -> Iterator[tuple[str, Traversable]]:
    """Every file of this Downstage by its name, in the order of names."""
    return iter(sorted(_under(files("downstage"), _OURS), key=lambda each: each[0]))


def _under(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for path in folder.iterdir():
        if path.is_dir():
            yield from _under(path, f"{name}{path.name}/")
        else:
            yield name + path.name, path
