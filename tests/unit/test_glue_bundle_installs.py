"""The bundle can be installed as Glue does it: unpacked somewhere, by pip, from another directory, with no index."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

from downstage.app import glue_bundle


def wheel(name: str, *needs: str) -> tuple[str, bytes]:
    """A wheel of one module, made by hand."""
    info = f"{name}-1.0.dist-info"
    wanted = "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {
        f"{name}.py": b"HERE = True\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{wanted}".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode()
    return f"{name}-1.0-py3-none-any.whl", glue_bundle.zipped(files)


def installed(folder: Path, bundle: bytes) -> subprocess.CompletedProcess[str]:
    """Unpacks the bundle in one place and installs it from another."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        archive.extractall(folder / "unpacked")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--target", str(folder / "there")]
    command += ["--requirement", str(folder / "unpacked" / "wheels" / "requirements.txt")]
    return subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)


def test_pip_finds_all_of_it_beside_the_list_wherever_it_is_called_from(tmp_path: Path) -> None:
    done = installed(
        tmp_path, glue_bundle.bundle(dict([wheel("made_up_one", "made_up_two>=1.0"), wheel("made_up_two")]))
    )
    assert done.returncode == 0, done.stderr
    code = "import made_up_one, made_up_two; print(made_up_one.HERE and made_up_two.HERE)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "there", capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "True"


def test_what_is_missing_in_it_is_not_taken_from_anywhere_else(tmp_path: Path) -> None:
    """Else the test above would show nothing: this machine may have an index, or the wheel itself."""
    done = installed(tmp_path, glue_bundle.bundle(dict([wheel("made_up_one", "made_up_two>=1.0")])))
    assert done.returncode != 0
    assert "made_up_two" in done.stderr
