"""How messages about the policy write names: in quotes where they are not plain, and not at all if they may be data.

A path or an entity is a name and may be shown; an address in a path is somebody's, and a very long or odd one helps
nobody.
"""

from __future__ import annotations

import re

from downstage.config.document import KeyPath
from downstage.config.layers import show_path

_LONGEST = 120
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,40}")


def show_name(name: str) -> str:
    """A name in quotes, or `(not shown)`."""
    return f"'{name}'" if 0 < len(name) <= _LONGEST and name.isprintable() and "@" not in name else "(not shown)"


def show_policy_path(path: KeyPath) -> str:
    """A path into the policy file: `tables.'app-*'.entities.user.fields.'phones[*]'`."""
    return show_path(path, lambda name: name if _PLAIN.fullmatch(name) else show_name(name))
