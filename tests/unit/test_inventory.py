"""An S3 Inventory as a source's listing: what is damaged, stale or tells too little is refused by name; its objects
come in key order whatever order they were written in; and nothing is deleted on its word."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from downstage.aws.objects import S3Objects
from downstage.config.buckets import BucketPair as BucketSettings
from downstage.copying.pacing import Backoff
from downstage.domain.inventory import InventoryPlan
from downstage.domain.plan import BucketPair, MaxDelete, SyncOptions
from downstage.domain.refs import ExportBucket, SourceBucket, TargetBucket
from downstage.errors import AwsError, GuardRefused
from downstage.masking.compile import compile_pseudonyms
from downstage.masking.nested import NestedMasker
from downstage.planning.build import _sync_options
from downstage.ports import ObjectFacts, Piece
from downstage.syncing import inventory
from downstage.syncing.bucket import MOST_PARKED
from downstage.syncing.inventory import InventoryPages
from downstage.syncing.merge import Action
from downstage.syncing.whole import SyncResult, sync_whole
from downstage.testing.buckets import MemoryBuckets, MemoryTransfer
from downstage.testing.exports import MemoryExports
from downstage.testing.inventories import COLUMNS, VERSIONED, inventory_files, row
from downstage.testing.s3_server import serving
from downstage.testing.tables import MemoryTables
from downstage.testing.world import KEY, plan_of
from tests.unit.test_aws_objects import FakeSession

SOURCE, TARGET = SourceBucket("111111111111", "from"), TargetBucket("222222222222", "to")
PLAN = InventoryPlan(ExportBucket("111111111111", "lists"), "daily/from/all")
CREATED = 1_750_000_000.0
OPTIONS = SyncOptions(max_delete=MaxDelete(share=1.0), inventory=PLAN)
PAIR = BucketPair(SOURCE, TARGET, delete=True, options=OPTIONS)
ADA = "mail/ada@court.example.org/1.eml"
AWKWARD = (
    "a b", "a+b", "a%41b", "a/./b", "a/../b", "line\nend", "end ", "folder/", "comma,\"quote\"",
    "é", "\U0001f4c4", "\uffee",
)  # fmt: skip
PSEUDONYMS = compile_pseudonyms(plan_of().masking, KEY)
MASKER = NestedMasker(PSEUDONYMS.replace, PSEUDONYMS.is_kept).text


def facts(key: str, content: bytes = b"x", **more: Any) -> ObjectFacts:
    etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
    return ObjectFacts(key, etag, len(content), 1_700_000_000.0, **more)


@dataclass
class Store:
    """The inventory's bucket, and what is done with it."""

    folder: Path
    files: MemoryExports = field(default_factory=lambda: MemoryExports(MemoryTables([]), SOURCE.account, []))

    def write(self, entries: list[ObjectFacts], created: float = CREATED, **more: Any) -> Store:
        rows = more.pop("rows", [row("from", entry) for entry in entries])
        written = inventory_files("from", rows, bucket="lists", prefix=PLAN.prefix, created=created, **more)
        self.files.objects |= written
        return self

    def key(self, end: str) -> str:
        return max(key for key in self.files.objects if key.endswith(end))

    def build(self, plan: InventoryPlan = PLAN, piece: int = 64) -> Path:
        path = self.folder / "sorted" / "one.sqlite"
        found = inventory.read(self.files, plan, SOURCE, inventory.find(self.files, plan, SOURCE))
        inventory.build(path, self.files, plan, SOURCE, found, piece=piece)
        return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def listed(path: Path, prefix: str = "", after: str | None = None, limit: int = 2) -> list[ObjectFacts]:
    """Everything, page by page."""
    pages, more = InventoryPages(path), True
    found: list[ObjectFacts] = []
    try:
        while more:
            page = asyncio.run(pages.page(prefix=prefix, start_after=after, limit=limit))
            assert len(page.entries) <= limit
            found += page.entries
            more = page.more
            after = found[-1].key if found else after
    finally:
        pages.close()
    return found


