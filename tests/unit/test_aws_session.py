"""Each of botocore's exceptions becomes one of ours: one line, with what to do, and nothing that the service quoted.

A second session does not read again what the first has read of botocore's descriptions of the services.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as faults
from botocore.loaders import JSONFileLoader

from downstage.aws.session import Session, calling
from downstage.domain.environment import Environment
from downstage.errors import (
    AwsError,
    ConfigError,
    CredentialsError,
    DownstageError,
    GuardRefused,
    NotFound,
    Unreachable,
)

TEST = Environment("test", "222222222222", "us-east-1")
PERSON = "ada@court.example.org"


def answered(code: str) -> faults.ClientError:
    response: Any = {"Error": {"Code": code, "Message": f"no such thing as {PERSON}"}}
    return faults.ClientError(response, "GetItem")


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (answered("AccessDeniedException"), AwsError, "AccessDeniedException"),
        (answered("ResourceNotFoundException"), NotFound, "does not exist"),
        (answered("NoSuchBucket"), NotFound, "does not exist"),
        (answered("404"), NotFound, "does not exist"),
        (answered("ParameterNotFound"), NotFound, "does not exist"),
        (answered("ExpiredToken"), CredentialsError, "renew them"),
        (answered("SignatureDoesNotMatch"), CredentialsError, "renew them"),
        (faults.ClientError({}, "GetItem"), AwsError, "AWS answered unknown"),
        (faults.NoCredentialsError(), CredentialsError, "no AWS credentials found"),
        (faults.PartialCredentialsError(provider="env", cred_var=PERSON), CredentialsError, "no AWS credentials found"),
        (faults.CredentialRetrievalError(provider="x", error_msg=PERSON), CredentialsError, "cannot be fetched"),
        (faults.TokenRetrievalError(provider="sso", error_msg=PERSON), CredentialsError, "aws sso login"),
        (faults.UnauthorizedSSOTokenError(), CredentialsError, "aws sso login"),
        (faults.EndpointConnectionError(endpoint_url=f"http://{PERSON}"), Unreachable, "does not answer"),
        (faults.ReadTimeoutError(endpoint_url=PERSON), Unreachable, "does not answer"),
        (faults.ConnectTimeoutError(endpoint_url=PERSON), Unreachable, "does not answer"),
        (faults.SSLError(endpoint_url="x", error=OSError(PERSON)), Unreachable, "does not answer"),
        (faults.ParamValidationError(report=PERSON), ConfigError, "in the configuration"),
        (faults.DataNotFoundError(data_path=PERSON), AwsError, "DataNotFoundError"),
    ],
)
def test_each_fault_is_told_in_one_line_of_ours(raised: Exception, kind: type[DownstageError], said: str) -> None:
    with pytest.raises(DownstageError) as caught, calling(TEST, "look"):
        raise raised
    assert type(caught.value) is kind
    text = str(caught.value)
    assert said in text
    assert text.startswith("environment test: ")
    assert "\n" not in text
    assert PERSON not in text
    assert caught.value.__suppress_context__, "no traceback shows the service's words either"


def test_our_own_errors_and_bugs_pass_as_they_are() -> None:
    for error in (GuardRefused("refused"), ZeroDivisionError("a bug"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, calling(TEST, "look"):
            raise error
        assert caught.value is error


def test_the_code_is_kept() -> None:
    with pytest.raises(AwsError) as caught, calling(TEST, "look"):
        raise answered("ThrottlingException")
    assert caught.value.code == "ThrottlingException"


def test_the_descriptions_of_the_services_are_read_once_a_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = 222222222222\naws_secret_access_key = x\n", encoding="utf-8")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))  # a place of its own to look in: nobody has read anything yet
    read: list[str] = []
    load = JSONFileLoader.load_file

    def counted(self: JSONFileLoader, path: str) -> Any:
        read.append(path)
        return load(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", counted)
    for account in ("111111111111", "222222222222"):  # only the first reads
        environment = Environment("test", account, "us-east-1", credentials_file=str(credentials))
        client = Session(environment).client("dynamodb")
        assert client.meta.service_model.service_name == "dynamodb"
        assert any("dynamodb" in path for path in read) == (account == "111111111111")
        read.clear()
