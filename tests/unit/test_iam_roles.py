"""The roles of a configuration that uses everything: who may do what where, who may become whom, and who never may."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from downstage.app.policies import roles
from downstage.iam.documents import LIMIT
from tests.permissions.configurations import EVERYTHING, project
from tests.permissions.evaluator import Request, allowed

PROD, TEST, OTHER = "111111111111", "222222222222", "333333333333"
Records = dict[str, dict[str, Any]]
ADMINISTRATOR = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def records(directory: Path, text: str = EVERYTHING, *, without: str = "") -> Records:
    found, _ = roles(project(directory, text, without=without), "test")
    return {str(role.name): role.record for role in found}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Records:
    return records(tmp_path_factory.mktemp("roles"))


def may(found: Records, role: str, action: str, resource: str, **context: str) -> bool:
    """Whether the role may; the account of the resource, its region and the like stand in `context`."""
    account = resource.split(":")[4] if resource.count(":") > 4 else ""
    told = {"aws:ResourceAccount": account, "aws:RequestedRegion": "us-east-1"} if account else {}
    named = {key.replace("__", ":"): value for key, value in context.items()}
    return allowed(found[role]["policies"].values(), Request(action, resource, {**told, **named}))


def table(account: str, name: str) -> str:
    return f"arn:aws:dynamodb:us-east-1:{account}:table/{name}"


def test_every_document_is_within_what_aws_takes(everything: Records) -> None:
    for record in everything.values():
        assert 1 <= len(record["policies"]) <= 10
        for policy in record["policies"].values():
            assert len(json.dumps(policy, separators=(",", ":"))) <= LIMIT
            sids = [statement["Sid"] for statement in policy["Statement"]]
            assert len(set(sids)) == len(sids)
            assert all(sid.isalnum() for sid in sids)


def test_the_source_role_reads_its_tables_and_no_others(everything: Records) -> None:
    for name in ("app-prod", "users-prod"):
        assert may(everything, "source", "dynamodb:Scan", table(PROD, name))
        assert not may(everything, "source", "dynamodb:PutItem", table(PROD, name))
    assert not may(everything, "source", "dynamodb:Scan", table(PROD, "app-prod-2"))
    assert not may(everything, "source", "dynamodb:Scan", table(TEST, "app-test-alpha"))


@pytest.mark.parametrize(
    "action", ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "DeleteTable", "UpdateTable"]
)
def test_neither_data_role_can_change_production(everything: Records, action: str) -> None:
    for role in ("source", "target"):
        assert not may(everything, role, f"dynamodb:{action}", table(PROD, "app-prod"))


def test_the_target_role_makes_fills_and_wipes_by_name_and_pattern(everything: Records) -> None:
    for action in ("CreateTable", "BatchWriteItem", "Scan", "UpdateTimeToLive", "DeleteTable"):
        assert may(everything, "target", f"dynamodb:{action}", table(TEST, "app-test-alpha")), action
    assert may(everything, "target", "dynamodb:DeleteTable", table(TEST, "app-test-beta"))
    assert may(everything, "target", "dynamodb:DeleteTable", table(TEST, "old-a"))
    assert not may(everything, "target", "dynamodb:DeleteTable", table(TEST, "old-c"))
    assert not may(everything, "target", "dynamodb:BatchWriteItem", table(TEST, "app-test-beta"))


def test_what_is_wiped_in_further_regions_is_deleted_there_and_nothing_else(
    everything: Records, tmp_path: Path
) -> None:
    def west(name: str, account: str = TEST) -> str:
        return table(account, name).replace("us-east-1", "us-west-1")

    def domain(region: str) -> str:
        return f"arn:aws:es:{region}:{TEST}:domain/search-test-alpha"

    single = records(
        tmp_path, EVERYTHING.replace(", regions: [us-east-1, us-west-1]}\n      deploy", "}\n      deploy")
    )
    for action in ("DescribeTable", "UpdateTable", "DeleteTable", "DeleteTableReplica"):
        assert may(everything, "target", f"dynamodb:{action}", west("app-test-alpha")), action
        assert not may(single, "target", f"dynamodb:{action}", west("app-test-alpha")), action
        for other in (
            west("other"),
            west("app-test-alpha", PROD),
            west("app-test-alpha").replace("us-west-1", "eu-west-1"),
        ):
            assert not may(everything, "target", f"dynamodb:{action}", other), (action, other)
    for action in ("Scan", "BatchWriteItem", "CreateTable", "CreateTableReplica"):
        assert not may(everything, "target", f"dynamodb:{action}", west("app-test-alpha")), action
    assert not may(everything, "target", "dynamodb:DeleteTableReplica", table(TEST, "app-test-alpha"))
    for name in ("app-deploy-test", "downstage-control"):
        assert not may(everything, "target", "dynamodb:DeleteTable", west(name))
    for listing in ("dynamodb:ListTables", "es:ListDomainNames"):
        for region, wanted in (("us-east-1", True), ("us-west-1", True), ("eu-west-1", False)):
            documents = everything["target"]["policies"].values()
            assert allowed(documents, Request(listing, "*", {"aws:RequestedRegion": region})) is wanted
    for action in ("es:DescribeDomain", "es:DescribeDomainConfig", "es:DeleteDomain"):
        assert may(everything, "target", action, domain("us-west-1"))
        assert not may(single, "target", action, domain("us-west-1"))
    assert may(everything, "target", "es:ESHttpDelete", domain("us-west-1") + "/app-case")
    assert not may(everything, "target", "es:CreateDomain", domain("us-west-1"))
    assert not may(everything, "target", "es:ESHttpPut", domain("us-west-1") + "/app-case")


def test_even_a_pattern_that_reaches_the_flags_deletes_none_of_them_in_any_region(tmp_path: Path) -> None:
    found = records(tmp_path, EVERYTHING.replace('"app-test-*"', '"app-*"'))
    west = table(TEST, "app-deploy-test").replace("us-east-1", "us-west-1")
    for action in ("DeleteTable", "DeleteTableReplica"):
        assert not may(found, "target", f"dynamodb:{action}", west)
        assert may(found, "target", f"dynamodb:{action}", west.replace("deploy", "any"))


def test_flags_and_journal_are_written_and_never_deleted(everything: Records) -> None:
    assert may(everything, "target", "dynamodb:UpdateItem", table(TEST, "app-deploy-test"))
    assert may(everything, "target", "dynamodb:Query", table(TEST, "downstage-control"))
    for name in ("app-deploy-test", "downstage-control"):
        assert not may(everything, "target", "dynamodb:DeleteTable", table(TEST, name))


def test_even_a_pattern_that_reaches_the_flags_does_not_delete_them(tmp_path: Path) -> None:
    """The guards refuse such a pattern; the policy does not rely on them."""
    found = records(tmp_path, EVERYTHING.replace('"app-test-*"', '"app-*"'))
    assert may(found, "target", "dynamodb:DeleteTable", table(TEST, "app-anything"))
    assert not may(found, "target", "dynamodb:DeleteTable", table(TEST, "app-deploy-test"))


def test_the_masking_key_is_the_source_roles_alone(everything: Records) -> None:
    secret = f"arn:aws:secretsmanager:us-east-1:{PROD}:secret:downstage/mask-key-a1B2c3"
    parameter = f"arn:aws:ssm:us-east-1:{PROD}:parameter/downstage/old-key"
    assert may(everything, "source", "secretsmanager:GetSecretValue", secret)
    assert may(everything, "source", "ssm:GetParameter", parameter)
    for role in ("target", "glue", "launcher"):
        assert not may(everything, role, "secretsmanager:GetSecretValue", secret)
        assert not may(everything, role, "ssm:GetParameter", parameter)


def test_the_target_role_is_denied_the_key_whatever_else_it_is_given(everything: Records) -> None:
    documents = [*everything["target"]["policies"].values(), ADMINISTRATOR]
    key = f"arn:aws:secretsmanager:us-east-1:{PROD}:secret:downstage/mask-key-a1B2c3"
    assert not allowed(documents, Request("secretsmanager:GetSecretValue", key))
    theirs, protected = {"aws:ResourceAccount": PROD}, {"aws:ResourceAccount": OTHER}
    assert not allowed(documents, Request("dynamodb:PutItem", table(PROD, "anything"), theirs))
    assert not allowed(documents, Request("s3:PutObject", "arn:aws:s3:::docs-prod/cases/1", theirs))
    assert not allowed(documents, Request("s3:GetObject", "arn:aws:s3:::exports-prod/raw/1", theirs))
    assert not allowed(documents, Request("dynamodb:PutItem", table(OTHER, "anything"), protected))
    assert allowed(documents, Request("s3:GetObject", "arn:aws:s3:::docs-prod/cases/1", theirs))
    assert allowed(documents, Request("dynamodb:PutItem", table(TEST, "anything"), {"aws:ResourceAccount": TEST}))


def test_buckets_are_read_and_written_below_their_prefix_in_their_account(everything: Records) -> None:
    def bucket(action: str, resource: str, account: str, **context: str) -> bool:
        return may(everything, "target", action, f"arn:aws:s3:::{resource}", aws__ResourceAccount=account, **context)

    assert bucket("s3:GetObject", "docs-prod/cases/1", PROD)
    assert not bucket("s3:GetObject", "docs-prod/other/1", PROD)
    assert not bucket("s3:GetObject", "docs-prod/cases/1", OTHER)
    assert bucket("s3:ListBucket", "docs-prod", PROD, s3__prefix="cases/2")
    assert not bucket("s3:ListBucket", "docs-prod", PROD)
    assert bucket("s3:DeleteObject", "docs-test/cases/1", TEST)
    assert not bucket("s3:DeleteObject", "media-test/1", TEST)
    assert bucket("s3:PutObject", "media-test/1", TEST)
    for action in ("s3:PutObject", "s3:DeleteObject", "s3:PutObjectTagging"):
        assert not bucket(action, "docs-prod/cases/1", PROD)


def test_what_productions_bucket_must_say_is_told_and_is_reading_alone(everything: Records) -> None:
    said = everything["target"]["bucket_policies"]
    assert set(said) == {"docs-prod", "media-prod"}
    for policy in said.values():
        for statement in policy["Statement"]:
            assert statement["Principal"] == {"AWS": f"arn:aws:iam::{TEST}:role/refresh/downstage-write"}
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert set(actions) <= {"s3:ListBucket", "s3:GetObject", "s3:GetObjectTagging"}


def test_mappings_are_switched_for_the_configured_functions_alone(everything: Records) -> None:
    def switch(function: str, region: str) -> bool:
        arn = f"arn:aws:lambda:{region}:{TEST}:event-source-mapping:1-2-3"
        name = f"arn:aws:lambda:{region}:{TEST}:function:{function}"
        return may(everything, "target", "lambda:UpdateEventSourceMapping", arn, lambda__FunctionArn=name)

    assert switch("streams_test_blue", "us-east-1")
    assert switch("indexer:live", "us-west-1")
    assert not switch("mailer", "us-east-1")
    assert not switch("streams_test_blue", "eu-west-1")


def test_keys_are_used_through_the_service_that_they_encrypt_for(everything: Records) -> None:
    key = f"arn:aws:kms:us-east-1:{PROD}:key/1111"
    through = "dynamodb.us-east-1.amazonaws.com"
    assert may(everything, "source", "kms:Decrypt", key, kms__ViaService=through)
    assert not may(everything, "source", "kms:Decrypt", key)
    assert not may(everything, "source", "kms:Decrypt", key.replace("1111", "2222"), kms__ViaService=through)
    read = {
        "kms__ViaService": "s3.us-east-1.amazonaws.com",
        "kms__EncryptionContext:aws:s3:arn": "arn:aws:s3:::docs-prod",
    }
    assert may(everything, "target", "kms:Decrypt", key, **read)
    assert not may(everything, "target", "kms:Decrypt", key, kms__ViaService=through)
    others = {**read, "kms__EncryptionContext:aws:s3:arn": "arn:aws:s3:::exports-prod"}
    assert not may(everything, "target", "kms:Decrypt", key, **others)


def test_a_flag_that_is_an_encrypted_parameter_is_read_and_written_with_its_key_alone(everything: Records) -> None:
    key, flag = f"arn:aws:kms:us-east-1:{TEST}:key/2222", f"arn:aws:ssm:us-east-1:{TEST}:parameter/app/test/table"
    told = {"kms__ViaService": "ssm.us-east-1.amazonaws.com", "kms__EncryptionContext:PARAMETER_ARN": flag}
    for action in ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"):
        assert may(everything, "target", action, key, **told), action
        assert not may(everything, "source", action, key, **told), action
        assert not may(everything, "target", action, key.replace(TEST, PROD), **told), action
    for action in ("kms:Decrypt", "kms:Encrypt"):  # a data key may be asked for in a dry run, with a bucket's key
        for wrong in (
            {**told, "kms__EncryptionContext:PARAMETER_ARN": f"{flag}-of-others"},
            {**told, "kms__ViaService": "secretsmanager.us-east-1.amazonaws.com"},
            {},
        ):
            assert not may(everything, "target", action, key, **wrong), (action, wrong)
    for action in ("GetParameter", "GetParameterHistory", "PutParameter"):
        assert may(everything, "target", f"ssm:{action}", flag)
        assert not may(everything, "target", f"ssm:{action}", f"{flag}-of-others")


def test_the_launcher_hands_the_job_its_role_to_glue_alone(everything: Records) -> None:
    role = f"arn:aws:iam::{PROD}:role/downstage-glue"
    assert may(everything, "launcher", "iam:PassRole", role, iam__PassedToService="glue.amazonaws.com")
    assert not may(everything, "launcher", "iam:PassRole", role, iam__PassedToService="ec2.amazonaws.com")
    assert not may(everything, "launcher", "iam:PassRole", f"{role}2", iam__PassedToService="glue.amazonaws.com")
    assert may(everything, "launcher", "glue:StartJobRun", f"arn:aws:glue:us-east-1:{PROD}:job/downstage-copy")
    assert not may(everything, "launcher", "glue:StartJobRun", f"arn:aws:glue:us-east-1:{PROD}:job/other")


def test_the_launcher_reads_and_deletes_exports_below_their_prefix(everything: Records) -> None:
    raw = "arn:aws:s3:::exports-prod/raw/AWSDynamoDB/0123/manifest-summary.json"
    owned = {"aws__ResourceAccount": PROD}
    for action in ("s3:GetObject", "s3:DeleteObjectVersion", "s3:PutObject"):
        assert may(everything, "launcher", action, raw, **owned), action
        assert not may(everything, "launcher", action, "arn:aws:s3:::exports-prod/other", **owned), action
        assert not may(everything, "source", action, raw, **owned), action
    assert may(everything, "launcher", "dynamodb:ExportTableToPointInTime", table(PROD, "app-prod"))
    assert not may(everything, "launcher", "dynamodb:ExportTableToPointInTime", table(PROD, "users-prod"))
    assert not may(everything, "launcher", "dynamodb:Scan", table(PROD, "app-prod"))


def test_without_a_launcher_the_source_role_exports_and_that_is_said(tmp_path: Path) -> None:
    text = "\n".join(line for line in EVERYTHING.splitlines() if not line.startswith("launcher:"))
    here = project(tmp_path, text)
    found, doubts = roles(here, "test")
    by_name: Records = {str(role.name): role.record for role in found}
    assert may(by_name, "source", "dynamodb:ExportTableToPointInTime", table(PROD, "app-prod"))
    assert not may(by_name, "launcher", "dynamodb:ExportTableToPointInTime", table(PROD, "app-prod"))
    assert any("export bucket" in doubt for doubt in doubts)
    assert any("launcher.role" in doubt for doubt in doubts)


def test_who_may_become_whom(everything: Records) -> None:
    for role in ("source", "target"):
        (statement,) = everything[role]["trust"]["Statement"]
        launcher, glue = f"arn:aws:iam::{PROD}:role/downstage-launch", f"arn:aws:iam::{PROD}:role/downstage-glue"
        assert statement["Principal"] == {"AWS": [launcher, glue]}
        expected = {"StringEquals": {"sts:ExternalId": "acme-7f3a"}} if role == "source" else None
        assert statement.get("Condition") == expected
        assert may(everything, "launcher", "sts:AssumeRole", everything[role]["role"])
    (glue_trust,) = everything["glue"]["trust"]["Statement"]
    assert glue_trust["Principal"] == {"Service": "glue.amazonaws.com"}
    assert glue_trust["Condition"] == {"StringEquals": {"aws:SourceAccount": PROD}}
    (launch,) = everything["launcher"]["trust"]["Statement"]
    assert launch["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}


def test_nobody_is_trusted_who_is_not_named(everything: Records) -> None:
    for record in everything.values():
        assert '"*"' not in json.dumps([one.get("Principal") for one in record["trust"]["Statement"]])


def test_a_github_schedule_tells_whose_tokens_start_the_refresh(tmp_path: Path) -> None:
    start = EVERYTHING.index("      schedule:\n")
    rest = EVERYTHING[EVERYTHING.index("masking:") :]
    schedule = "      schedule: {via: github, project: github/acme/app, branch: main, day: 1, hour: 5}\n"
    text = (EVERYTHING[:start] + schedule + rest).replace(", trust: [ecs-tasks.amazonaws.com]", "")
    (statement,) = records(tmp_path, text)["launcher"]["trust"]["Statement"]
    provider = "token.actions.githubusercontent.com"
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::{PROD}:oidc-provider/{provider}"}
    assert statement["Condition"]["StringLike"] == {f"{provider}:sub": "repo:acme/app:ref:refs/heads/main"}


def test_one_account_for_both_denies_writing_what_is_read(tmp_path: Path) -> None:
    text = EVERYTHING.replace(PROD, TEST).replace("    protected: true\n", "")
    found = records(tmp_path, text)
    assert not may(found, "target", "dynamodb:BatchWriteItem", table(TEST, "app-prod"))
    assert may(found, "target", "dynamodb:BatchWriteItem", table(TEST, "app-test-alpha"))
    owned = {"aws__ResourceAccount": TEST}
    assert not may(found, "target", "s3:PutObject", "arn:aws:s3:::docs-prod/cases/1", **owned)
    assert "bucket_policies" not in found["target"]


def test_within_one_account_what_is_read_is_denied_to_be_changed_whatever_else_is_given(tmp_path: Path) -> None:
    text = EVERYTHING.replace(PROD, TEST).replace("    protected: true\n", "")
    documents = [*records(tmp_path, text)["target"]["policies"].values(), ADMINISTRATOR]

    def given(action: str, resource: str) -> bool:
        return allowed(documents, Request(action, resource, {"aws:ResourceAccount": TEST}))

    domains = f"arn:aws:es:us-east-1:{TEST}:domain"
    denied = {
        (table(TEST, "app-prod"), table(TEST, "app-test-alpha")): (
            *("dynamodb:PutItem", "dynamodb:BatchWriteItem", "dynamodb:PartiQLUpdate", "dynamodb:ImportTable"),
            *("dynamodb:RestoreTableFromBackup", "dynamodb:RestoreTableToPointInTime", "dynamodb:DeleteTable"),
            *("dynamodb:TagResource", "dynamodb:UntagResource"),
        ),
        ("arn:aws:s3:::docs-prod/cases/1", "arn:aws:s3:::docs-test/cases/1"): (
            *("s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:DeleteObjectVersion"),
            *("s3:AbortMultipartUpload", "s3:RestoreObject"),
        ),
        (f"{domains}/search-prod/app-case/_doc/1", f"{domains}/search-test-alpha/app-case/_doc/1"): (
            *("es:ESHttpPost", "es:ESHttpPut", "es:ESHttpDelete", "es:ESHttpPatch"),
        ),
        (f"{domains}/search-prod", f"{domains}/search-test-alpha"): (
            *("es:DeleteDomain", "es:UpdateDomainConfig", "es:DeleteElasticsearchDomain"),
        ),
    }
    for (theirs, ours), actions in denied.items():
        for action in actions:
            assert not given(action, theirs), (action, theirs)
            assert given(action, ours), (action, ours)
    for action, resource in {
        "dynamodb:Scan": table(TEST, "app-prod"),
        "s3:GetObject": "arn:aws:s3:::docs-prod/cases/1",
        "es:ESHttpGet": f"{domains}/search-prod/app-case",
    }.items():
        assert given(action, resource), action


def test_a_refresh_without_search_denies_no_domain(tmp_path: Path) -> None:
    text = EVERYTHING.replace(PROD, TEST).replace("    protected: true\n", "")
    found = records(tmp_path, text, without="search")
    assert "NeverWriteSourceDomain" not in json.dumps(found["target"]["policies"])
    assert "NeverWriteSourceTables" in json.dumps(found["target"]["policies"])


def test_tokens_of_a_ci_are_read_by_the_target_role(tmp_path: Path) -> None:
    deploy = "deploy: {github: {project: github/acme/app, branch: main, workflow: d.yml, token: 'ssm:/ci/token'}}"
    found = records(tmp_path, EVERYTHING.replace("deploy: {clone: {}}", deploy))
    assert may(found, "target", "ssm:GetParameter", f"arn:aws:ssm:us-east-1:{TEST}:parameter/ci/token")
    assert not may(found, "target", "dynamodb:CreateTable", table(TEST, "app-test-alpha"))
    assert not may(found, "source", "ssm:GetParameter", f"arn:aws:ssm:us-east-1:{TEST}:parameter/ci/token")


def test_a_notifications_secret_is_read_for_the_environments_that_it_is_told_of(tmp_path: Path) -> None:
    told = (
        "notifications:\n"
        "  - {apprise: 'ssm:/notify/ours', environments: [test]}\n"
        "  - {apprise: 'ssm:/notify/all'}\n"
        "  - {apprise: 'ssm:/notify/theirs', environments: [mig]}\n"
    )
    refreshed_too = EVERYTHING.replace(
        "region: us-east-1, protected: true}", "region: us-east-1, refresh: {from: prod}}"
    )
    found = records(tmp_path, refreshed_too + told)
    place = f"arn:aws:ssm:us-east-1:{TEST}:parameter/notify"
    assert may(found, "target", "ssm:GetParameter", f"{place}/ours")
    assert may(found, "target", "ssm:GetParameter", f"{place}/all")
    assert not may(found, "target", "ssm:GetParameter", f"{place}/theirs")


def test_no_journal_table_where_there_is_never_one(tmp_path: Path) -> None:
    found = records(tmp_path, EVERYTHING.replace("journal: dynamodb", "journal: sqlite"))
    assert not may(found, "target", "dynamodb:PutItem", table(TEST, "downstage-control"))
