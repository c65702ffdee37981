"""Signatures are those of botocore, byte for byte, for both hot services."""

from __future__ import annotations

import hashlib
from datetime import datetime
from unittest import mock

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from downstage.wire.sigv4 import EMPTY_PAYLOAD, Credentials, Signer, canonical_query

MOMENT = "20261122T230412Z"


def botocore_signature(service: str, url: str, method: str, headers: dict[str, str], body: bytes, token: str) -> str:
    request = AWSRequest(method, url, headers=headers, data=body)
    credentials = BotocoreCredentials("AKIDEXAMPLE", "secret/key", token or None)
    now = datetime.strptime(MOMENT, "%Y%m%dT%H%M%SZ")
    kind = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=now):
        kind(credentials, service, "eu-west-1").add_auth(request)
    return str(request.headers["Authorization"])


@pytest.mark.parametrize("token", ["", "a-session-token=="])
@pytest.mark.parametrize("body", [b"{}", b'{"TableName":"caf\xc3\xa9"}'])
def test_a_dynamodb_request(token: str, body: bytes) -> None:
    headers = {"host": "dynamodb.eu-west-1.amazonaws.com", "x-amz-target": "DynamoDB_20120810.Scan"}
    signer = Signer(Credentials("AKIDEXAMPLE", "secret/key", token), "eu-west-1", "dynamodb")
    signed = signer.headers("POST", "/", "", headers, hashlib.sha256(body).hexdigest(), MOMENT)
    url = "https://dynamodb.eu-west-1.amazonaws.com/"
    assert signed["authorization"] == botocore_signature("dynamodb", url, "POST", headers, body, token)


@pytest.mark.parametrize(
    "parameters", [{}, {"list-type": "2", "start-after": "a/b c+d~é", "max-keys": "1000"}, {"delete": ""}]
)
def test_an_s3_request(parameters: dict[str, str]) -> None:
    query = canonical_query(parameters)
    headers = {"host": "bucket.s3.eu-west-1.amazonaws.com"}
    signer = Signer(Credentials("AKIDEXAMPLE", "secret/key"), "eu-west-1", "s3")
    signed = signer.headers("GET", "/a%20b", query, headers, EMPTY_PAYLOAD, MOMENT)
    url = f"https://bucket.s3.eu-west-1.amazonaws.com/a%20b{'?' if query else ''}{query}"
    assert signed["authorization"] == botocore_signature("s3", url, "GET", headers, b"", "")


def test_the_signing_key_follows_the_day() -> None:
    signer = Signer(Credentials("AKIDEXAMPLE", "secret/key"), "eu-west-1", "dynamodb")
    fresh = Signer(Credentials("AKIDEXAMPLE", "secret/key"), "eu-west-1", "dynamodb")
    signer.headers("POST", "/", "", {"host": "h"}, EMPTY_PAYLOAD, "20261121T235959Z")
    tomorrow = "20261122T000001Z"
    assert signer.headers("POST", "/", "", {"host": "h"}, EMPTY_PAYLOAD, tomorrow) == fresh.headers(
        "POST", "/", "", {"host": "h"}, EMPTY_PAYLOAD, tomorrow
    )


def test_nothing_secret_is_shown() -> None:
    assert "secret" not in repr(Credentials("AKIDEXAMPLE", "secret/key", "secret-token"))
