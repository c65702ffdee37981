"""Filling buckets and looking into them with boto3: what the product wrote is not judged by its own reading."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.object_stores.engines import PROD, TEST, Engine

_READERS = 8
_HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType")


@dataclass(frozen=True)
class Thing:
    """An object with all that a faithful copy keeps."""

    body: bytes = b"1"
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def make_buckets(engine: Engine, name: str, *, versioned: bool = False) -> tuple[str, str]:
    """A bucket of production that the target's account may read, and one of the target's; both empty."""
    source, target = f"prod-{name}", f"test-{name}"
    engine.client(PROD).create_bucket(Bucket=source)
    engine.client(TEST).create_bucket(Bucket=target)
    if engine.name == "ministack":
        allow = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{TEST}:root"},
            "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject", "s3:GetObjectTagging"],
            "Resource": "*",  # by its patterns no key with a newline is matched
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        engine.client(PROD).put_bucket_policy(Bucket=source, Policy=policy)
    if versioned:
        engine.client(TEST).put_bucket_versioning(Bucket=target, VersioningConfiguration={"Status": "Enabled"})
    return source, target


def put(client: Any, bucket: str, key: str, thing: Thing) -> None:
    """Puts one object."""
    tagging = {"Tagging": urlencode(thing.tags)} if thing.tags else {}
    client.put_object(
        Bucket=bucket, Key=key, Body=thing.body, Metadata=dict(thing.metadata), **thing.headers, **tagging
    )


def put_all(client: Any, bucket: str, things: Mapping[str, Thing]) -> None:
    """Puts many objects."""
    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(lambda pair: put(client, bucket, *pair), things.items()))


def keys_of(client: Any, bucket: str) -> list[str]:
    """Every key, as listed."""
    return list(etags_of(client, bucket))


def etags_of(client: Any, bucket: str) -> dict[str, str]:
    """The ETag of every key, as listed."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"]: entry["ETag"] for page in pages for entry in page.get("Contents", [])}


def things_of(client: Any, bucket: str, keys: Iterable[str] | None = None) -> dict[str, Thing]:
    """Every object (or those of `keys`) with its content, headers, metadata and tags."""

    def look(key: str) -> tuple[str, Thing]:
        found = client.get_object(Bucket=bucket, Key=key)
        tags = client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        with found["Body"] as body:
            content = body.read()
        headers = {name: found[name] for name in _HEADERS if found.get(name)}
        return key, Thing(content, headers, found["Metadata"], {tag["Key"]: tag["Value"] for tag in tags})

    with ThreadPoolExecutor(_READERS) as pool:
        return dict(pool.map(look, keys_of(client, bucket) if keys is None else keys))
