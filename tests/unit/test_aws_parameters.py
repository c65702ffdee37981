"""A flag that is an SSM parameter: it keeps the type and the key that it has, and is read as what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from downstage.aws.parameters import FlagWriter
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.domain.plan import ParameterFlag
from downstage.errors import AwsError
from tests.unit.test_aws_adapters import Client, session

FLAG = ParameterFlag("/app/colour", "beta")
OURS = "arn:aws:kms:us-east-1:222222222222:key/1111"


def parameter(kind: str, value: str = "alpha") -> tuple[str, Any]:
    return "get_parameter", {"Parameter": {"Name": FLAG.name, "Type": kind, "Value": value}}


def history(*pages: list[dict[str, Any]]) -> tuple[str, Any]:
    return "get_parameter_history", [{"Parameters": page} for page in pages]


def test_a_parameter_is_read_decrypted() -> None:
    client = Client(parameter("SecureString", "s3cr3t"))
    assert FlagWriter(session(client)).read(FLAG) == "s3cr3t"
    assert client.calls == [("get_parameter", {"Name": "/app/colour", "WithDecryption": True})]


def test_an_encrypted_one_stays_so_with_the_key_of_its_newest_version() -> None:
    old, new = {"Version": 51, "KeyId": "alias/aws/ssm"}, {"Version": 52, "KeyId": OURS}
    client = Client(parameter("SecureString"), history([old], [new]), ("put_parameter", {}))
    FlagWriter(session(client)).write(FLAG)
    assert client.calls[-1] == (
        "put_parameter",
        {"Name": "/app/colour", "Value": "beta", "Overwrite": True, "Type": "SecureString", "KeyId": OURS},
    )


@pytest.mark.parametrize("kind", ["String", "StringList"])
def test_one_that_is_not_keeps_its_type_and_needs_no_key(kind: str) -> None:
    client = Client(parameter(kind), ("put_parameter", {}))
    FlagWriter(session(client)).write(FLAG)
    assert client.calls[-1][1] == {"Name": "/app/colour", "Value": "beta", "Overwrite": True, "Type": kind}


def test_a_new_one_is_plain_text() -> None:
    missing = ClientError({"Error": {"Code": "ParameterNotFound", "Message": ""}}, "GetParameter")
    client = Client(("get_parameter", missing), ("put_parameter", {}))
    FlagWriter(session(client)).write(FLAG)
    assert client.calls[-1][1]["Type"] == "String"


def test_one_whose_key_aws_does_not_tell_is_not_overwritten() -> None:
    client = Client(parameter("SecureString"), history([{"Version": 1}]))
    with pytest.raises(AwsError, match="does not tell which key encrypts the flag /app/colour") as caught:
        FlagWriter(session(client)).write(FLAG)
    assert "\n" not in str(caught.value)
    assert "put_parameter" not in client.asked


def test_one_that_may_not_be_decrypted_is_told_in_a_line_and_not_overwritten() -> None:
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "s3cr3t"}}, "GetParameter")
    client = Client(("get_parameter", denied))
    with pytest.raises(AwsError, match="could not read the flag /app/colour: AWS denies it") as caught:
        FlagWriter(session(client)).write(FLAG)
    assert "s3cr3t" not in str(caught.value)
    assert client.asked == ["get_parameter"]


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with mock_aws():
        yield boto3.client("ssm", region_name="us-east-1")


def test_over_the_real_client_it_is_read_written_and_read_back(ssm: Any) -> None:
    for version in range(3):
        ssm.put_parameter(
            Name=FLAG.name, Value=f"alpha-{version}", Type="SecureString", KeyId="alias/app", Overwrite=version > 0
        )
    flags = FlagWriter(Session(Environment("test", "123456789012", "us-east-1")))
    assert flags.read(FLAG) == "alpha-2"
    flags.write(FLAG)
    assert flags.read(FLAG) == "beta"
    newest = ssm.get_parameter_history(Name=FLAG.name)["Parameters"][-1]
    assert (newest["Type"], newest["KeyId"], newest["Version"]) == ("SecureString", "alias/app", 4)
    assert "beta" in ssm.get_parameter(Name=FLAG.name, WithDecryption=True)["Parameter"]["Value"]
    assert ssm.get_parameter(Name=FLAG.name)["Parameter"]["Value"] != "beta"  # it is encrypted
