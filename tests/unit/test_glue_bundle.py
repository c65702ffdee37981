"""What a Glue job installs: the same bytes each time, this code's own wheel, and what pip gets for Glue's Python; the
bundle's own wheel is the real one."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from downstage import __version__
from downstage.app import glue_bundle
from downstage.engines import own_code
from downstage.engines.own_code import code_digest, code_mark
from downstage.errors import ConfigError, UsageError


def test_the_bundle_is_the_same_bytes_each_time_and_lists_what_it_holds() -> None:
    files = glue_bundle.own_files()
    name, wheel = glue_bundle.own_wheel(files)
    made = glue_bundle.bundle({name: wheel, "dep-1.0-py3-none-any.whl": b"a wheel"})
    assert made == glue_bundle.bundle({"dep-1.0-py3-none-any.whl": b"a wheel", name: glue_bundle.own_wheel(files)[1]})
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert set(archive.namelist()) == {
            "wheels/requirements.txt",
            f"wheels/{name}",
            "wheels/dep-1.0-py3-none-any.whl",
        }
        listed = archive.read("wheels/requirements.txt").decode().splitlines()
        assert listed == ["--find-links .", "dep==1.0", f"downstage=={__version__}"]


def test_one_digest_tells_the_code_of_a_bundle_and_that_of_a_process() -> None:
    """Whatever marks workers of Spark marks the job; and what is no code of ours does not count."""
    files = glue_bundle.own_files()
    assert code_mark() == f"{__version__} ({code_digest(files)[:12]})"
    name = "downstage/engines/own_code.py"
    assert files[name] == Path(own_code.__file__).read_bytes()
    assert not any(each.endswith((".pyc", ".so", ".c")) or "__pycache__" in each for each in files)
    assert code_digest({**files, "other/a.py": b"", "downstage/k.so": b"", "downstage/py.typed": b"x"}) == code_digest(
        files
    )
    assert code_digest({**files, name: files[name] + b"\n"}) != code_digest(files)


def test_pip_installs_the_wheel_and_the_job_starts_from_it(tmp_path: Path) -> None:
    """Elsewhere than here, without this tree: as on a Glue worker. Dependencies are this environment's."""
    name, wheel = glue_bundle.own_wheel(glue_bundle.own_files())
    (tmp_path / name).write_bytes(wheel)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target"]
    subprocess.run([*command, str(tmp_path / "there"), str(tmp_path / name)], check=True)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from downstage.jobs import glue_main\n"
        "from downstage.masking.kernel import KERNEL\n"
        "assert glue_main.__file__.startswith(sys.argv[1]) and KERNEL is None\n"
        "sys.exit(glue_main.main(['--JOB_NAME', 'x']))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path / "there")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "the job was not started by this Downstage" in done.stderr


def test_a_given_wheel_must_be_this_code_for_glues_linux(tmp_path: Path) -> None:
    files = glue_bundle.own_files()
    name, wheel = glue_bundle.own_wheel(files)
    _, other = glue_bundle.own_wheel({**files, "downstage/more.py": b"x = 1\n", "downstage/k.so": b"compiled"})
    _, compiled = glue_bundle.own_wheel({**files, "downstage/k.so": b"compiled"})

    def named(platform: str) -> str:
        return f"downstage-0.1.0-cp311-cp311-{platform}.whl"

    good = named("manylinux2014_x86_64")
    for given, content, said in (
        (good, other, "is another downstage than this one"),
        ("downstage-0.1.0-cp313-cp313-manylinux2014_x86_64.whl", wheel, "is not for Glue's Python and Linux"),
        ("downstage-0.1.0-cp311-cp311-macosx_14_0_arm64.whl", wheel, "is no wheel of downstage for Glue's Linux"),
        ("boto3-1.0-py3-none-any.whl", wheel, "is no wheel of downstage"),
        (good, b"nothing", "is no wheel"),
        (good, wheel, "has no compiled loops: build it with a C compiler"),
        (name, compiled, "says that it runs everywhere, but has compiled loops"),
        (named("manylinux_2_39_x86_64"), compiled, r"newer Linux than Glue's, which has glibc 2\.34: build it for"),
        (named("manylinux_2_35_x86_64"), compiled, "newer Linux than Glue's"),
    ):
        (tmp_path / given).write_bytes(content)
        with pytest.raises(UsageError, match=said):
            glue_bundle.given_wheel(tmp_path / given, files)
    for given, content in (
        (good, compiled),
        (named("manylinux_2_34_x86_64"), compiled),
        (named("manylinux_2_39_x86_64.manylinux_2_28_x86_64"), compiled),
        (name, wheel),
    ):
        (tmp_path / given).write_bytes(content)
        assert glue_bundle.given_wheel(tmp_path / given, files) == (given, content)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        glue_bundle.given_wheel(tmp_path / "none.whl", files)


def test_pip_is_asked_for_glues_python_and_for_these_versions() -> None:
    asked: list[list[str]] = []

    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        wanted, pinned = (
            Path(command[command.index(name) + 1]).read_text() for name in ("--requirement", "--constraint")
        )
        assert "boto3>=" in wanted
        assert "mimesis>=" in wanted, "as the source tree says, however long ago it was installed"
        assert "pyspark" not in wanted
        assert "\nboto3==" in pinned
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir()
        (folder / "boto3-1.whl").write_bytes(b"w")
        return subprocess.CompletedProcess(command, 0, "", "")

    assert glue_bundle.dependencies(pip, (3, 11)) == {"boto3-1.whl": b"w"}
    (command,) = asked
    assert command[command.index("--python-version") + 1] == "3.11"
    assert command[command.index("--only-binary") + 1] == ":all:"


def test_what_pip_cannot_get_is_told_in_one_line() -> None:
    def pip(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution\nERROR: more\n")

    with pytest.raises(
        ConfigError, match=r"^pip cannot get what the Glue job has to install: No matching distribution$"
    ):
        glue_bundle.dependencies(pip, (3, 11))
