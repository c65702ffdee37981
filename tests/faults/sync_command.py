"""`downstage sync` as a process of its own, against the fake S3 (which answers for STS too)."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.faults.sync_world import PROD, TEST, World

KEY = hashlib.sha256(b"a key of these tests").hexdigest()
CONFIG = """\
version: 1
state: state
journal: sqlite
environments:
  prod:
    account: "111111111111"
    region: us-east-1
    profile: prod
    credentials_file: credentials
    endpoint: "{endpoint}"
    protected: true
  test:
    account: "222222222222"
    region: us-east-1
    profile: test
    credentials_file: credentials
    endpoint: "{endpoint}"
    refresh:
      from: prod
      buckets: [{{from: prod-docs, to: test-docs, delete: true, max_delete: "100%"}}]
masking: {{key: "env:MASK_KEY", sink: "u-{{token}}@test.example.com"}}
engine: {{default: {engine}, workers: 2}}
"""


class Sync:
    """The command line in a process group of its own, on a configuration of its own."""

    def __init__(self, found: World, directory: Path, engine: str = "serial", *, account: str = TEST) -> None:
        self._directory = directory
        (directory / "downstage.yaml").write_text(CONFIG.format(endpoint=found.fake.endpoint, engine=engine))
        (directory / "credentials").write_text(
            "".join(
                f"[{name}]\naws_access_key_id = {account}\naws_secret_access_key = secret\n"
                for name, account in (("prod", PROD), ("test", account))
            )
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `downstage`."""
        return subprocess.Popen(
            [sys.executable, "-m", "downstage", *arguments, "--config", "downstage.yaml"],
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "HOME": str(self._directory), "MASK_KEY": KEY},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str, str]:
        """Exit code and output."""
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Runs `downstage` to its end."""
        return self.ended(self.start(*arguments))

    def unfinished(self) -> list[str]:
        """The runs that were cut off, as the journal has it."""
        with closing(sqlite3.connect(f"file:{self._directory}/state/journal.sqlite?mode=ro", uri=True)) as journal:
            return [run for (run,) in journal.execute("select run_id from runs where state != 'finished'")]
