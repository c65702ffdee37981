"""How a search domain was made, as the journal keeps it: sealed, in pieces that each journal takes, beyond its run.

The first piece stands in the intent of `capture-search`, the rest in checkpoints of that name, and these first: once
the intent is there, all of it is. A record of an older run counts only where that run has wiped the domain, and no run
has made it again since: what the deployment has dropped must not come back.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from downstage.domain.events import Note
from downstage.domain.outcome import StepState
from downstage.errors import JournalError
from downstage.planning import guards
from downstage.ports import Checkpoint
from downstage.workflow.parts import Parts

CAPTURE: Final = "capture-search"
RESTORE: Final = "restore-search"

PIECE: Final = 250_000
"""Bytes of a piece before it is sealed: an item of the control table (400 KB) holds it with room to spare."""

_MOST_RUNS = 50

Definitions = dict[str, Mapping[str, Any]]


def keep(parts: Parts, domain: str, configuration: Mapping[str, Any], indices: Definitions) -> Mapping[str, Any]:
    """What the intent holds of the record; what does not fit into it is saved now."""
    packed = zlib.compress(orjson.dumps({"domain": domain, "configuration": configuration, "indices": indices}))
    first, *rest = [packed[start : start + PIECE] for start in range(0, len(packed), PIECE)]
    run, pieces = parts.run, 1 + len(rest)
    for number, piece in enumerate(rest, 1):
        sealed = parts.sealer.seal(piece, _context(run.run_id, number, pieces))
        parts.journal.save_checkpoint(run.run_id, run.epoch, CAPTURE, Checkpoint(number, pieces, sealed, done=True))
    captured = parts.sealer.seal(first, _context(run.run_id, 0, pieces))
    return {"captured": captured, "pieces": pieces, "indices": len(indices)}


def newest(parts: Parts, domain: str) -> tuple[Mapping[str, Any] | None, Definitions]:
    """How the domain was when it was last seen, and its indices: by this run, and those before it that lost them.

    Of older runs nothing is taken if this one's plan does not wipe the domain.
    """
    configuration: Mapping[str, Any] | None = None
    indices: Definitions = {}
    for run_id, settled in _lost(parts, domain):
        if settled and configuration is not None:
            break  # what was lost before is made again, and what is gone since was dropped on purpose
        captured = _opened(parts, run_id)
        if captured is not None and captured["domain"] == domain:
            configuration = configuration or captured["configuration"]
            indices = captured["indices"] | indices
    return configuration, indices


def _lost(parts: Parts, domain: str) -> Iterator[tuple[str, bool]]:
    """The runs whose record may be needed, this one first, then from the newest: those that wiped the domain, and those
    that made again whatever was lost until then (True)."""
    yield parts.run.run_id, False
    if parts.plan.wipe is None or not guards.resolve_patterns(parts.plan.wipe.domains, [domain]):
        return
    ours = [run.run_id for run in parts.journal.runs() if run.environment == parts.run.environment]
    before = [run_id for run_id in ours if run_id != parts.run.run_id]
    for run_id in reversed(before[-_MOST_RUNS:]):
        wiped, restored = (parts.journal.step(run_id, name) for name in ("wipe", RESTORE))
        settled = restored is not None and restored.state == StepState.DONE
        if settled or (wiped is not None and domain in wiped.intent.get("domains", ())):
            yield run_id, settled


def _opened(parts: Parts, run_id: str) -> dict[str, Any] | None:
    """What a run recorded; None if it recorded nothing, or with another masking key."""
    record = parts.journal.step(run_id, CAPTURE)
    if record is None or not record.intent.get("captured"):
        return None
    pieces = record.intent.get("pieces", 1)
    try:
        packed = parts.sealer.open(record.intent["captured"], _context(run_id, 0, pieces))
        for number in range(1, pieces):
            saved = parts.journal.checkpoint(run_id, CAPTURE, number)
            packed += parts.sealer.open((saved and saved.cursor) or "", _context(run_id, number, pieces))
    except JournalError:  # sealed with a masking key of before
        parts.emit(Note(f"what run {run_id} recorded of the search domain was sealed with another masking key"))
        return None
    found: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    return found


def _context(run_id: str, number: int, pieces: int) -> str:
    """What a piece is sealed for. A record of one piece has none beside it."""
    return f"{run_id}/{CAPTURE}" if pieces == 1 else f"{run_id}/{CAPTURE}/{number}/{pieces}"
