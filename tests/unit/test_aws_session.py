"""Each of botocore's exceptions becomes one of ours: one line, with what to do, and nothing that the service quoted."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as faults

from downstage.aws.session import calling
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
