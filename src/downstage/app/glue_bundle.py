"""What a Glue job has to install: this very Downstage and what it depends on, as Glue 5 takes it (a zip of wheels).

The wheel is made of the installed package itself, without its compiled loops (the loops in Python say the same), so
that nothing has to be built and the code there is the code here, byte for byte. Dependencies are those of this
environment, version by version, downloaded by pip for Glue's Python and Linux. The same input gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import downstage
from downstage import __version__
from downstage.engines.own_code import code_digest, own_paths
from downstage.errors import ConfigError, UsageError

PYTHON = "3.11"
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")
GLIBC = (2, 34)
"""Of Amazon Linux 2023, which Glue 5 runs on. A wheel for a newer one installs nowhere there."""

_LEFT_OUT = (".so", ".pyd", ".pyc", ".c", ".pyx", ".pxi")
_INFO = f"downstage-{__version__}.dist-info"
_WHEEL = "Wheel-Version: 1.0\nGenerator: downstage\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def own_files() -> dict[str, bytes]:
    """The files of this Downstage by their paths in a wheel, but what is compiled."""
    return {name: path.read_bytes() for name, path in own_paths() if not name.endswith(_LEFT_OUT)}


def own_wheel(files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """A wheel for every platform: its file name and its bytes."""
    held = {**files, f"{_INFO}/METADATA": _own_metadata().encode(), f"{_INFO}/WHEEL": _WHEEL.encode()}
    record = "".join(f"{name},sha256={_url_safe(content)},{len(content)}\n" for name, content in held.items())
    held[f"{_INFO}/RECORD"] = f"{record}{_INFO}/RECORD,,\n".encode()
    return f"downstage-{__version__}-py3-none-any.whl", zipped(held)


def given_wheel(path: Path, files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """A wheel of this Downstage that was built elsewhere, with compiled loops. Raises UsageError if it is another's, or
    if Glue could not install it, or would without them."""
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            held = {name: archive.read(name) for name in archive.namelist() if name.endswith(".py")}
            compiled = any(name.endswith(".so") for name in archive.namelist())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except zipfile.BadZipFile:
        raise UsageError(f"{path} is no wheel") from None
    tags = path.name.removesuffix(".whl").split("-")[2:]
    pure = tags[-1:] == ["any"]
    if not path.name.startswith("downstage-") or not (pure or "manylinux" in path.name):
        raise UsageError(f"{path.name} is no wheel of downstage for Glue's Linux (manylinux, x86_64)")
    if not pure and not (path.name.endswith("x86_64.whl") and f"cp{PYTHON.replace('.', '')}" in tags):
        raise UsageError(f"{path.name} is not for Glue's Python and Linux: build one for cp311, manylinux, x86_64")
    if not pure and not any(_runs_there(tag) for tag in tags[-1].split(".")):
        raise UsageError(
            f"{path.name} needs a newer Linux than Glue's, which has glibc {GLIBC[0]}.{GLIBC[1]}: build it for "
            "manylinux_2_28"
        )
    if compiled is pure:
        raise UsageError(
            f"{path.name} {'says that it runs everywhere, but has' if pure else 'has no'} compiled loops: build it "
            "with a C compiler, for cp311, manylinux, x86_64"
        )
    if code_digest(held) != code_digest(files):
        raise UsageError(f"{path.name} is another downstage than this one: build it from the code that runs here")
    return path.name, content


def _runs_there(tag: str) -> bool:
    """Whether a platform that a wheel's name tells is one of Glue's."""
    if tag in ("manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64"):
        return True
    found = re.fullmatch(r"manylinux_(\d+)_(\d+)_x86_64", tag)
    return found is not None and (int(found[1]), int(found[2])) <= GLIBC


def dependencies(
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run,
    running: tuple[int, int] = sys.version_info[:2],
) -> dict[str, bytes]:
    """The wheels of all that Downstage depends on, by file name. Raises ConfigError if pip cannot get one, or runs on
    another Python than the job's: what a package needs on some Pythons only, pip decides by the one it runs on."""
    here = "{}.{}".format(*running)
    if here != PYTHON:
        raise ConfigError(
            f"this is Python {here}, on which pip may leave out what Glue's {PYTHON} needs: run "
            f"'downstage glue deploy' with Python {PYTHON} (nothing was written)"
        )
    with tempfile.TemporaryDirectory(prefix="downstage-bundle-") as folder:
        wanted, pinned, wheels = (Path(folder) / name for name in ("wanted.txt", "pinned.txt", "wheels"))
        wanted.write_text("".join(f"{one}\n" for one in requirements()), encoding="utf-8")
        pinned.write_text("".join(f"{one}\n" for one in sorted(_installed())), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", PYTHON]
        for platform in PLATFORMS:
            command += ["--platform", platform]
        command += ["--dest", str(wheels), "--requirement", str(wanted), "--constraint", str(pinned)]
        done = run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigError(f"pip cannot get what the Glue job has to install: {_why(done.stderr)}")
        return {path.name: path.read_bytes() for path in sorted(wheels.glob("*.whl"))}


def requirements() -> list[str]:
    """What Downstage itself depends on, without its extras. A source tree says so itself: what pip wrote down when it
    was installed from there may be older."""
    project = Path(downstage.__file__).parents[2] / "pyproject.toml"
    if project.is_file():
        told = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
        if told.get("name") == "downstage":
            return list(told["dependencies"])
    return [one for one in metadata.requires("downstage") or () if "extra ==" not in one]


def bundle(wheels: Mapping[str, bytes]) -> bytes:
    """The zip of wheels, with the list that Glue installs from."""
    pins = ("{}=={}".format(*name.split("-")[:2]) for name in sorted(wheels))
    listed = "\n".join(["--find-links .", *pins, ""])  # the folder that the list lies in, wherever pip is called from
    return zipped({"wheels/requirements.txt": listed.encode(), **{f"wheels/{name}": wheels[name] for name in wheels}})


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip whose bytes depend on nothing but names and contents."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.external_attr = 0o644 << 16
            packed = name.endswith(".whl")
            archive.writestr(entry, files[name], zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _own_metadata() -> str:
    lines = ["Metadata-Version: 2.1", "Name: downstage", f"Version: {__version__}", f"Requires-Python: >={PYTHON}"]
    return "\n".join([*lines, *(f"Requires-Dist: {one}" for one in requirements())]) + "\n"


def _installed() -> Iterator[str]:
    for one in metadata.distributions():
        if one.name.lower() != "downstage" and "+" not in one.version:
            yield f"{one.name}=={one.version}"


def _url_safe(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _why(said: str) -> str:
    lines: Sequence[str] = [line for line in said.splitlines() if line.strip()]
    told = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")] or lines[-1:]
    return (told[0] if told else "it gives no reason")[:300]
