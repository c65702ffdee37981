"""What each operation needs: AWS's operations and IAM's actions, from the Service Authorization Reference.

Most operations are called as their action is. Here stand those that are not, and what some need besides; and what
only looks like a call (`IGNORED`).
"""

from __future__ import annotations

from collections.abc import Mapping

_PREFIX = {"opensearch": "es"}

NEEDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("sts", "GetCallerIdentity"): (),
    ("application-autoscaling", "PutScalingPolicy"): (
        "application-autoscaling:PutScalingPolicy",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DeleteAlarms",
    ),
    ("application-autoscaling", "RegisterScalableTarget"): (
        "application-autoscaling:RegisterScalableTarget",
        "iam:CreateServiceLinkedRole",
    ),
    ("dynamodb", "TransactWriteItems"): ("dynamodb:ConditionCheckItem", "dynamodb:PutItem", "dynamodb:DeleteItem"),
    ("dynamodb", "CreateTable"): ("dynamodb:CreateTable", "dynamodb:TagResource"),
    ("dynamodb", "UpdateTable"): ("dynamodb:UpdateTable", "dynamodb:DeleteTable", "dynamodb:DeleteTableReplica"),
    ("dynamodb", "ExportTableToPointInTime"): (
        "dynamodb:ExportTableToPointInTime",
        "s3:PutObject",
        "s3:PutObjectAcl",
        "s3:AbortMultipartUpload",
    ),
    ("s3", "ListObjectsV2"): ("s3:ListBucket",),
    ("s3", "ListObjectVersions"): ("s3:ListBucketVersions",),
    ("s3", "HeadBucket"): ("s3:ListBucket",),
    ("s3", "HeadObject"): ("s3:GetObject",),
    ("s3", "CopyObject"): (
        "s3:GetObject",
        "s3:GetObjectTagging",
        "s3:PutObject",
        "s3:PutObjectTagging",
        "s3:PutObjectAcl",
    ),
    ("s3", "CreateMultipartUpload"): ("s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectAcl"),
    ("s3", "UploadPartCopy"): ("s3:GetObject", "s3:PutObject"),
    ("s3", "CompleteMultipartUpload"): ("s3:PutObject",),
    ("s3", "ListParts"): ("s3:ListMultipartUploadParts",),
    ("s3", "ListMultipartUploads"): ("s3:ListBucketMultipartUploads",),
    ("s3", "DeleteObjects"): ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    ("s3", "GetBucketLifecycleConfiguration"): ("s3:GetLifecycleConfiguration",),
    ("s3", "GetBucketEncryption"): ("s3:GetEncryptionConfiguration",),
    ("glue", "CreateJob"): ("glue:CreateJob", "glue:TagResource", "iam:PassRole"),
    ("glue", "UpdateJob"): ("glue:UpdateJob", "iam:PassRole"),
    ("scheduler", "CreateSchedule"): ("scheduler:CreateSchedule", "iam:PassRole"),
    ("scheduler", "UpdateSchedule"): ("scheduler:UpdateSchedule", "iam:PassRole"),
}

IGNORED = frozenset(
    ("lambda", name)
    for name in ("GetResourcePolicy", "PutResourcePolicy", "TagResource")  # of DynamoDB; Lambda has some of that name
)

WIRE_S3 = {"GET": "ListObjectsV2", "PUT": "CopyObject", "POST": "DeleteObjects", "DELETE": "DeleteObject"}
"""What our own wire sends to S3 by each verb."""

SEARCH = {
    "indices.get": ("es:ESHttpGet",),
    "indices.exists": ("es:ESHttpHead",),
    "indices.refresh": ("es:ESHttpPost",),
    "indices.create": ("es:ESHttpPut",),
    "indices.delete": ("es:ESHttpDelete",),
    "count": ("es:ESHttpPost",),
    "scan": ("es:ESHttpPost", "es:ESHttpDelete"),
    "bulk": ("es:ESHttpPost",),
}
"""The HTTP methods that opensearch-py's methods send."""

BEHIND = {
    "sts:AssumeRole": "botocore does, for a configured role",
    "kms:Decrypt": "DynamoDB, S3, Secrets Manager and SSM do in our name",
    "kms:Encrypt": "DynamoDB does in our name, for a table with a customer's key",
    "kms:ReEncryptFrom": "as kms:Encrypt",
    "kms:ReEncryptTo": "as kms:Encrypt",
    "kms:GenerateDataKeyWithoutPlaintext": "as kms:Encrypt",
    "kms:CreateGrant": "DynamoDB does in our name, when such a table is made",
}
"""Actions that no call of ours is named after."""

BY_GLUE = frozenset(("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "cloudwatch:PutMetricData"))
"""What Glue itself does with the job's role."""

READING = ("Get", "List", "Describe", "Scan", "Query", "Head", "BatchGet", "ConditionCheck", "Simulate", "Decrypt")
"""How the names of actions begin that change nothing."""


def actions_of(service: str, operation: str) -> tuple[str, ...]:
    """The actions that an operation may need."""
    prefix = _PREFIX.get(service, service)
    return NEEDS.get((service, operation), (f"{prefix}:{operation}",))


def changes(action: str) -> bool:
    """Whether an action changes anything, going by its name."""
    name = action.partition(":")[2].removeprefix("ESHttp")
    return not name.startswith(READING)