def test_objects_come_in_key_order_with_all_that_a_listing_tells(store: Store) -> None:
    entries = [facts(key, key.encode()) for key in AWKWARD] + [facts("cold", storage_class="GLACIER")]
    path = store.write(entries).build()
    assert listed(path) == sorted(entries, key=lambda entry: entry.key.encode())
    assert [entry.key for entry in listed(path, "a/")] == ["a/../b", "a/./b"]
    assert [entry.key for entry in listed(path, "a/", "a/../b")] == ["a/./b"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["one.sqlite"]


def test_older_versions_and_delete_markers_are_no_objects(store: Store) -> None:
    rows = [
        row("from", facts("kept")),
        row("from", facts("kept", b"older"), IsLatest="false"),
        row("from", facts("gone"), IsDeleteMarker="true", ETag="", Size=""),
        row("from", facts("gone", b"older"), IsLatest="false"),
    ]
    assert listed(store.write([], rows=rows, columns=VERSIONED).build()) == [facts("kept")]


def test_an_inventory_of_nothing_lists_nothing(store: Store) -> None:
    assert listed(store.write([]).build()) == []


def test_a_page_reads_no_more_rows_than_it_gives(store: Store) -> None:
    path = store.write([facts(f"{number:04}") for number in range(500)], most=100).build(piece=4096)
    pages, read = InventoryPages(path), 0

    def steps() -> int:
        nonlocal read
        read += 1
        return 0

    pages._database.set_progress_handler(steps, 1)
    worked = []
    for after in (None, "0250", "0490"):
        read = 0
        asyncio.run(pages.page(start_after=after, limit=5))
        worked.append(read)
    pages.close()
    assert max(worked) < 2 * min(worked) < 500


def test_the_newest_complete_inventory_is_taken(store: Store) -> None:
    store.write([facts("old")], CREATED - 86400)
    store.write([facts("new")])
    assert [entry.key for entry in listed(store.build())] == ["new"]
    del store.files.objects[store.key("manifest.checksum")]
    assert inventory.find(store.files, PLAN, SOURCE) < store.key("manifest.json"), "one without checksum is not ready"
    named = replace(PLAN, prefix="", manifest=store.key("manifest.json"))
    assert inventory.find(store.files, named, SOURCE) == named.manifest


def _other_manifest(store: Store) -> None:
    store.files.objects[store.key("manifest.json")] += b" "


def _damaged_data(store: Store) -> None:
    content = bytearray(store.files.objects[store.key(".gz")])
    content[4] ^= 1  # the time in gzip's head: it unpacks to the same
    store.files.objects[store.key(".gz")] = bytes(content)


def _shorter_data(store: Store) -> None:
    store.files.objects[store.key(".gz")] = store.files.objects[store.key(".gz")][:-1]


def _no_data(store: Store) -> None:
    del store.files.objects[store.key(".gz")]


def _no_inventory(store: Store) -> None:
    store.files.objects.clear()


def _truncated(store: Store) -> None:
    """The manifest is of the truncated file itself."""
    key = store.key(".gz")
    content = store.files.objects[key][:-4]
    store.files.objects[key] = content
    _rewritten(store, lambda manifest: manifest["files"][-1].update(
        size=len(content), MD5checksum=hashlib.md5(content, usedforsecurity=False).hexdigest()
    ))  # fmt: skip


def _rewritten(store: Store, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = orjson.loads(store.files.objects[store.key("manifest.json")])
    change(manifest)
    written = orjson.dumps(manifest)
    store.files.objects[store.key("manifest.json")] = written
    digest = hashlib.md5(written, usedforsecurity=False).hexdigest()
    store.files.objects[store.key("manifest.checksum")] = digest.encode()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_other_manifest, "is not what manifest.checksum says"),
        (_damaged_data, "another MD5"),
        (_shorter_data, "another size"),
        (_no_data, "there is no daily/from/all/data/"),
        (_no_inventory, "there is none below s3://lists/daily/from/all"),
        (_truncated, "breaks off"),
        (lambda store: _rewritten(store, lambda manifest: manifest.update(sourceBucket="other")), "another bucket"),
        (lambda store: _rewritten(store, lambda manifest: manifest["files"].append(manifest["files"][0])), "twice"),
        (lambda store: _rewritten(store, lambda manifest: manifest.pop("fileSchema")), "not that of an inventory"),
    ],
)
def test_what_is_damaged_is_refused_and_leaves_nothing(store: Store, damage: Callable[[Store], None], why: str) -> None:
    damage(store.write([facts(ADA), facts("b"), facts("c")]))
    with pytest.raises(GuardRefused, match=why) as caught:
        store.build()
    assert "ada@" not in str(caught.value)
    assert not list(store.folder.rglob("*sqlite*"))


