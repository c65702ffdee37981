"""What stores say of a copy when it is made is what their listings show afterwards: the proof of a bucket rests on it.

Against ministack, moto and SeaweedFS: one digest from the answers to the copies, another from the listing alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from downstage.aws.objects import S3Objects
from downstage.domain.plan import BucketPair, SyncOptions
from downstage.ports import Checkpoint
from downstage.syncing.bucket import sync_range
from downstage.syncing.keys import KeyFilter
from downstage.syncing.listing import KeyRange
from downstage.syncing.task import RangeTask
from downstage.syncing.whole import OpenSealer
from tests.integration.test_s3_conformance import Pair
from tests.object_stores.engines import NAMES, Engine, running
from tests.object_stores.looking import Thing, put

pytestmark = pytest.mark.integration

LARGE = {"largest_copy": 6 * 1024**2, "part_size": 5 * 1024**2}


@pytest.fixture(scope="module", params=NAMES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


def left(pair: Pair) -> Checkpoint:
    """What a sync leaves, as it has it."""
    task = RangeTask("c", BucketPair(*pair.refs, delete=True), KeyRange(), "aws", 99, None, True)

    async def sync(objects: S3Objects) -> Checkpoint:
        return await sync_range(
            task,
            Checkpoint(0, 1),
            transfer=objects,
            sealer=OpenSealer(),
            save=lambda checkpoint: None,
            chosen=KeyFilter(SyncOptions()),
        )

    return pair.with_objects(sync, **LARGE)


def test_the_etags_of_copies_are_those_of_the_listing(engine: Engine) -> None:
    pair = Pair(engine)
    for number in range(40):
        put(pair.prod, pair.source, f"case/{number:02d} é+%41.pdf", Thing(b"%d" % number))
    put(pair.prod, pair.source, "large", Thing(b"0123456789abcdef" * (7 * 1024**2 // 16)))
    upload = pair.prod.create_multipart_upload(Bucket=pair.source, Key="in parts")["UploadId"]
    part = {"Bucket": pair.source, "Key": "in parts", "UploadId": upload}
    etag = pair.prod.upload_part(**part, PartNumber=1, Body=b"in one part")["ETag"]
    pair.prod.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    put(pair.test, pair.target, "case/foreign", Thing(b"goes"))
    copied = left(pair)
    assert (copied.counters["copied"], copied.counters["deleted"], copied.counters["failed"]) == (42, 1, 0)
    listed = left(pair)
    assert (listed.counters["copied"], listed.counters["unchanged"]) == (0, 42)
    assert copied.digest == listed.digest != 0
    put(pair.test, pair.target, "case/00 é+%41.pdf", Thing(b"9"))
    assert left(pair).digest != listed.digest, "as large and newer: only its ETag tells"
