"""DynamoDB: reading production's tables, and making, filling, checking and deleting the target's.

Listing actions that know no resource are bounded by the region instead. Tables that hold flags, and our own, may be
written but never deleted.
"""

from __future__ import annotations

from downstage.domain.environment import Environment
from downstage.domain.plan import ItemFlag, ParameterFlag
from downstage.iam import keys
from downstage.iam.arns import arn, parameter_arn, table_arns
from downstage.iam.documents import Statement
from downstage.iam.needs import Needs
from downstage.iam.regions import in_region, in_regions

DESCRIBING = (
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:ListTagsOfResource",
    "dynamodb:GetResourcePolicy",
)
SCALING = ("application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies")
MAKING = (
    "dynamodb:CreateTable",
    "dynamodb:UpdateTable",
    "dynamodb:DeleteTable",
    "dynamodb:TagResource",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:PutResourcePolicy",
)
FILLING = ("dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:UpdateTimeToLive")
OWN = (
    "dynamodb:CreateTable",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:UpdateTimeToLive",
    "dynamodb:TagResource",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:ConditionCheckItem",
)
REMOVING = ("dynamodb:DeleteTableReplica",)
READING_ENCRYPTED = ("kms:Decrypt",)
MAKING_ENCRYPTED = (
    "kms:Encrypt",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
)


def reading(needs: Needs) -> list[Statement]:
    """The source's tables: every item, and everything that there is about them."""
    place, names = needs.plan.source, needs.source_tables
    if not names:
        return []
    named = list(dict.fromkeys(key for pair in needs.plan.tables for key in pair.terms.kms))
    return [
        Statement("ReadItems", ("dynamodb:Scan", "dynamodb:GetItem"), table_arns(place, names)),
        *_describing(needs, place, names),
        *keys.through_dynamodb("ReadEncryptedItems", place, named, READING_ENCRYPTED),
    ]


def writing(needs: Needs) -> list[Statement]:
    """The target's tables: filled and verified; made, if the refresh does that; deleted, if it wipes."""
    place, names = needs.plan.target, needs.target_tables
    statements: list[Statement] = []
    if names:
        named = list(dict.fromkeys(key for pair in needs.plan.tables for key in pair.terms.kms.values()))
        statements += [
            Statement("WriteItems", (*FILLING, "dynamodb:Scan", "dynamodb:GetItem"), table_arns(place, names)),
            *_describing(needs, place, names),
            *keys.through_dynamodb("UseEncryptedTables", place, named, MAKING_ENCRYPTED),
        ]
        if needs.clones:
            statements += [
                *_making(place, names),
                *(
                    _granting(one)
                    for one in keys.through_dynamodb("GrantKeysToTables", place, named, ("kms:CreateGrant",))
                ),
            ]
    return [*statements, *_wiping(needs), *_flags(needs), *_own(needs), *_kept(needs)]


def _describing(needs: Needs, place: Environment, names: list[str]) -> list[Statement]:
    consumers = ("lambda:ListEventSourceMappings",) if needs.looks_at_consumers else ()
    return [
        Statement("DescribeTables", DESCRIBING, table_arns(place, names)),
        Statement(
            "ListWhatHangsOnTables",
            ("dynamodb:ListContributorInsights", "dynamodb:DescribeLimits", *SCALING, *consumers),
            ("*",),
            in_region(place.region),
        ),
        keys.looking(place),
    ]


def _making(place: Environment, names: list[str]) -> list[Statement]:
    tables = table_arns(place, names)
    return [
        Statement("MakeTables", MAKING, tables),
        Statement(
            "WatchTables", ("dynamodb:UpdateContributorInsights",), [*tables, *(f"{table}/index/*" for table in tables)]
        ),
        Statement(
            "ScaleTables",
            (
                "application-autoscaling:RegisterScalableTarget",
                "application-autoscaling:PutScalingPolicy",
                "application-autoscaling:DeleteScalingPolicy",
            ),
            (arn(place, "application-autoscaling", "scalable-target/*"),),
            {"StringEquals": {"application-autoscaling:service-namespace": "dynamodb"}},
        ),
        Statement(
            "AlarmsOfScaling",
            ("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms"),
            [arn(place, "cloudwatch", f"alarm:TargetTracking-table/{name}*") for name in names],
        ),
        Statement(
            "ServiceRoleOfScaling",
            ("iam:CreateServiceLinkedRole",),
            (arn(place, "iam", f"role/aws-service-role/{_SCALER}/{_SCALING_ROLE}", region=""),),
            {"StringEquals": {"iam:AWSServiceName": _SCALER}},
        ),
    ]


_SCALER = "dynamodb.application-autoscaling.amazonaws.com"
_SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"


def _granting(statement: Statement) -> Statement:
    """A grant only to AWS's own service."""
    bounded = {**statement.condition, "Bool": {"kms:GrantIsForAWSResource": "true"}}
    return Statement(statement.sid, statement.actions, statement.resources, bounded)


def _wiping(needs: Needs) -> list[Statement]:
    wipe, place = needs.plan.wipe, needs.plan.target
    if wipe is None:
        return []
    places = in_regions(place, needs.plan.wiped_regions)
    found = [Statement("ListTables", ("dynamodb:ListTables",), ("*",), in_region(*needs.plan.wiped_regions))]
    if wipe.tables:
        wiping = ("dynamodb:DescribeTable", "dynamodb:UpdateTable", "dynamodb:DeleteTable")
        found.append(
            Statement("WipeTables", wiping, [one for there in places for one in table_arns(there, wipe.tables)])
        )
        # a replica is removed from the region of the table that is wiped first, which is none of these
        replicas = [one for there in places[1:] for one in table_arns(there, wipe.tables)]
        if replicas:
            found.append(Statement("RemoveReplicas", REMOVING, replicas))
    return found


def _flags(needs: Needs) -> list[Statement]:
    flags, place = needs.plan.flags, needs.plan.target
    tables = table_arns(place, (flag.table.name for flag in flags if isinstance(flag, ItemFlag)))
    parameters = [parameter_arn(place, flag.name) for flag in flags if isinstance(flag, ParameterFlag)]
    found = []
    if tables:
        found.append(Statement("SetFlags", ("dynamodb:UpdateItem", "dynamodb:GetItem"), tables))
    if parameters:
        setting = ("ssm:PutParameter", "ssm:GetParameter", "ssm:GetParameterHistory")
        arns = list(dict.fromkeys(parameters))
        found += [Statement("SetParameters", setting, arns), keys.through_parameters(place, arns)]
    return found


def _own(needs: Needs) -> list[Statement]:
    if needs.control_table is None:
        return []
    return [Statement("KeepTheJournal", OWN, table_arns(needs.plan.target, [needs.control_table]))]


def _kept(needs: Needs) -> list[Statement]:
    """A pattern of 'wipe' may be wide; these it never reaches, in no region that is wiped."""
    kept = sorted(needs.plan.flags_tables)
    if needs.control_table is not None:
        kept.append(needs.control_table)
    if not kept:
        return []
    target = needs.plan.target
    places = in_regions(target, needs.plan.wiped_regions or (target.region,))
    deleting = ("dynamodb:DeleteTable", *(REMOVING if len(places) > 1 else ()))
    arns = [one for there in places for one in table_arns(there, kept)]
    return [Statement("NeverDeleteThese", deleting, arns, effect="Deny")]
