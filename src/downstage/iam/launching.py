"""The two roles that move no data: the launcher, which starts everything, and the Glue job's, which only signs in.

The launcher alone may start Glue jobs in production's account, and hand them a role: that one, for Glue, and no other.
"""

from __future__ import annotations

from downstage.domain.environment import Environment
from downstage.domain.glue import GluePlan
from downstage.iam.arns import arn, global_arn, literal
from downstage.iam.buckets import owned
from downstage.iam.documents import Statement
from downstage.iam.needs import Needs

STARTING = ("glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun")
DEPLOYING = ("glue:GetJob", "glue:CreateJob", "glue:UpdateJob", "glue:TagResource")
LOGGING = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")


def launcher(needs: Needs) -> list[Statement]:
    """What the launcher does, besides exports: it becomes the two roles, and starts the Glue job."""
    found = [_becoming(needs)]
    if needs.glue is not None:
        job, place = needs.glue, _place(needs.glue)
        found += [
            Statement("RunTheJob", (*STARTING, *DEPLOYING), (arn(place, "glue", f"job/{job.job}"),)),
            Statement(
                "GiveTheJobItsRole",
                ("iam:PassRole",),
                (literal(job.role),),
                {"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}},
            ),
            *_exchanging(job, place),
        ]
    return found


def glue(needs: Needs) -> list[Statement]:
    """What the job's own role does: it reads and leaves files, logs, and becomes the two roles that may touch data."""
    if needs.glue is None:
        return []
    job, place = needs.glue, _place(needs.glue)
    return [
        _becoming(needs),
        *_exchanging(job, place),
        Statement("WriteLogs", LOGGING, (arn(place, "logs", "log-group:/aws-glue/*"),)),
        Statement(
            "WriteMetrics",
            ("cloudwatch:PutMetricData",),
            ("*",),
            {"StringEquals": {"cloudwatch:namespace": "Glue"}},
        ),
    ]


def _becoming(needs: Needs) -> Statement:
    return Statement("BecomeTheRoles", ("sts:AssumeRole",), (literal(needs.source_role), literal(needs.target_role)))


def _exchanging(job: GluePlan, place: Environment) -> list[Statement]:
    """The job's packages, and the parcels that launcher and job leave for each other. Who may not list a bucket is not
    told that a file is absent."""
    files = global_arn(place, f"{job.bucket}/{literal(job.prefix)}*")
    return [
        Statement("ListJobFiles", ("s3:ListBucket",), (global_arn(place, job.bucket),), owned(place)),
        Statement("ExchangeJobFiles", ("s3:GetObject", "s3:PutObject"), (files,), owned(place)),
    ]


def _place(job: GluePlan) -> Environment:
    """The account and region that the job runs in."""
    return Environment("glue", job.account, job.region)
