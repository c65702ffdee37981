"""Our own S3 calls and the whole sync against three stores: ministack, moto and SeaweedFS (which checks signatures).

Every awkward key arrives and is deleted again, with metadata, content headers and tags; listings go on over pages and
stand in byte order; a second sync has nothing to do, after multipart uploads too. Where a store is known to be wrong,
the difference stands here or in `object_stores.keys` as data, and a store that does anything else fails.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

from downstage.aws.objects import S3Objects
from downstage.domain.plan import BucketPair, MaxDelete, SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import DownstageError, VerificationFailed
from downstage.ports import CopyResult, ObjectFacts
from downstage.syncing.whole import SyncResult, sync_whole
from tests.object_stores.engines import NAMES, PROD, REGION, TEST, Engine, running
from tests.object_stores.keys import AWKWARD, UNCOPIED, kept_as
from tests.object_stores.looking import Thing, etags_of, keys_of, make_buckets, put, put_all, things_of

pytestmark = pytest.mark.integration

ANYTHING = MaxDelete(share=1.0)
FULL = Thing(
    b"%PDF-1.7 nothing\x00\xff",
    {
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a b.pdf"',
        "ContentEncoding": "identity",
        "ContentLanguage": "en",
        "ContentType": "application/pdf",
    },
    {"case": "101-24", "note": "two  spaces, comma; and =+%41"},
    {"kind": "brief", "a b": "c+d/e=f@g:h_-."},
)
_LISTED_BY_FOLDER = {"seaweedfs"}
_COPIES_WHAT_CHANGED = {"moto"}
_NO_TAGS_ON_MULTIPART_UPLOADS = {"ministack"}
_NUMBER = itertools.count()
Result = TypeVar("Result")


@pytest.fixture(scope="module", params=NAMES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


class Pair:
    """Two fresh buckets, and what the product does with them."""

    def __init__(self, engine: Engine, *, versioned: bool = False) -> None:
        self.engine = engine
        self.source, self.target = make_buckets(engine, f"docs-{next(_NUMBER)}", versioned=versioned)
        self.prod, self.test = engine.client(PROD), engine.client(TEST)
        self.refs = SourceBucket(PROD, self.source), TargetBucket(TEST, self.target)
        self.finished: Counter[str] = Counter()

    def with_objects(self, work: Callable[[S3Objects], Coroutine[Any, Any, Result]], **settings: Any) -> Result:
        """Runs `work` with the product's own calls."""

        async def run() -> Result:
            objects = S3Objects(self.engine.session(), REGION, **settings)
            try:
                return await work(objects)
            finally:
                objects.close()

        return asyncio.run(run())

    def sync(
        self, *, ranges: int = 1, smallest: int = 20_000, options: SyncOptions | None = None, **settings: Any
    ) -> SyncResult:
        """The whole sync with deletes."""
        found = options or SyncOptions(max_delete=ANYTHING)
        pair = BucketPair(*self.refs, delete=True, options=found)
        self.finished.clear()

        def finished(action: Any, key: str, reason: str) -> None:
            self.finished[str(action)] += 1

        return self.with_objects(
            lambda objects: sync_whole(pair, objects, ranges=ranges, smallest=smallest, finished=finished),
            options=found,
            **settings,
        )

    def listed(self) -> list[ObjectFacts]:
        """The source's listing by our own calls, page after page."""

        async def pages(objects: S3Objects) -> list[ObjectFacts]:
            found: list[ObjectFacts] = []
            while True:
                page = await objects.page(self.refs[0], start_after=found[-1].key if found else None)
                found += page.entries
                if not page.more:
                    return found

        return self.with_objects(pages)

    def copied(self, item: ObjectFacts) -> CopyResult:
        """One copy by our own calls."""
        return self.with_objects(lambda objects: objects.copy(*self.refs, item, item.key))


def figures(result: SyncResult) -> tuple[int, int, int]:
    """Copied, deleted, unchanged."""
    return tuple(result.counters.get(name, 0) for name in ("copied", "deleted", "unchanged"))  # type: ignore[return-value]