@pytest.mark.parametrize("kind", ["Parquet", "ORC"])
def test_other_formats_are_refused_by_name(store: Store, kind: str) -> None:
    with pytest.raises(GuardRefused, match=f"is in {kind}; only CSV"):
        store.write([facts("a")], fileFormat=kind).build()


@pytest.mark.parametrize("column", ["Key", "Size", "LastModifiedDate", "ETag"])
def test_a_missing_column_is_refused_by_name(store: Store, column: str) -> None:
    columns = [name for name in COLUMNS if name != column]
    with pytest.raises(GuardRefused, match=f"no column {column}"):
        store.write([facts("a")], columns=columns).build()


def test_versions_without_a_word_on_which_is_the_newest_are_refused(store: Store) -> None:
    with pytest.raises(GuardRefused, match="which is the newest"):
        store.write([facts("a")], columns=[name for name in VERSIONED if name != "IsLatest"]).build()


@pytest.mark.parametrize(
    "changes",
    [
        {"Bucket": "other"}, {"Size": "many"}, {"Key": "%ff"}, {"Key": ""}, {"ETag": ""}, {"LastModifiedDate": "now"},
        {"LastModifiedDate": "2026-01-01T00:00:00"}, {"Key": 'a"b'}, {"Key": "a\nb"},
    ],
)  # fmt: skip
def test_a_line_that_is_no_object_is_refused_without_its_text(store: Store, changes: dict[str, str]) -> None:
    rows = [row("from", facts(ADA), **changes), row("from", facts("b"))]
    with pytest.raises(GuardRefused, match="holds a line that is not an object") as caught:
        store.write([], rows=rows).build()
    assert "ada" not in str(caught.value)


def test_an_object_that_is_named_twice_is_refused(store: Store) -> None:
    with pytest.raises(GuardRefused, match="names an object twice"):
        store.write([facts("a"), facts("b"), facts("a")]).build()


def test_what_unpacks_to_more_than_lines_is_refused(store: Store) -> None:
    store.write([facts("a")])
    key = store.key(".gz")
    content = gzip.compress(b"x" * (20 << 20))
    store.files.objects[key] = content
    _rewritten(store, lambda manifest: manifest["files"][-1].update(
        size=len(content), MD5checksum=hashlib.md5(content, usedforsecurity=False).hexdigest()
    ))  # fmt: skip
    with pytest.raises(GuardRefused, match="a line that is longer"):
        store.build(piece=1 << 20)


def test_a_stale_inventory_and_one_of_the_future_are_refused(store: Store) -> None:
    store.write([facts("a")])
    found = inventory.read(store.files, PLAN, SOURCE, inventory.find(store.files, PLAN, SOURCE))
    assert inventory.check_age(found, PLAN, SOURCE, CREATED + 3600) == 3600
    with pytest.raises(GuardRefused, match=r"49\.0 h old, and 'inventory.max_age' is 48\.0 h"):
        inventory.check_age(found, PLAN, SOURCE, CREATED + 49 * 3600)
    with pytest.raises(GuardRefused, match="future"):
        inventory.check_age(found, PLAN, SOURCE, CREATED - 3600)


