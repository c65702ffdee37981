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
from downstage.engines.glue_starts import Starts
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Clock
from tests.glue_server.server import ACCOUNT, FakeGlue

BY_ITSELF = {"--conf": "spark.speculation=false", "--job-bookmark-option": "job-bookmark-disable"}
"""What the job has as arguments when nothing is said."""

KEY = "5f" * 4 + "0123456789abcdef" * 4


@lru_cache
def session(place: Environment, *, patient: bool = True) -> Session:
    """Made once: making clients takes longer than most of these tests."""
    return Session(place, patient=patient)


def sealer() -> KeySealer:
    return KeySealer(MaskKey(KEY.encode()))


def engine(
    glue: FakeGlue, clock: Clock, epoch: int = 1, run: str = "test-1", *, patient: bool = True, **changes: object
) -> GlueEngine:
    """One that is not `patient` hears of each answer that passes: botocore does not ask again by itself."""
    place = Environment("glue", ACCOUNT, "us-east-1", endpoint=glue.endpoint)
    order = GlueOrder(
        job="copy",
        run_id=run,
        epoch=epoch,
        at_once=2,
        folder=f"downstage/parcels/{run}/",
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
    jobs = GlueJob(session(place, patient=patient), session(place, patient=False), "copy")
    parcels = BucketParcels(session(place, patient=patient), "files")
    starts = Starts(parcels, order.folder, epoch, clock.now)
    order = replace(order, **changes)  # type: ignore[arg-type]
    return GlueEngine(jobs, parcels, sealer(), order, clock, lambda: BY_ITSELF, starts)
