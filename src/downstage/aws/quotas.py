"""What an account lets one table take in a region, however it is set up: 40,000 units a second unless AWS raised it."""

from __future__ import annotations

from downstage.aws.session import Session, calling
from downstage.domain.table_schema import Units
from downstage.errors import AwsError


def table_quota(session: Session) -> Units:
    """Read and write units a second, in the session's region; neither if AWS may not tell us."""
    try:
        with calling(session.environment, "ask what a table may take at most"):
            answer = session.client("dynamodb").describe_limits()
    except AwsError:
        return Units()
    return Units(answer.get("TableMaxReadCapacityUnits"), answer.get("TableMaxWriteCapacityUnits"))
