"""AWS Glue's runs, and the place where launcher and job leave parcels for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from downstage.domain.glue import GlueRun


class GlueJobs(Protocol):
    """The runs of one job. `runs` are the newest 200, newest first.

    `start` asks once and never again by itself. It raises Unreachable if the answer is lost: the run may have begun,
    and whoever asked has to look. It raises RunConflict if as many run as may.
    """

    def runs(self) -> Sequence[GlueRun]: ...
    def run(self, run_id: str) -> GlueRun: ...
    def start(self, arguments: Mapping[str, str]) -> str: ...
    def stop(self, run_id: str) -> None: ...


class Parcels(Protocol):
    """Small files by key. `claim` writes unless there is one of that key, and tells whether it did; whoever reads
    afterwards finds the one that was first. `get` gives None if there is none."""

    def put(self, key: str, content: bytes) -> None: ...
    def claim(self, key: str, content: bytes) -> bool: ...
    def get(self, key: str) -> bytes | None: ...
