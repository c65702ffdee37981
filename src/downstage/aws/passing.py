"""Answers of AWS that pass: a failure of its own, or too many calls. They say nothing of what was asked for.

Who follows something that goes on elsewhere asks again; taken for an end, such an answer would end what is well.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

_CODES = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "OperationTimeoutException",
    "RequestTimeout",
    "RequestTimeoutException",
}


def code_of(error: ClientError) -> str:
    """The service's error code, or nothing."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_passing(error: ClientError) -> bool:
    """Whether the same call may be answered otherwise a little later."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status >= 500 or code_of(error) in _CODES
