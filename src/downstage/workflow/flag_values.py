"""The flags' values on their way to the function that makes documents: sealed, and the same in every lane and attempt.

A flag may hold anything, so journal and orders see the values sealed. They are read back from AWS once, when the step
begins: a deployment that turns a flag over while documents are made must not make half of them otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from downstage.domain.flags import read_values
from downstage.planning.sealed_flags import opened, sealed
from downstage.ports import Sealer
from downstage.workflow.parts import Parts


def sealed_flags(parts: Parts) -> str:
    """The values by name, as they are now; empty if no flag is configured. Raises ConfigError if one is not set."""
    if not parts.plan.flags:
        return ""
    values = read_values(parts.plan.flags, parts.flags.read)
    return sealed(values, parts.sealer, _context(parts.run.run_id))


def opened_flags(text: str, run_id: str, sealer: Sealer) -> Mapping[str, str]:
    """What was sealed. Raises JournalError if the masking key is another one."""
    return opened(text, sealer, _context(run_id)) if text else {}


def _context(run_id: str) -> str:
    return f"{run_id}/backfill/flags"
