"""The Spark tests on Spark 4, which the suite's own environment cannot hold: `make test-spark4`.

Spark 4 does not begin on the Java that comes with the extra, so the machine's own JDK is used, and pyspark 4 stands in
an environment beside the suite's. What is tested is the wheel, built from a copy: the tree is not touched. The log says
what ran on what, and how it ended; nothing in it tells of the machine's folders.

Nothing but the standard library is imported here: any Python that Downstage takes can run it.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
SPARK = "pyspark>=4,<5"
LEAST_JAVA = 17
SUITES = (
    "tests/contract/test_spark_engine.py",
    "tests/contract/test_spark_cluster.py",
    "tests/contract/test_spark_settings.py",
    "tests/contract/test_glue_job.py",
    "tests/e2e/test_spark.py",
    "tests/faults/test_spark_faults.py",
    "tests/integration/test_spark_lanes.py",
)
_CLOSING = 40
_PATIENCE = 3600.0


def java_home() -> tuple[Path, str]:
    """The JDK that `java` on the PATH belongs to, and its version. Ends with one line if there is none that fits."""
    program = shutil.which("java")
    install = "install a JDK 17 (on Debian: apt install openjdk-17-jdk-headless), and put its java on the PATH"
    if program is None:
        sys.exit(f"Spark 4 needs a Java of the machine's own, and there is none: {install}")
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)([^"]*)"', said)
    if found is None or int(found[1]) < LEAST_JAVA:
        sys.exit(f"Spark 4 needs Java {LEAST_JAVA}, and java on the PATH is {found[1] if found else 'none'}: {install}")
    return Path(program).resolve().parents[1], found[1] + found[2]


def requirements() -> list[str]:
    """What Downstage and its tests need, with Spark 4 in place of the extra's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["sandbox"]]
    return [*(each for each in wanted if not each.startswith("pyspark")), SPARK]


def install(place: Path) -> Path:
    """The environment's interpreter, with the newest Spark 4 and the wheel of this tree, which is kept there too."""
    python = place / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--upgrade", *requirements()], check=True)
    wheels = place / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, folder)
        left_out = shutil.ignore_patterns("__pycache__", "*.so", "*.c", "*.egg-info")
        shutil.copytree(ROOT / "src", Path(folder) / "src", ignore=left_out)
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), folder], check=True)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--force-reinstall", str(wheel)], check=True)
    return python


def run(python: Path, java: Path, suites: list[str]) -> tuple[int, list[str]]:
    """The suites' exit code, and what pytest printed, which is shown as it comes."""
    (wheel,) = (python.parents[1] / "wheel").glob("*.whl")
    environ = {
        **os.environ,
        "JAVA_HOME": str(java),
        "DOWNSTAGE_WHEEL": str(wheel),
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "-v", *suites]
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as tests:
        assert tests.stdout is not None
        for line in tests.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line.rstrip())
        return tests.wait(_PATIENCE), lines


def versions(python: Path, java: str) -> str:
    """What the tests ran on, in words."""
    ask = "import platform, pyspark; print(pyspark.__version__, platform.python_version())"
    said = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    return f"pyspark {said[0]}, Python {said[1]}, Java {java}, {platform.system()} {platform.machine()}"


def log(about: str, lines: list[str], code: int, seconds: float) -> str:
    """The log's text: one line for each test, then how pytest closed; folders of this machine are taken out."""
    tests = [line for line in lines if re.match(r"tests/\S+::.* (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)", line)]
    closing = next((at for at, line in enumerate(lines) if "short test summary" in line), len(lines) - 1)
    kept = [*tests, "", *lines[closing:][-_CLOSING:]]
    text = "\n".join(_homeless(line) for line in kept)
    day = datetime.now(UTC).date().isoformat()
    return (
        f"# The Spark tests on Spark 4\n\nMade by `make test-spark4` on {day}: {about}; "
        f"{seconds / 60:.0f} minutes, exit code {code}.\n\n```\n{text}\n```\n"
    )


def _homeless(line: str) -> str:
    for folder, name in ((ROOT, "."), (Path.home(), "~"), (Path(tempfile.gettempdir()), "TEMP")):
        line = line.replace(str(folder), name)
    return line


def main() -> int:
    """The exit code of pytest; the log is written whatever it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, required=True, help="where pyspark 4 is installed")
    parser.add_argument("--log", type=Path, help="where the log is written")
    parser.add_argument("suites", nargs="*", default=list(SUITES))
    arguments = parser.parse_args()
    java, version = java_home()
    os.nice(10)
    python = install(arguments.venv.absolute())
    began, loads = time.monotonic(), [os.getloadavg()[0]]
    code, lines = run(python, java, arguments.suites)
    loads.append(os.getloadavg()[0])
    about = f"{versions(python, version)}, {os.cpu_count()} cores, load {loads[0]:.0f} before and {loads[1]:.0f} after"
    if arguments.log:
        arguments.log.write_text(log(about, lines, code, time.monotonic() - began))
    return code


if __name__ == "__main__":
    sys.exit(main())
