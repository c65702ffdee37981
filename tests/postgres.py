"""A Postgres of its own for tests, from PyPI's `pgserver`: on a socket of this machine, ended with the block."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of a fresh server; as root it runs as a user of its own."""
    pgserver = pytest.importorskip("pgserver", reason="pgserver is not installed: pip install 'downstage[dev]'")
    with tempfile.TemporaryDirectory(prefix="downstage-postgres-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
