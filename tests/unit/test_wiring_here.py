"""Whose lanes run where: with an engine on other machines, what shares a file with the launching machine is told to its
own processes, which sign in as it does and take no more together than is configured."""

from __future__ import annotations

import os
import pickle
import secrets
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from downstage.app import glue
from downstage.app.deep_lanes import DeepOrder
from downstage.app.object_worker import ObjectWorker
from downstage.app.places import ControlPlace
from downstage.app.wiring import RunPlaces, Sides, parts_for
from downstage.app.worker import LaneWorker
from downstage.domain.plan import EnginePlan, Rates
from downstage.engines.local import LocalEngine
from downstage.engines.serial import SerialEngine
from downstage.engines.spark import SparkEngine
from downstage.journals.memory import MemoryJournal
from downstage.ports import RunRecord
from downstage.testing.simple import Recorder
from downstage.workflow.parts import Parts
from tests.permissions.configurations import EVERYTHING, project

CORES = os.cpu_count() or 1
RUN = RunRecord("run-1", "test", "verify", "running", 1, "2026-01-01T00:00:00Z", "", {})


def parts_of(directory: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> Parts:
    """The parts of a run with that engine, 64 lanes at one time, at 1,000 units a second."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "example")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("MASK", secrets.token_hex(32))
    start, end = EVERYTHING.index("masking:"), EVERYTHING.index("engine:")
    plan = project(directory, f"{EVERYTHING[:start]}masking: {{key: 'env:MASK'}}\n{EVERYTHING[end:]}").plan("test")
    plan = replace(
        plan,
        engine=EnginePlan(engine, 64, glue=plan.engine.glue),
        source=replace(plan.source, credentials_file="of-the-launcher"),
        rates=Rates(read=1000.0, write=1000.0, verify=1000.0),
    )
    sides = Sides.of(replace(plan, source=replace(plan.source, credentials_file=None)))
    sides = replace(sides, plan=plan)
    places = RunPlaces(ControlPlace(plan.target, "downstage-control"), None, directory)
    return parts_for(sides, (), RUN, MemoryJournal(), places, Recorder(), lambda: None)


def deep_order(parts: Parts) -> DeepOrder:
    made = cast("partial[None]", parts.deep.lanes.deep(parts.run, ()))
    (order,) = made.args
    assert isinstance(order, DeepOrder)
    return cast("DeepOrder", pickle.loads(pickle.dumps(order)))


@pytest.mark.parametrize("engine", ["spark", "glue"])
def test_what_shares_a_file_is_done_by_processes_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setattr(glue, "engine_of", lambda *_given: SerialEngine)
    parts = parts_of(tmp_path, engine, monkeypatch)
    assert parts.here is not None
    assert isinstance(parts.engine_here, LocalEngine)
    assert parts.here.workers == CORES
    assert isinstance(parts.engine, SparkEngine if engine == "spark" else SerialEngine)

    order = deep_order(parts).order
    assert order.source.credentials_file == "of-the-launcher", "it signs in as this machine does"
    assert (order.lanes, order.journal.kind) == (CORES, "dynamodb")
    assert order.rates == Rates(read=1000 / CORES, write=1000 / CORES, verify=1000 / CORES)

    assert isinstance(parts.work, LaneWorker)
    theirs = parts.work.order(RUN, ())
    assert (theirs.lanes, theirs.rates.read) == (64, 1000 / 64)
    assert theirs.source.credentials_file == (None if engine == "glue" else "of-the-launcher")
    assert isinstance(parts.here.objects, ObjectWorker)
    assert parts.here.objects.worker.source == order.source
    assert parts.objects.inventories == tmp_path / "inventories"


@pytest.mark.parametrize("engine", ["local", "serial"])
def test_an_engine_of_this_machine_does_it_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    parts = parts_of(tmp_path, engine, monkeypatch)
    assert parts.here is None
    assert parts.engine_here is parts.engine
    assert deep_order(parts).order == cast("LaneWorker", parts.work).order(RUN, ())
