"""The flags' values on their way to the function that makes documents: sealed, and the same in every lane and attempt.

A flag may hold anything, so journal and orders see the values sealed. They are read back from AWS once, when the step
begins: a deployment that turns a flag over while documents are made must not make half of them otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from downstage.domain.flags import read_values
from downstage.ports import Sealer
from downstage.workflow.parts import Parts


def sealed_flags(parts: Parts) -> str:
    """The values by name, as they are now; empty if no flag is configured. Raises ConfigError if one is not set."""
    if not parts.plan.flags:
        return ""
    values = read_values(parts.plan.flags, parts.flags.read)
    return parts.sealer.seal(orjson.dumps(values), _context(parts.run.run_id))


def opened_flags(sealed: str, run_id: str, sealer: Sealer) -> Mapping[str, str]:
    """What was sealed. Raises JournalError if the masking key is another one."""
    values: dict[str, str] = orjson.loads(sealer.open(sealed, _context(run_id))) if sealed else {}
    return values


def _context(run_id: str) -> str:
    return f"{run_id}/backfill/flags"
