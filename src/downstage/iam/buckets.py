"""S3: the documents' buckets. The target's role reads production's and writes its own; nothing else reads production's.

The account that must own a bucket is named, for a bucket's ARN does not tell it. A prefix narrows listing and objects.
"""

from __future__ import annotations

from collections.abc import Sequence

from downstage.domain.environment import Environment
from downstage.domain.plan import BucketPair
from downstage.iam import keys
from downstage.iam.arns import global_arn, literal
from downstage.iam.documents import Condition, Statement
from downstage.iam.needs import Needs
from downstage.iam.regions import in_region

LISTING = ("s3:ListBucket",)
READING = ("s3:GetObject", "s3:GetObjectTagging")


def owned(place: Environment) -> Condition:
    """Only where the bucket is this account's."""
    return {"StringEquals": {"aws:ResourceAccount": place.account}}


def syncing(needs: Needs) -> list[Statement]:
    """The target's role: what it reads of the source's buckets, and what it does in its own."""
    pairs = needs.plan.buckets
    if not pairs:
        return []
    source, target = needs.plan.source, needs.plan.target
    statements: list[Statement] = []
    for number, pair in enumerate(pairs, 1):
        statements += [
            *_looking(f"Source{number}", source, pair.source.name, pair.options.source_prefix, owned(source)),
            *_looking(f"Target{number}", target, pair.target.name, pair.options.target_prefix, owned(target)),
            Statement(
                f"WriteTarget{number}",
                _writing(pair),
                (_objects(target, pair.target.name, pair.options.target_prefix),),
                owned(target),
            ),
        ]
    settings = ("s3:GetBucketVersioning", "s3:GetLifecycleConfiguration", "s3:GetEncryptionConfiguration")
    targets = list(dict.fromkeys(pair.target.name for pair in pairs))
    named = list(dict.fromkeys(pair.options.kms_key for pair in pairs if pair.options.kms_key is not None))
    everywhere = named if all(pair.options.kms_key is not None for pair in pairs) else ()
    return [
        *statements,
        Statement("LookAtTargetBuckets", settings, [global_arn(target, name) for name in targets], owned(target)),
        *keys.through_s3("DecryptSourceObjects", source, (pair.source.name for pair in pairs), ("kms:Decrypt",)),
        *keys.through_s3("EncryptTargetObjects", target, targets, ("kms:Decrypt", "kms:GenerateDataKey"), everywhere),
        *keys.tried("TryTargetKeys", target, everywhere),
    ]


def counted(needs: Needs, place: Environment) -> list[Statement]:
    """For an estimate CloudWatch is asked how many objects the buckets hold. It knows no resources."""
    if not needs.plan.buckets:
        return []
    return [Statement("CountObjects", ("cloudwatch:GetMetricStatistics",), ("*",), in_region(place.region))]


def granted(needs: Needs) -> dict[str, list[Statement]]:
    """For each of the source's buckets what its own policy must say, so that another account's role may read it."""
    if not needs.own_account:
        return {}
    principals = {"AWS": (needs.target_role,)}
    found: dict[str, list[Statement]] = {}
    for number, pair in enumerate(needs.plan.buckets, 1):
        looking = _looking(f"Source{number}", needs.plan.source, pair.source.name, pair.options.source_prefix, {})
        found.setdefault(pair.source.name, []).extend(
            Statement(f"Downstage{one.sid}", one.actions, one.resources, one.condition, principals=principals)
            for one in looking
        )
    return found


def source_buckets(needs: Needs) -> list[str]:
    """The ARNs of the buckets that the target's role reads in production, and of their objects."""
    names = dict.fromkeys(pair.source.name for pair in needs.plan.buckets)
    return [global_arn(needs.plan.source, f"{name}{rest}") for name in names for rest in ("", "/*")]


def _looking(who: str, place: Environment, bucket: str, prefix: str, condition: Condition) -> list[Statement]:
    listed: Condition = {**condition, "StringLike": {"s3:prefix": f"{literal(prefix)}*"}} if prefix else condition
    return [
        Statement(f"List{who}", LISTING, (global_arn(place, bucket),), listed),
        Statement(f"Read{who}", READING, (_objects(place, bucket, prefix),), condition),
    ]


def _writing(pair: BucketPair) -> Sequence[str]:
    options = pair.options
    return (
        "s3:PutObject",
        "s3:AbortMultipartUpload",
        *(("s3:PutObjectTagging",) if options.tags == "copy" else ()),
        *(("s3:PutObjectAcl",) if options.acl is not None else ()),
        *(("s3:DeleteObject",) if pair.delete else ()),
    )


def _objects(place: Environment, bucket: str, prefix: str) -> str:
    return global_arn(place, f"{bucket}/{literal(prefix)}*")