def test_a_file_is_read_in_pieces_of_one_and_the_same_object(store: Store) -> None:
    store.write([facts("a"), facts("b")])
    data, read = store.key(".gz"), store.files.read
    lengths: list[int] = []

    def replaced(bucket: ExportBucket, key: str, start: int, length: int, etag: str | None) -> Piece:
        if key == data:
            lengths.append(length)
            if start:
                store.files.objects[data] = gzip.compress(b"another")
        return read(bucket, key, start, length, etag)

    store.files.read = replaced  # type: ignore[method-assign]
    with pytest.raises(GuardRefused, match="replaced while it was read"):
        store.build(piece=16)
    assert lengths == [16, 16]


# -- the sync


class Buckets:
    """A source that has moved on since its inventory was made."""

    def __init__(self) -> None:
        self.store = MemoryBuckets([])
        for key in ("changed", "gone-nowhere", "gone-from-both", "kept", "new-in-both"):
            self.store.put("from", key, b"as listed")
        self.store.buckets["to"] = {"kept": self.store.buckets["from"]["kept"]}
        self.store.contents["to", "kept"] = b"as listed"
        self.entries = [entry for key, entry in self.store.buckets["from"].items() if key != "new-in-both"]
        self.store.put("from", "changed", b"by now")
        self.store.put("from", "late", b"not in the inventory")
        for key in ("late-and-differs", "mail"):
            self.store.put("from", key, b"newer")
        for key in ("gone-from-both", "late-and-differs", "old"):
            self.store.put("to", key, b"stale")
        self.store.buckets["to"]["new-in-both"] = self.store.buckets["from"]["new-in-both"]
        for key in ("gone-nowhere", "gone-from-both"):
            del self.store.buckets["from"][key]

    def sync(self, path: Path, pair: BucketPair = PAIR, **more: Any) -> tuple[SyncResult, list[tuple[Action, str]]]:
        finished: list[tuple[Action, str]] = []
        pages = InventoryPages(path)

        async def at_once(_seconds: float) -> None:
            """Waits for nothing."""

        try:
            result = asyncio.run(
                sync_whole(
                    pair,
                    MemoryTransfer(self.store, 2),
                    listed=pages,
                    finished=lambda action, key, _: finished.append((action, key)),
                    sleep=at_once,
                    **more,
                )
            )
        finally:
            pages.close()
        return result, sorted(finished)


def test_the_inventory_says_what_to_copy_and_the_source_what_to_delete(store: Store) -> None:
    buckets = Buckets()
    result, finished = buckets.sync(store.write(buckets.entries).build())
    assert finished == [
        (Action.COPY, "changed"),  # named with another ETag: refused, looked at again, copied as it is by now
        (Action.COPY, "late-and-differs"),  # the inventory lacks it: it would be deleted, and the source has it
        (Action.DELETE, "gone-from-both"),  # named, and gone: parked, looked at again
        (Action.DELETE, "old"),  # neither the inventory nor the source has it
    ]
    assert (result.complete, result.failed) == (True, [])
    assert result.planned["delete"] == 1, "the plan pass asks the source too"
    target = buckets.store.buckets["to"]
    assert sorted(target) == ["changed", "kept", "late-and-differs", "new-in-both"]
    assert target["changed"].etag == buckets.store.buckets["from"]["changed"].etag


def test_an_empty_inventory_deletes_nothing_that_the_source_has(store: Store) -> None:
    buckets = Buckets()
    before = {key for key in buckets.store.buckets["to"] if key in buckets.store.buckets["from"]}
    path = store.write([]).build()
    none = replace(PAIR, options=replace(OPTIONS, max_delete=MaxDelete(objects=0)))
    with pytest.raises(GuardRefused, match="than max_delete allows"):
        buckets.sync(path, none)
    assert buckets.store.writes == []
    buckets.sync(path)
    assert before <= set(buckets.store.buckets["to"])


def test_an_inventory_that_the_source_has_left_far_behind_ends_the_sync_with_a_word_on_it(store: Store) -> None:
    buckets = Buckets()
    path = store.write([facts(f"{number:05}") for number in range(MOST_PARKED + 1)], most=500).build(piece=4096)
    with pytest.raises(AwsError, match=r"NoSuchKey.*sync with a newer one"):
        buckets.sync(path)
    assert {"kept", "new-in-both"} <= set(buckets.store.buckets["to"])


