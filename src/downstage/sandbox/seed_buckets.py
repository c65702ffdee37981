"""Creates and fills the two document buckets.

Why: production's bucket belongs to another account than the one that copies from it, and S3 checks that.
Rules: production grants reading and listing to the test account, nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from downstage.sandbox.documents import Document
from downstage.sandbox.layout import PROD_BUCKET, TEST_ACCOUNT, WRITE_ROLE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WRITERS = 4


def read_policy() -> str:
    """The bucket policy of production's bucket."""
    # AWS needs the role alone. The emulator sees every caller of an account as that account's root.
    readers = {"AWS": [f"arn:aws:iam::{TEST_ACCOUNT}:role/{WRITE_ROLE}", f"arn:aws:iam::{TEST_ACCOUNT}:root"]}
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "ListForRefresh",
                    "Effect": "Allow",
                    "Principal": readers,
                    "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
                    "Resource": f"arn:aws:s3:::{PROD_BUCKET}",
                },
                {
                    "Sid": "ReadForRefresh",
                    "Effect": "Allow",
                    "Principal": readers,
                    "Action": ["s3:GetObject", "s3:GetObjectTagging"],
                    "Resource": f"arn:aws:s3:::{PROD_BUCKET}/*",
                },
            ],
        }
    )


def put(client: S3Client, bucket: str, document: Document) -> None:
    """Put one object with all that belongs to it."""
    client.put_object(
        Bucket=bucket,
        Key=document.key,
        Body=document.body,
        ContentType=document.content_type,
        CacheControl=document.cache_control,
        Metadata=document.metadata,
        Tagging=urlencode(document.tags),
    )


def fill(client: S3Client, bucket: str, documents: Sequence[Document]) -> None:
    """Create `bucket` and put the documents."""
    client.create_bucket(Bucket=bucket)
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda document: put(client, bucket, document), documents))
