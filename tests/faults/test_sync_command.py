"""`downstage sync` from the command line, where it must not write: what it says, its exit code, and that it did not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.sync_command import Sync
from tests.faults.sync_world import World, world

pytestmark = pytest.mark.integration


def operations(out: str) -> list[tuple[str, str]]:
    """(action, key) of each object, in order of keys."""
    lines = [json.loads(line) for line in out.splitlines()]
    found = [line for line in lines if line["event"] == "object_synced"]
    return sorted((line["action"].removeprefix("(dry run) "), line["key"]) for line in found)


def refused(found: World, answer: tuple[int, str, str], code: int, word: str) -> None:
    """It ended with `code`, said that word, and nothing was written."""
    ended, out, err = answer
    assert ended == code, err[-800:]
    assert word in out + err
    assert "Traceback" not in out + err
    assert found.fake.copies.total() == found.fake.deletes.total() == 0


def test_a_dry_run_prints_what_the_run_then_does(tmp_path: Path) -> None:
    with world(40, page_size=7) as found:
        command = Sync(found, tmp_path)
        before = found.target.likeness()
        code, planned, err = command.run("sync", "test", "--dry-run", "--json")
        assert code == 0, err
        assert found.target.likeness() == before
        assert found.fake.copies.total() == found.fake.deletes.total() == 0
        code, done, err = command.run("sync", "test", "--json")
        assert code == 0, err
        assert found.arrived()
        assert operations(planned) == operations(done)
        assert len(operations(done)) == found.wanted + found.unwanted


def test_a_time_box_that_ends_is_exit_code_75_and_the_same_call_goes_on(tmp_path: Path) -> None:
    with world(60, page_size=10) as found:
        command = Sync(found, tmp_path)
        found.fake.delay = 0.6  # two pages take longer than the box
        code, _, err = command.run("sync", "test", "--time-box", "1s")
        assert code == 75, err
        assert "Traceback" not in err
        assert len(command.unfinished()) == 1
        found.fake.delay = 0.0
        code, _, err = command.run("sync", "test", "--time-box", "10m")
        assert code == 0, err
        assert found.arrived()
        assert found.fake.copies.total() == found.wanted
        assert command.unfinished() == []


@pytest.mark.parametrize(("bucket", "code"), [("prod-docs", 3), ("test-docs", 1)])
def test_a_bucket_that_belongs_to_another_account_is_refused_by_s3(tmp_path: Path, bucket: str, code: int) -> None:
    with world(20) as found:
        found.fake.buckets[bucket].owner = "999999999999"
        refused(found, Sync(found, tmp_path).run("sync", "test"), code, bucket)


def test_credentials_of_another_account_are_refused_before_anything_is_listed(tmp_path: Path) -> None:
    with world(20) as found:
        command = Sync(found, tmp_path, account="333333333333")
        refused(found, command.run("sync", "test"), 3, "333333333333")
        assert found.fake.calls["ListObjectsV2"] == 0


def test_addresses_in_keys_stop_the_sync_and_are_printed_nowhere(tmp_path: Path) -> None:
    keys = ["x/ada.king@court.example.org.pdf", "x/ada.king%40court.example.org.pdf"]
    with world(20) as found:
        for key in keys:
            found.source.add(key, b"1")
        command = Sync(found, tmp_path)
        for options in ((), ("--json",), ("--dry-run",), ("--dry-run", "--json")):
            answer = command.run("sync", "test", *options)
            refused(found, answer, 3, "2 object keys")
            assert "ada.king" not in answer[1] + answer[2]
        left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"ada.king" not in left


def test_an_empty_source_deletes_nothing(tmp_path: Path) -> None:
    with world() as found:
        found.target.add("kept", b"1")
        refused(found, Sync(found, tmp_path).run("sync", "test"), 3, "empty")
        assert list(found.target.objects) == ["kept"]