def put_awkward(pair: Pair, client: Any, bucket: str) -> dict[str, str]:
    """Puts every awkward key; gives what is awkward about each by the key that it has now. Checks what the store does
    otherwise."""
    expected = kept_as(pair.engine.name)
    refused = set()
    for name, key in AWKWARD.items():
        try:
            put(client, bucket, key, Thing(f"content of {name}".encode(), FULL.headers, FULL.metadata, FULL.tags))
        except ClientError:
            refused.add(name)
    assert refused == {name for name, key in expected.items() if key == "refused"}
    found = {key: name for name, key in expected.items() if key != "refused"}
    assert keys_of(client, bucket) == sorted(found, key=str.encode)
    return found


def test_awkward_keys_arrive_with_all_that_hangs_on_them_and_go_again(engine: Engine) -> None:
    pair = Pair(engine)
    names = put_awkward(pair, pair.prod, pair.source)
    assert [entry.key for entry in pair.listed()] == sorted(names, key=str.encode)
    result = pair.sync()
    uncopied = {key for key, name in names.items() if name in UNCOPIED[engine.name]}
    wanted = {key: thing for key, thing in things_of(pair.prod, pair.source).items() if key not in uncopied}
    assert things_of(pair.test, pair.target) == wanted
    assert figures(result) == (len(wanted), 0, 0)
    for key, name in names.items():
        assert key in uncopied or wanted[key].body == f"content of {name}".encode()
    second = pair.sync()
    assert figures(second) == (0, 0, len(wanted))
    # And away: everything but one goes from the source, and so from the target.
    for key in names:
        if key != "plus+plus":
            pair.prod.delete_object(Bucket=pair.source, Key=key)
    left = pair.sync()
    assert keys_of(pair.test, pair.target) == keys_of(pair.prod, pair.source) == ["plus+plus"]
    assert figures(left) == (0, len(wanted) - 1, 1)
    assert pair.finished["delete"] == len(wanted) - 1


def test_content_headers_metadata_and_tags_are_kept(engine: Engine) -> None:
    pair = Pair(engine)
    put(pair.prod, pair.source, "full", FULL)
    put(pair.prod, pair.source, "bare", Thing(b""))
    pair.sync()
    found = things_of(pair.test, pair.target)
    assert found["full"] == FULL
    assert found == things_of(pair.prod, pair.source)


def test_pages_go_on_past_a_thousand_keys(engine: Engine) -> None:
    pair = Pair(engine)
    things = {f"d/{number // 100:02d}/{number:05d}": Thing(b"%d" % number) for number in range(1, 1011)}
    put_all(pair.prod, pair.source, things)
    assert [entry.key for entry in pair.listed()] == sorted(things)
    assert figures(pair.sync(ranges=3, smallest=100)) == (1010, 0, 0)
    put(pair.prod, pair.source, "d/00/00007", Thing(b"changed"))
    put(pair.prod, pair.source, "d/10/00999x", Thing(b"new"))
    for number in (1, 999, 1000, 1001, 1010):
        pair.prod.delete_object(Bucket=pair.source, Key=f"d/{number // 100:02d}/{number:05d}")
    assert figures(pair.sync()) == (2, 5, 1004)
    assert etags_of(pair.test, pair.target) == etags_of(pair.prod, pair.source)


def test_keys_out_of_byte_order_end_the_sync_before_it_deletes(engine: Engine) -> None:
    pair = Pair(engine)
    for key in ("a", "a+b", "a/b", "z"):
        put(pair.prod, pair.source, key, Thing())
        put(pair.test, pair.target, key, Thing())
    put(pair.test, pair.target, "a/old", Thing())
    keys = keys_of(pair.prod, pair.source)
    if engine.name in _LISTED_BY_FOLDER:
        assert keys == ["a", "a/b", "a+b", "z"]
        with pytest.raises(VerificationFailed, match="order"):
            pair.sync()
        assert "a/old" in keys_of(pair.test, pair.target)
    else:
        assert keys == ["a", "a+b", "a/b", "z"]
        assert figures(pair.sync())[1] == 1


