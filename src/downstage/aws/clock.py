"""How far this machine's clock is from AWS's: every answer says what time it is there, a refusal too.

AWS accepts no signature that is more than five minutes off. The hot calls mend that by themselves (`aws.signed`), the
control plane does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from botocore.exceptions import ClientError

from downstage.aws.session import Session, calling
from downstage.errors import AwsError

_RESOLUTION = 1.0
"""A Date header is cut off to whole seconds."""


def seconds_ahead(session: Session, now: Callable[[], float] = time.time) -> float:
    """By how many seconds at least this machine's clock is ahead of AWS's (negative: behind); 0 if it may be right.

    Raises AwsError if the answer tells no time.
    """
    before = now()
    told = _time_told(session)
    after = now()
    least, most = before - told - _RESOLUTION, after - told
    if least > 0:
        return least
    return min(most, 0.0)


def _time_told(session: Session) -> float:
    with calling(session.environment, "ask for the time"):
        try:
            answer = session.client("sts").get_caller_identity()
        except ClientError as error:  # a signature that is too old is refused, with the time
            answer = error.response
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        name = session.environment.name
        raise AwsError(f"environment {name}: what answers does not tell the time") from None
