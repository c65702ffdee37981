"""Flags by name on their way through a journal or an order: sealed, for a flag may hold anything.

`context` binds them to their run and to what they are for, so that no others can be put in their place.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from downstage.ports import Sealer


def sealed(values: Mapping[str, str], sealer: Sealer, context: str) -> str:
    """The values by name, for nobody to read."""
    return sealer.seal(orjson.dumps(dict(values)), context)


def opened(text: str, sealer: Sealer, context: str) -> dict[str, str]:
    """What was sealed for that context. Raises JournalError if the masking key or the context is another one."""
    values: dict[str, str] = orjson.loads(sealer.open(text, context))
    return values
