"""Files of the Glue job in a bucket of a server that is not ours: what S3 says of a file's SHA-256 tells who wrote it.

That a bucket's owner is compared is not shown: ministack ignores it.
"""

from __future__ import annotations

import hashlib

import pytest

from downstage.aws.parcels import BucketParcels
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from tests.integration.test_control_table import lower

__all__ = ["lower"]

pytestmark = pytest.mark.integration


def test_a_file_is_ours_by_the_sha256_that_the_server_keeps(lower: Environment) -> None:
    session = Session(lower)
    client = session.client("s3")
    client.create_bucket(Bucket="glue-files")
    parcels, digest = BucketParcels(session, "glue-files"), hashlib.sha256(b"ours").hexdigest()
    assert not parcels.holds("a", digest)
    assert parcels.put_once("a", b"ours")
    assert parcels.holds("a", digest)
    assert not parcels.put_once("a", b"ours")
    client.put_object(Bucket="glue-files", Key="a", Body=b"hers")
    assert not parcels.holds("a", digest)
    assert parcels.put_once("a", b"ours"), "of the same length, and written again all the same"
    assert parcels.get("a") == b"ours"