def test_a_multipart_upload_is_copied_once(engine: Engine) -> None:
    pair = Pair(engine)
    upload = pair.prod.create_multipart_upload(Bucket=pair.source, Key="big")["UploadId"]
    parts = []
    for number, body in ((1, b"x" * 5 * 1024**2), (2, b"end")):
        answer = pair.prod.upload_part(Bucket=pair.source, Key="big", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    pair.prod.complete_multipart_upload(
        Bucket=pair.source, Key="big", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert pair.listed()[0].etag.endswith('-2"')
    assert figures(pair.sync()) == (1, 0, 0)
    assert figures(pair.sync()) == (0, 0, 1)
    assert things_of(pair.test, pair.target) == things_of(pair.prod, pair.source)


def test_a_large_object_is_copied_in_parts_with_all_that_hangs_on_it(engine: Engine) -> None:
    pair = Pair(engine)
    content = b"".join(b"%09d\n" % number for number in range(1_150_000))
    put(pair.prod, pair.source, "large +%41", Thing(content, FULL.headers, FULL.metadata, FULL.tags))
    put(pair.prod, pair.source, "small", FULL)
    result = pair.sync(largest_copy=6 * 1024**2, part_size=5 * 1024**2)
    assert figures(result) == (2, 0, 0)
    found, wanted = things_of(pair.test, pair.target), things_of(pair.prod, pair.source)
    assert found["large +%41"].body == content
    if engine.name in _NO_TAGS_ON_MULTIPART_UPLOADS:
        wanted["large +%41"] = replace(wanted["large +%41"], tags={})
    assert found == wanted
    assert pair.test.head_object(Bucket=pair.target, Key="large +%41")["ETag"].endswith('-3"')
    assert not pair.test.list_multipart_uploads(Bucket=pair.target).get("Uploads")
    assert figures(pair.sync()) == (0, 0, 2)


def test_what_changed_since_it_was_listed_is_not_copied(engine: Engine) -> None:
    pair = Pair(engine)
    put(pair.prod, pair.source, "k", Thing(b"listed"))
    (listed,) = pair.listed()
    put(pair.prod, pair.source, "k", Thing(b"changed since"))
    answer = pair.copied(listed)
    if engine.name in _COPIES_WHAT_CHANGED:
        assert answer.refusal == ""
        assert keys_of(pair.test, pair.target) == ["k"]
    else:
        assert (answer.refusal, answer.code) == ("changed", "PreconditionFailed")
        assert keys_of(pair.test, pair.target) == []
    assert pair.copied(listed._replace(key="no such")).refusal == "gone"


def test_a_versioned_target_keeps_what_a_sync_replaces_and_deletes(engine: Engine) -> None:
    pair = Pair(engine, versioned=True)
    put(pair.prod, pair.source, "stays", Thing(b"new"))
    put(pair.test, pair.target, "stays", Thing(b"old"))
    put(pair.test, pair.target, "goes", Thing(b"old"))
    assert figures(pair.sync()) == (1, 1, 0)
    assert {key: thing.body for key, thing in things_of(pair.test, pair.target).items()} == {"stays": b"new"}
    versions = pair.test.list_object_versions(Bucket=pair.target)
    assert Counter(entry["Key"] for entry in versions["Versions"]) == {"stays": 2, "goes": 1}
    assert [(entry["Key"], entry["IsLatest"]) for entry in versions["DeleteMarkers"]] == [("goes", True)]
    assert figures(pair.sync()) == (0, 0, 1)


def test_an_empty_source_and_too_many_deletes_are_refused(engine: Engine) -> None:
    pair = Pair(engine)
    for key in ("a", "b", "c"):
        put(pair.test, pair.target, key, Thing())
    with pytest.raises(DownstageError, match="empty") as refused:
        pair.sync()
    assert refused.value.exit_code == 3
    put(pair.prod, pair.source, "a", Thing())
    with pytest.raises(DownstageError) as refused:
        pair.sync(options=SyncOptions())
    assert refused.value.exit_code == 3
    assert keys_of(pair.test, pair.target) == ["a", "b", "c"]
