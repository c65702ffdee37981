"""A launcher's side of a run: the real engine, on the Glue and the buckets of this package."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from downstage.app.glue import as_json, first_line
from downstage.aws.glue import GlueJob
from downstage.aws.parcels import BucketParcels
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.engines.glue import GlueEngine, GlueOrder
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Clock
from tests.glue_server.server import ACCOUNT, FakeGlue

KEY = "5f" * 4 + "0123456789abcdef" * 4


@lru_cache
def session(place: Environment, *, patient: bool = True) -> Session:
    """Made once: making clients takes longer than most of these tests."""
    return Session(place, patient=patient)


def sealer() -> KeySealer:
    return KeySealer(MaskKey(KEY.encode()))


def engine(glue: FakeGlue, clock: Clock, epoch: int = 1, run: str = "test-1", **changes: object) -> GlueEngine:
    place = Environment("glue", ACCOUNT, "us-east-1", endpoint=glue.endpoint)
    order = GlueOrder(
        job="copy",
        run_id=run,
        epoch=epoch,
        at_once=2,
        prefix="downstage/",
        bucket="files",
        where="us-east-1",
        arguments={
            "--downstage-key": "env:MASK",
            "--downstage-source": as_json(replace(place, name="prod")),
            "--downstage-place": as_json(place),
        },
        patience=3600.0,
        first_line=first_line,
    )
    jobs = GlueJob(session(place), session(place, patient=False), "copy")
    parcels = BucketParcels(session(place), "files")
    return GlueEngine(jobs, parcels, sealer(), replace(order, **changes), clock, lambda: None)  # type: ignore[arg-type]
