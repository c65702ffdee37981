"""Whose process is it, and what the sandbox's small parts promise without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from downstage.errors import SandboxError
from downstage.sandbox import Sandbox, indexer, state
from downstage.sandbox.clients import Account
from downstage.sandbox.emulator import EXPIRY_THREAD, without_thread
from downstage.sandbox.files import write_config, write_secrets
from downstage.sandbox.layout import paths_of
from downstage.sandbox.processes import (
    MARKER,
    ProcessIdentity,
    alive,
    end,
    identity_of,
    is_loopback,
    marked,
    open_to_the_network,
    own_processes,
)

WAITS = [sys.executable, "-c", "print('up', flush=True); import sys; sys.stdin.read()"]


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that carries the marker of `tmp_path` and is on nobody's record."""
    with subprocess.Popen(
        WAITS, env={**os.environ, MARKER: str(tmp_path)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_process_is_known_by_pid_and_creation_time(stranger: subprocess.Popen[bytes]) -> None:
    identity = identity_of("test", stranger.pid)
    assert alive(identity) is not None
    assert alive(ProcessIdentity("test", stranger.pid, identity.created - 10)) is None


def test_a_reused_pid_is_not_ours(stranger: subprocess.Popen[bytes], tmp_path: Path) -> None:
    somebody_elses = ProcessIdentity("aws", os.getppid(), 1.0)
    assert [process.pid for process in own_processes(tmp_path / "other", [somebody_elses])] == []


def test_an_orphan_is_found_by_its_marker_and_ended(stranger: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert [process.pid for process in marked(tmp_path)] == [stranger.pid]
    assert marked(tmp_path / "other") == []
    assert end(own_processes(tmp_path, [])) == 1
    stranger.wait(5)
    assert own_processes(tmp_path, []) == []


def test_what_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", deaf],
        env={**os.environ, MARKER: str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert end(own_processes(tmp_path, []), grace=0.2) == 1
        process.wait(5)


def test_a_socket_beyond_loopback_is_seen(tmp_path: Path) -> None:
    listens = "import socket, sys; s = socket.create_server(('0.0.0.0', 0)); print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", listens],
        env={**os.environ, MARKER: str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        exposed = open_to_the_network(own_processes(tmp_path, []))
        process.kill()
    assert [address.rpartition(":")[0] for address in exposed] == ["0.0.0.0"]


def test_loopback_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.0.1", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.7")))


def test_seeding_refuses_an_endpoint_that_is_not_here() -> None:
    with pytest.raises(SandboxError, match="loopback"):
        Account("http://192.0.2.7:4566", "111111111111")


def test_state_survives_writing_and_a_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert state.load(path) is None
    written = state.State([ProcessIdentity("aws", 5, 1.25)], "http://127.0.0.1:1", {"d": "u"}, True, 3, 7)
    state.save(path, written)
    assert state.load(path) == written
    path.write_text("{}")
    with pytest.raises(SandboxError, match="not a sandbox's state file"):
        state.load(path)


def test_nothing_runs_in_an_empty_directory(tmp_path: Path) -> None:
    box = Sandbox(tmp_path / "none")
    assert box.status() is None
    assert box.down() is False
    assert not (tmp_path / "none").exists()


def test_a_state_file_alone_is_not_a_running_sandbox(tmp_path: Path) -> None:
    dead = state.State(
        [ProcessIdentity("aws", os.getpid(), 1.0)], "http://127.0.0.1:9", {"d": "http://127.0.0.1:9"}, True, 3, 7
    )
    state.save(tmp_path / "state.json", dead)
    assert Sandbox(tmp_path).status() is None


def test_secrets_are_private_and_the_key_is_kept(tmp_path: Path) -> None:
    paths = paths_of(tmp_path)
    write_secrets(paths)
    key = paths.mask_key.read_text()
    assert len(bytes.fromhex(key.strip())) == 32
    write_secrets(paths)
    assert paths.mask_key.read_text() == key
    assert {path.stat().st_mode & 0o777 for path in (paths.mask_key, paths.credentials)} == {0o600}


def test_the_config_names_the_servers_and_no_absolute_path(tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    paths = paths_of(tmp_path)
    write_config(paths, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
    assert str(tmp_path) not in paths.config.read_text()
    config: dict[str, Any] = YAML(typ="safe").load(paths.config.read_text())
    assert config["environments"]["prod"]["protected"] is True
    assert config["environments"]["test"]["search_endpoints"] == {"efcms-search-test-alpha": "http://127.0.0.1:3"}
    assert config["environments"]["test"]["refresh"]["search"]["id"] == "{pk}_{sk}"
    assert config["masking"]["sink"] == "u-{token}@test.example.com"


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "{'boto3', 'botocore', 'psutil', 'ministack', 'osmem_server', 'yaml'}"
    code = f"import sys, downstage.sandbox; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_emulator_leaves_out_the_expiry_thread_only() -> None:
    started: list[str] = []
    start = without_thread(lambda thread: started.append(thread.name), EXPIRY_THREAD)
    for name in (EXPIRY_THREAD, "other"):
        start(threading.Thread(name=name))
    assert started == ["other"]


@pytest.mark.parametrize(
    ("service", "text"),
    [
        ("dynamodb", f'name="{EXPIRY_THREAD}"'),
        ("s3", "src_bucket = _ensure_bucket(src_bucket_name)"),
        ("s3", "src_tags = _object_tags.get((src_bucket_name,"),
        ("s3", "def _bucket_owner_account(name: str)"),
    ],
)
def test_ministack_still_has_what_the_emulator_mends(service: str, text: str) -> None:
    from importlib.util import find_spec

    found = find_spec(f"ministack.services.{service}")
    assert found is not None
    assert found.origin is not None
    assert text in Path(found.origin).read_text(encoding="utf-8")


def test_stream_records_become_bulk_lines() -> None:
    keys = {"pk": {"S": "case|1"}, "sk": {"S": "case|1"}}
    image = {
        **keys,
        "entityName": {"S": "Case"},
        "n": {"N": "1.10"},
        "l": {"L": [{"M": {"b": {"B": "AAE="}}}, {"NULL": True}]},
    }
    index_of = {"Case": "cases"}
    put = {"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": image}}
    remove = {"eventName": "REMOVE", "dynamodb": {"Keys": keys, "OldImage": image}}
    action, document = map(json.loads, indexer.bulk_lines(put, index_of))
    assert action == {"index": {"_index": "cases", "_id": "case|1_case|1"}}
    assert document["n"] == "1.10"
    assert document["l"] == [{"b": "AAE="}, None]
    assert indexer.bulk_lines(remove, index_of) == [json.dumps({"delete": action["index"]})]
    assert indexer.bulk_lines(put, {"User": "users"}) == []
