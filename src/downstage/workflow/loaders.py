"""Who has loaded an environment, as the lease tells it: the last run to, and for each the one that was before it.

The lease names one run only, and any later one takes its place; each run keeps who was the last when it was entered. So
a run of which no journal here knows is found behind those that are known. It ends the chain: nobody here can tell what
was before it, nor what it left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from downstage.ports import LastLoad, Recorded, RunRecord
from downstage.workflow.history import Place, history_of

LOADED_BEFORE = "loaded_before"
"""The setting of a run that names the run which was the last to load the environment when it was entered."""

LOADS_BEFORE = "loads_before"
"""The setting that numbers that load: the same run may load again."""


@dataclass(frozen=True, slots=True)
class Loader:
    """One that has loaded the environment, and its newest load; `run` is None if no journal that can be read has it."""

    load: LastLoad
    run: RunRecord | None


def before(run: RunRecord) -> LastLoad:
    """The last load of the environment when the run was entered."""
    return LastLoad(str(run.settings.get(LOADED_BEFORE, "")), int(run.settings.get(LOADS_BEFORE, 0)))


def settings_before(last: LastLoad) -> Mapping[str, Any]:
    """What a run keeps of that."""
    return {LOADED_BEFORE: last.run_id, LOADS_BEFORE: last.number} if last.run_id else {}


def loaders(known: Recorded, last: LastLoad) -> Iterator[Loader]:
    """From the last one backwards, as far as that is known. What one run has loaded is together: once another has
    loaded, it is not gone on with."""
    runs = {run.run_id: run for run in known.runs()} if last.run_id else {}
    while last.run_id:
        run = runs.pop(last.run_id, None)
        yield Loader(last, run)
        if run is None:
            return
        last = before(run)


def loaders_since(known: Recorded, record: RunRecord, last: LastLoad) -> Iterator[Loader]:
    """Those that have loaded the environment since the run was entered, or since it has loaded itself."""
    then = before(record)
    for loader in loaders(known, last):
        if loader.load.run_id == record.run_id or loader.load == then or loader.load.number < then.number:
            return
        yield loader


def unknown_loader(known: Recorded, environment: str, last: str, tables: set[str]) -> str:
    """The run whose data may still stand in `tables` and of which no journal here knows; empty if there is none. What
    known runs have copied since is theirs: a table is empty before it is copied."""
    chain = list(loaders(known, LastLoad(last)))
    if not chain or chain[-1].run is not None:
        return ""
    left: set[Place] = {("table", name) for name in tables}
    copies = [load for load in history_of(known, environment).loads if load.record.name == "copy"]
    for loader in chain[:-1]:
        left -= {place for copy in copies if copy.run.run_id == loader.load.run_id for place in copy.places}
        if not left:
            return ""
    return chain[-1].load.run_id
