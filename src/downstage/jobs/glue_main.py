"""What an AWS Glue job runs, and what `spark-submit` can run as well: opens a parcel, carries it out, seals the result.

    spark-submit glue_main.py --downstage-parcel s3://BUCKET/KEY --downstage-key REFERENCE \\
        --downstage-source JSON --downstage-place JSON

It reads the masking key with the source's role, and so can open the parcel, which nobody else could have made.
Arguments of Glue's own are let pass. Nothing of an item is printed, whatever happens: Glue repeats the last words of
a job to everybody who may look at it. The run that claims a parcel carries it out; another one leaves it alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from downstage.aws.parcels import BucketParcels
from downstage.aws.secrets import KeyReader
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.engines.parcel import Result, Work, claim_key, pack, result_key, unpack_work
from downstage.engines.spark import SparkEngine
from downstage.engines.spark_session import SparkSettings
from downstage.errors import ConfigError, DownstageError, Unreachable
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Engine, Lane, Sealer
from downstage.ports.glue import Parcels


@dataclass(frozen=True, slots=True)
class Task:
    """What the arguments say. `source` is who the masking key is read as; `place` is where the job runs; `run_id` is
    Glue's, or empty."""

    bucket: str
    parcel: str
    key: str
    source: Environment
    place: Environment
    run_id: str


def task_of(arguments: Sequence[str]) -> Task:
    """Raises ConfigError for arguments that are not a launcher's."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False, add_help=False)
    for name in ("--downstage-parcel", "--downstage-key", "--downstage-source", "--downstage-place"):
        parser.add_argument(name, default="")  # argparse would exit, and tell Glue what it was given
    parser.add_argument("--JOB_RUN_ID", default="")
    try:
        found, _ = parser.parse_known_args(arguments)
        bucket, slash, parcel = found.downstage_parcel.removeprefix("s3://").partition("/")
        if not (bucket and slash and parcel and found.downstage_key and found.downstage_parcel.startswith("s3://")):
            raise ValueError
        source, place = (environment_from(text) for text in (found.downstage_source, found.downstage_place))
    except (argparse.ArgumentError, ValueError, TypeError):
        raise ConfigError(
            "the job was not started by this Downstage: use 'downstage refresh ENV --engine glue'"
        ) from None
    return Task(bucket, parcel, found.downstage_key, source, place, found.JOB_RUN_ID)


def environment_from(text: str) -> Environment:
    """An environment out of JSON. Raises ValueError or TypeError if it is none."""
    values = json.loads(text)
    return Environment(**{**values, "search_endpoints": tuple(map(tuple, values.get("search_endpoints", ())))})


def spark(at_once: int) -> Engine:
    """Lanes as tasks of the application that this is."""
    from pyspark.sql import SparkSession

    SparkSession.builder.getOrCreate()
    return SparkEngine(at_once, SparkSettings())


def carry_out(task: Task, parcels: Parcels, sealer: Sealer, engine: Callable[[int], Engine]) -> None:
    """Does what the parcel says and leaves the result, which grows as lanes end. Raises the error that ended it,
    which the result holds too."""
    packed = parcels.get(task.parcel)
    if packed is None:
        raise ConfigError("the job's parcel is not there any more: resume the run, and a new one is made")
    work = unpack_work(sealer, task.parcel, packed)
    ended: list[Lane] = []

    def tell(error: DownstageError | None = None) -> None:
        key = result_key(task.parcel)
        parcels.put(key, pack(sealer, key, Result(tuple(ended), error)))

    try:
        _lanes(work, engine(work.at_once), ended, tell)
    except DownstageError as error:
        with suppress(Unreachable):  # what ended the lanes says more
            tell(error)
        raise
    except Exception as problem:  # noqa: BLE001  its text might quote an item
        kind = DownstageError(f"the Glue job died ({type(problem).__name__}): see its log, then resume the run")
        with suppress(Unreachable):
            tell(kind)
        raise kind from None
    tell()


def _lanes(work: Work, engine: Engine, ended: list[Lane], tell: Callable[[], None]) -> None:
    """Runs the lanes, and tells of each as it ends; of many, whenever there are a twentieth more, for all are told of
    each time. Where S3 does not take it the next one tells, or the last."""
    told = 0
    for lane in engine.run(work.work, work.lanes):
        ended.append(lane)
        if len(ended) - told > told // 20:
            with suppress(Unreachable):
                tell()
                told = len(ended)


def is_mine(task: Task, parcels: Parcels) -> bool:
    """Whether this run is to carry the parcel out. Without an id, whoever submitted it has seen to that."""
    if not task.run_id:
        return True
    mine = task.run_id.encode()
    return parcels.claim(claim_key(task.parcel), mine) or parcels.get(claim_key(task.parcel)) == mine


def main(arguments: Sequence[str], engine: Callable[[int], Engine] = spark) -> int:
    """Gives the exit code; says in one line why it is not 0."""
    try:
        task = task_of(arguments)
        place = replace(task.place, role=None, external_id=None, profile=None, credentials_file=None)
        parcels = BucketParcels(Session(place), task.bucket)
        if not is_mine(task, parcels):
            print("downstage: another run carries this parcel out: nothing was done", file=sys.stderr)  # noqa: T201
            return 0
        sealer = KeySealer(MaskKey(KeyReader(Session(task.source), os.environ).read(task.key)))
        carry_out(task, parcels, sealer, engine)
    except DownstageError as error:
        print(f"downstage: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except Exception as problem:  # noqa: BLE001  the last line of defence: a traceback may quote an item
        print(f"downstage: internal error ({type(problem).__name__}); this is a bug", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    if code:  # some versions of Glue take any exit for a failure
        sys.exit(code)
