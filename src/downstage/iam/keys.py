"""The KMS keys behind tables, buckets and parameters: each used through the service that it encrypts for
and through no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from downstage.domain.environment import Environment
from downstage.iam.arns import arn, global_arn, literal, service_host
from downstage.iam.documents import Condition, Statement


def looking(place: Environment) -> Statement:
    """What kind of key encrypts a table: nothing but its description."""
    return Statement("LookAtKeys", ("kms:DescribeKey",), (arn(place, "kms", "key/*"),))


def through_dynamodb(sid: str, place: Environment, keys: Sequence[str], actions: Sequence[str]) -> list[Statement]:
    """`keys` (ARNs or aliases; any key of the account, if none is named) through DynamoDB."""
    via = {"StringEquals": {"kms:ViaService": service_host("dynamodb", place.region)}}
    return _through(sid, keys or ["*"], actions, via, arn(place, "kms", "key/*"))


def through_s3(
    sid: str, place: Environment, buckets: Iterable[str], actions: Sequence[str], keys: Sequence[str] = ()
) -> list[Statement]:
    """`keys` through S3, for these buckets only. A bucket may lie in any region, and its key with it."""
    names = list(dict.fromkeys(buckets))
    context = [global_arn(place, f"{name}{rest}") for name in names for rest in ("", "/*")]
    condition = {
        "StringLike": {
            "kms:ViaService": service_host("s3", "*"),
            "kms:EncryptionContext:aws:s3:arn": context,
        }
    }
    return _through(sid, keys or ["*"], actions, condition, arn(place, "kms", "key/*", region="*"))


def through_parameters(place: Environment, parameters: Sequence[str]) -> Statement:
    """Whatever key encrypts these parameters (ARNs), for them alone. Large ones are encrypted with a data key."""
    condition: Condition = {
        "StringEquals": {"kms:ViaService": service_host("ssm", place.region)},
        "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": parameters},
    }
    actions = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
    return Statement("EncryptParameters", actions, (arn(place, "kms", "key/*"),), condition)


def tried(sid: str, place: Environment, keys: Sequence[str]) -> list[Statement]:
    """'check' asks KMS itself, in a dry run, whether it would encrypt with a bucket's key."""
    return _through(sid, keys or ["*"], ("kms:GenerateDataKey",), {}, arn(place, "kms", "key/*", region="*"))


def _through(
    sid: str, keys: Iterable[str], actions: Sequence[str], condition: Condition, any_key: str
) -> list[Statement]:
    named = list(dict.fromkeys(keys))
    if "*" in named:
        return [Statement(sid, actions, (any_key,), condition)]
    arns = [key for key in named if key.startswith("arn:")]
    aliases = [key for key in named if key.startswith("alias/")]
    bare = [any_key.replace("key/*", f"key/{literal(key)}") for key in named if key not in (*arns, *aliases)]
    found = []
    if arns or bare:
        found.append(Statement(sid, actions, [literal(key) for key in arns] + bare, condition))
    if aliases:
        by_alias = {**condition, "ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}}
        found.append(Statement(f"{sid}ByAlias", actions, (any_key,), by_alias))
    return found
