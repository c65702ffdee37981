"""What is left to do of a task's tables, and what is known of them: from the journal to the schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from downstage.domain.outcome import StepState
from downstage.planning.schedule import Cut, Weights, weights_of
from downstage.workflow.parts import Parts, TableWork


def cuts_of(
    parts: Parts, task: str, works: Sequence[TableWork], weights: Mapping[str, Weights] | None = None
) -> list[Cut]:
    """The tables as the schedule wants them; `weights` are by target table. Segments that have ended are left out."""
    cuts = []
    for work in works:
        name, segments = f"{task}/{work.target}", work.read_segments if task == "copy" else work.segments
        ended = frozenset(
            each.segment
            for each in parts.journal.checkpoints(parts.run.run_id, name)
            if each.done and each.total_segments == segments
        )
        cuts.append(Cut(name, work.source, segments, ended, (weights or {}).get(work.target, {})))
    return cuts


def written_weights(parts: Parts, works: Sequence[TableWork]) -> Mapping[str, Weights]:
    """Items by segment, by target table, as this run's copy has written them: true where keys are not masked."""
    return {
        work.target: weights_of(
            parts.journal.checkpoints(parts.copy_run, f"copy/{work.target}"), "written", work.segments
        )
        for work in works
    }


def last_weights(parts: Parts, works: Sequence[TableWork]) -> Mapping[str, Weights]:
    """Items by segment, by target table, as the environment's newest finished copy before this run has read them.

    A table that holds much in a narrow range of its keys does so again a month later. If nothing is known (the first
    refresh, another number of segments, a journal that forgot), the order does without.
    """
    for run in sorted(parts.journal.runs(), key=lambda each: each.started, reverse=True):
        if run.environment != parts.run.environment or run.run_id == parts.run.run_id or run.kind != "refresh":
            continue
        record = parts.journal.step(run.run_id, "copy")
        if record is None or record.state != StepState.DONE:
            continue
        scanned = {table["target"]: table["source"] for table in record.intent["tables"] if table.get("export") is None}
        return {
            work.target: weights_of(parts.journal.checkpoints(run.run_id, f"copy/{work.target}"), "read", work.segments)
            for work in works
            if work.export is None and scanned.get(work.target) == work.source
        }
    return {}