def test_keys_with_addresses_stop_the_sync_as_in_a_listing(store: Store) -> None:
    buckets = Buckets()
    buckets.store.put("from", ADA, b"x")
    path = store.write([*buckets.entries, buckets.store.buckets["from"][ADA]]).build()
    with pytest.raises(GuardRefused, match="1 object keys of bucket from hold e-mail addresses"):
        buckets.sync(path, personal=MASKER)
    assert buckets.store.writes == []


def test_an_address_that_only_the_live_source_has_is_not_copied_for_the_targets_sake(store: Store) -> None:
    buckets = Buckets()
    buckets.store.put("from", ADA, b"newer")
    buckets.store.put("to", ADA, b"stale")
    _, finished = buckets.sync(store.write(buckets.entries).build(), personal=MASKER)
    assert (Action.DELETE, ADA) in finished
    assert ADA not in buckets.store.buckets["to"]


def test_a_sync_by_inventory_over_the_wire(store: Store) -> None:
    keys = [*AWKWARD, *(f"case/{number:05}.pdf" for number in range(2100))]
    with serving() as fake:
        source, target = fake.bucket("from", SOURCE.account), fake.bucket("to", TARGET.account)
        kept = [source.add(key, key.encode()) for key in keys]
        for key in ("late", "old"):
            target.add(key, b"stale")
        entries = [facts(key, key.encode())._replace(etag=each.etag) for key, each in zip(keys, kept, strict=True)]
        source.add("late", b"not in the inventory")
        path = store.write(entries, most=500).build(piece=4096)

        async def run() -> SyncResult:
            session: Any = FakeSession(fake.endpoint)
            pages = InventoryPages(path)
            objects = S3Objects(session, "us-east-1", connections=8, backoff=Backoff(0.001, 0.002, 4), options=OPTIONS)
            try:
                return await sync_whole(PAIR, objects, listed=pages)
            finally:
                objects.close()
                pages.close()

        result = asyncio.run(run())
        assert (result.complete, result.failed) == (True, [])
        assert {key: target.get(key).body for key in [*keys, "late"]} == {
            **{key: key.encode() for key in keys},
            "late": b"not in the inventory",
        }
        assert (result.counters["copied"], result.counters["deleted"]) == (len(keys) + 1, 1)
        assert fake.calls["CopyObject"] == len(keys) + 1
        assert fake.calls["ListObjectsV2"] <= 12, "the source is not listed, but for the keys to be deleted"
        assert not fake.unguarded


# -- the configuration


def settings(**inventory_settings: Any) -> BucketSettings:
    written = {"from": "documents-prod", "to": "documents-test", "inventory": {"bucket": "lists", **inventory_settings}}
    return BucketSettings.model_validate(written)


def test_what_the_configuration_says_reaches_the_plan() -> None:
    assert _sync_options(settings(prefix="daily/from/all", max_age="24h"), SOURCE.account).inventory == InventoryPlan(
        PLAN.bucket, PLAN.prefix, "", 86400.0
    )
    named = "daily/from/all/2026-03-01T01-00Z/manifest.json"
    found = _sync_options(settings(manifest=named), SOURCE.account).inventory
    assert found == InventoryPlan(PLAN.bucket, "", named)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"prefix": "a", "manifest": "a/manifest.json"},
        {"prefix": "a/"},
        {"manifest": "a/other.json"},
        {"prefix": ""},
    ],
)
def test_what_means_no_inventory_or_two_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_renamed_copies_are_not_deleted_on_an_inventorys_word() -> None:
    written = {"from": "documents-prod", "to": "documents-test", "inventory": {"bucket": "lists", "prefix": "a"}}
    BucketSettings.model_validate({**written, "on_personal_key": "mask"})
    with pytest.raises(ValidationError, match="renamed copy would be deleted"):
        BucketSettings.model_validate({**written, "on_personal_key": "mask", "delete": True})
