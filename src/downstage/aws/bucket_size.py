"""How many objects a bucket holds, as S3 tells CloudWatch once a day: no listing, and free.

The number is of the whole bucket and up to two days old: good for an estimate, never for a proof.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from downstage.aws.session import Session, calling
from downstage.errors import AwsError

_DAY = 86_400
_LOOK_BACK = timedelta(days=3)


def objects_in(session: Session, bucket: str, now: Callable[[], float] = time.time) -> int | None:
    """The newest number that CloudWatch has, in the session's region; None if it has none, or may not tell us."""
    end = datetime.fromtimestamp(now(), UTC)
    try:
        with calling(session.environment, f"ask how many objects bucket {bucket} holds"):
            answer = session.client("cloudwatch").get_metric_statistics(
                Namespace="AWS/S3",
                MetricName="NumberOfObjects",
                Dimensions=[
                    {"Name": "BucketName", "Value": bucket},
                    {"Name": "StorageType", "Value": "AllStorageTypes"},
                ],
                StartTime=end - _LOOK_BACK,
                EndTime=end,
                Period=_DAY,
                Statistics=["Average"],
            )
    except AwsError:
        return None
    found = sorted(answer.get("Datapoints", []), key=lambda point: point["Timestamp"])
    return round(found[-1]["Average"]) if found else None
