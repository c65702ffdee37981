"""The looks' adapters over real boto3 clients with canned answers: what they ask, and what each answer comes to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import boto3
import pytest
from botocore.stub import Stubber

from downstage.aws.bucket_keys import TargetKeys
from downstage.aws.bucket_size import objects_in
from downstage.aws.clock import seconds_ahead
from downstage.aws.key_probe import SecretProbe
from downstage.aws.permissions import SimulatedPermissions
from downstage.aws.quotas import table_quota
from downstage.aws.session import Session
from downstage.aws.tables import TableControl
from downstage.domain.environment import Caller, Environment
from downstage.domain.refs import TargetBucket
from downstage.domain.table_schema import Units
from downstage.errors import AwsError, NotFound
from downstage.ports import Capacity, IndexFacts

PROD, TEST = "111111111111", "222222222222"
TABLE = f"arn:aws:dynamodb:us-east-1:{PROD}:table/app-prod"
BUCKET = TargetBucket(TEST, "copies")
SECRET = f"arn:aws:secretsmanager:eu-west-1:{PROD}:secret:downstage/mask-key-AbCdEf"
CANARY = "a-value-that-nobody-may-see"


class Canned:
    """A session whose clients are botocore's own, with answers that were put in beforehand, in order."""

    def __init__(self, arn: str = "", *, role: str | None = None, account: str = PROD) -> None:
        self.environment = Environment("prod" if account == PROD else "test", account, "us-east-1", role=role)
        self.arn = arn
        self.regions: list[str | None] = []
        self._stubs: dict[str, tuple[Any, Stubber]] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        self.regions.append(region)
        return self._made(service)[0]

    def caller(self) -> Caller:
        return Caller(self.environment.account, self.arn)

    def answers(
        self, service: str, operation: str, answer: dict[str, Any], asked: dict[str, Any] | None = None
    ) -> None:
        self._made(service)[1].add_response(operation, answer, asked)

    def refuses(self, service: str, operation: str, code: str, headers: dict[str, str] | None = None) -> None:
        meta = {"HTTPHeaders": headers} if headers else None
        self._made(service)[1].add_client_error(operation, code, "no", 400, response_meta=meta)

    def done(self) -> None:
        for _, stub in self._stubs.values():
            stub.assert_no_pending_responses()

    def _made(self, service: str) -> tuple[Any, Stubber]:
        if service not in self._stubs:
            client: Any = boto3.client(
                service,  # type: ignore[call-overload]
                region_name="us-east-1",
                aws_access_key_id="x",
                aws_secret_access_key="x",
            )
            stub = Stubber(client)
            stub.activate()
            self._stubs[service] = (client, stub)
        return self._stubs[service]

    @property
    def session(self) -> Session:
        return cast("Session", self)


@pytest.fixture
def target() -> Iterator[Canned]:
    made = Canned(account=TEST)
    yield made
    made.done()


# -- permissions


def simulated(*decisions: tuple[str, str], more: bool = False) -> dict[str, Any]:
    results = [{"EvalActionName": action, "EvalDecision": decision} for action, decision in decisions]
    return {"EvaluationResults": results, "IsTruncated": more} | ({"Marker": "next"} if more else {})


def expects(canned: Canned, principal: str, resource: str = TABLE, action: str = "dynamodb:PutItem") -> None:
    asked = {"PolicySourceArn": principal, "ActionNames": [action], "ResourceArns": [resource]}
    canned.answers("iam", "simulate_principal_policy", simulated((action, "allowed")), asked)


def test_an_assumed_role_is_simulated_as_the_configured_role_with_its_path() -> None:
    role = f"arn:aws:iam::{PROD}:role/apps/court/downstage-read"
    canned = Canned(f"arn:aws:sts::{PROD}:assumed-role/downstage-read/downstage", role=role)
    expects(canned, role)
    assert SimulatedPermissions(canned.session).allowed(["dynamodb:PutItem"], TABLE) == ["dynamodb:PutItem"]
    canned.done()


def test_a_role_that_is_not_configured_is_looked_up_for_its_path() -> None:
    arn = f"arn:aws:iam::{PROD}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1"
    canned = Canned(f"arn:aws:sts::{PROD}:assumed-role/AWSReservedSSO_Admin_1/me@example.org")
    found = {"Path": "/", "RoleName": "AWSReservedSSO_Admin_1", "RoleId": "A" * 16, "Arn": arn}
    canned.answers("iam", "get_role", {"Role": found | {"CreateDate": datetime(2026, 1, 1, tzinfo=UTC)}})
    expects(canned, arn)
    assert SimulatedPermissions(canned.session).allowed(["dynamodb:PutItem"], TABLE)
    canned.done()


def test_without_the_look_up_the_role_is_taken_to_have_no_path() -> None:
    canned = Canned(f"arn:aws:sts::{PROD}:assumed-role/reader/session")
    canned.refuses("iam", "get_role", "AccessDenied")
    expects(canned, f"arn:aws:iam::{PROD}:role/reader")
    assert SimulatedPermissions(canned.session).allowed(["dynamodb:PutItem"], TABLE)
    canned.done()


def test_a_user_is_simulated_as_it_is_in_its_own_partition() -> None:
    canned = Canned(f"arn:aws-cn:iam::{PROD}:user/me")
    expects(canned, f"arn:aws-cn:iam::{PROD}:user/me", TABLE.replace("arn:aws:", "arn:aws-cn:"))
    assert SimulatedPermissions(canned.session).allowed(["dynamodb:PutItem"], TABLE)
    canned.done()


def test_root_may_do_everything() -> None:
    canned = Canned(f"arn:aws:iam::{PROD}:root")
    assert SimulatedPermissions(canned.session).allowed(["a:B", "c:D"], TABLE) == ["a:B", "c:D"]


def test_who_cannot_be_simulated_is_said() -> None:
    canned = Canned(f"arn:aws:sts::{PROD}:federated-user/somebody")
    with pytest.raises(AwsError, match="simulates users and roles"):
        SimulatedPermissions(canned.session).allowed(["a:B"], TABLE)


def test_only_allowed_counts_on_every_page_and_in_any_case_of_letters() -> None:
    canned = Canned(f"arn:aws:iam::{PROD}:user/me")
    canned.answers(
        "iam", "simulate_principal_policy", simulated(("a:one", "implicitDeny"), ("a:two", "allowed"), more=True)
    )
    canned.answers("iam", "simulate_principal_policy", simulated(("a:three", "explicitDeny"), ("A:FOUR", "allowed")))
    asked = ["a:four", "a:three", "a:two", "a:one"]
    assert SimulatedPermissions(canned.session).allowed(asked, TABLE) == ["a:four", "a:two"]


def test_an_action_that_is_left_out_of_the_answer_is_not_taken_for_denied() -> None:
    canned = Canned(f"arn:aws:iam::{PROD}:user/me")
    canned.answers("iam", "simulate_principal_policy", simulated(("a:one", "implicitDeny")))
    with pytest.raises(AwsError, match="leaves actions out"):
        SimulatedPermissions(canned.session).allowed(["a:one", "a:two"], TABLE)


def test_a_denied_simulation_is_an_error_with_its_code() -> None:
    canned = Canned(f"arn:aws:iam::{PROD}:user/me")
    canned.refuses("iam", "simulate_principal_policy", "AccessDenied")
    with pytest.raises(AwsError) as denied:
        SimulatedPermissions(canned.session).allowed(["a:B"], TABLE)
    assert denied.value.code == "AccessDenied"


# -- the masking key


def secret(canned: Canned, arn: str = SECRET, asked: str | None = None) -> None:
    answer = {"ARN": arn, "SecretString": CANARY}
    canned.answers("secretsmanager", "get_secret_value", answer, None if asked is None else {"SecretId": asked})


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "DecryptionFailure"])
def test_a_secret_that_is_denied_by_name_and_by_arn_is_not_readable(target: Canned, code: str) -> None:
    source = Canned()
    secret(source, asked="downstage/mask-key")
    for _ in range(2):
        target.refuses("secretsmanager", "get_secret_value", code)
    assert not SecretProbe(source.session, target.session).readable("secretsmanager:downstage/mask-key")
    assert target.regions == [None, "eu-west-1"]


def test_a_secret_of_that_name_in_the_target_is_readable(target: Canned) -> None:
    secret(target, asked="downstage/mask-key")
    assert SecretProbe(Canned().session, target.session).readable("secretsmanager:downstage/mask-key")


def test_the_sources_secret_that_its_policy_opens_is_readable(target: Canned) -> None:
    source = Canned()
    secret(source)
    target.refuses("secretsmanager", "get_secret_value", "ResourceNotFoundException")
    secret(target, asked=SECRET)
    assert SecretProbe(source.session, target.session).readable("secretsmanager:downstage/mask-key")


def test_an_arn_is_tried_once_in_its_region(target: Canned) -> None:
    target.refuses("secretsmanager", "get_secret_value", "AccessDeniedException")
    assert not SecretProbe(Canned().session, target.session).readable(f"secretsmanager:{SECRET}")
    assert target.regions == ["eu-west-1"]


def test_a_parameter_is_tried_decrypted(target: Canned) -> None:
    source = Canned()
    source.refuses("ssm", "get_parameter", "AccessDeniedException")
    target.refuses("ssm", "get_parameter", "ParameterNotFound")
    assert not SecretProbe(source.session, target.session).readable("ssm:/mask")
    asked = {"Name": "/mask", "WithDecryption": True}
    target.answers("ssm", "get_parameter", {"Parameter": {"Name": "/mask", "Value": CANARY}}, asked)
    assert SecretProbe(source.session, target.session).readable("ssm:/mask")


def test_another_answer_tells_nothing_and_no_error_holds_the_value(target: Canned) -> None:
    target.refuses("secretsmanager", "get_secret_value", "InternalServiceError")
    with pytest.raises(AwsError) as unknown:
        SecretProbe(Canned().session, target.session).readable(f"secretsmanager:{SECRET}")
    assert CANARY not in str(unknown.value)


# -- keys of buckets


def encryption(algorithm: str, key: str | None = None) -> dict[str, Any]:
    rule = {"SSEAlgorithm": algorithm} | ({"KMSMasterKeyID": key} if key else {})
    return {"ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]}}


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        (encryption("AES256"), None),
        (encryption("aws:kms"), None),
        (encryption("aws:kms", f"arn:aws:kms:us-east-1:{TEST}:alias/aws/s3"), None),
        (encryption("aws:kms", "alias/copies"), "alias/copies"),
        (encryption("aws:kms:dsse", "alias/copies"), "alias/copies"),
    ],
)
def test_the_default_key_of_a_bucket(target: Canned, answer: dict[str, Any], key: str | None) -> None:
    asked = {"Bucket": "copies", "ExpectedBucketOwner": TEST}
    target.answers("s3", "get_bucket_encryption", answer, asked)
    assert TargetKeys(target.session).default(BUCKET) == key


def test_a_bucket_without_the_setting_has_no_key_and_a_denied_look_is_an_error(target: Canned) -> None:
    target.refuses("s3", "get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError")
    assert TargetKeys(target.session).default(BUCKET) is None
    target.refuses("s3", "get_bucket_encryption", "AccessDenied")
    with pytest.raises(AwsError):
        TargetKeys(target.session).default(BUCKET)


@pytest.mark.parametrize(
    ("code", "use"),
    [
        ("DryRunOperationException", "usable"),
        ("AccessDeniedException", "denied"),
        ("DisabledException", "unusable"),
        ("NotFoundException", "unusable"),
        ("KMSInvalidStateException", "unusable"),
    ],
)
def test_a_key_is_tried_without_making_one(target: Canned, code: str, use: str) -> None:
    target.refuses("kms", "generate_data_key", code)
    assert TargetKeys(target.session).use(f"arn:aws:kms:eu-west-1:{TEST}:key/1") == use
    assert target.regions == ["eu-west-1"]


def test_a_key_of_another_fault_is_not_judged(target: Canned) -> None:
    target.refuses("kms", "generate_data_key", "KMSInternalException")
    with pytest.raises(AwsError):
        TargetKeys(target.session).use("alias/copies")


# -- the clock

DATE = {"date": "Mon, 02 Nov 2026 10:00:00 GMT"}
THEN = datetime(2026, 11, 2, 10, 0, 0, tzinfo=UTC).timestamp()
IDENTITY = {"Account": TEST, "Arn": f"arn:aws:iam::{TEST}:user/me", "UserId": "x"}


@pytest.mark.parametrize(
    ("offset", "ahead"), [(0.0, 0.0), (0.9, 0.0), (400.0, 399.0), (61.5, 60.5), (-400.0, -400.0), (-0.5, -0.5)]
)
def test_the_clock_is_compared_with_the_answers_date(target: Canned, offset: float, ahead: float) -> None:
    target.answers("sts", "get_caller_identity", IDENTITY | {"ResponseMetadata": {"HTTPHeaders": DATE}})
    assert seconds_ahead(target.session, lambda: THEN + offset) == pytest.approx(ahead)


def test_a_refused_signature_tells_the_time_too(target: Canned) -> None:
    target.refuses("sts", "get_caller_identity", "SignatureDoesNotMatch", DATE)
    assert seconds_ahead(target.session, lambda: THEN - 3600) == pytest.approx(-3600)


def test_a_slow_answer_does_not_make_the_clock_wrong(target: Canned) -> None:
    target.answers("sts", "get_caller_identity", IDENTITY | {"ResponseMetadata": {"HTTPHeaders": DATE}})
    moments = iter([THEN - 100, THEN + 100])
    assert seconds_ahead(target.session, lambda: next(moments)) == 0.0


def test_an_answer_without_a_date_is_an_error(target: Canned) -> None:
    target.answers("sts", "get_caller_identity", IDENTITY)
    with pytest.raises(AwsError, match="does not tell the time"):
        seconds_ahead(target.session, lambda: THEN)


# -- sizes and capacities


def test_a_buckets_size_is_the_newest_that_cloudwatch_has(target: Canned) -> None:
    points = [
        {"Timestamp": datetime(2026, 11, day, tzinfo=UTC), "Average": number, "Unit": "Count"}
        for day, number in ((2, 12_000_000.0), (1, 11_000_000.0))
    ]
    target.answers("cloudwatch", "get_metric_statistics", {"Label": "NumberOfObjects", "Datapoints": points})
    assert objects_in(target.session, "copies", lambda: THEN) == 12_000_000
    target.answers("cloudwatch", "get_metric_statistics", {"Datapoints": []})
    assert objects_in(target.session, "copies", lambda: THEN) is None
    target.refuses("cloudwatch", "get_metric_statistics", "AccessDenied")
    assert objects_in(target.session, "copies", lambda: THEN) is None


def test_what_an_account_lets_a_table_take(target: Canned) -> None:
    units = {"TableMaxReadCapacityUnits": 40_000, "TableMaxWriteCapacityUnits": 80_000}
    target.answers("dynamodb", "describe_limits", units)
    assert table_quota(target.session) == Units(40_000, 80_000)
    target.refuses("dynamodb", "describe_limits", "AccessDeniedException")
    assert table_quota(target.session) == Units()


def described(**more: Any) -> dict[str, Any]:
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    return {"Table": {"TableName": "app-prod", "TableArn": TABLE, "TableStatus": "ACTIVE", "KeySchema": keys, **more}}


def test_what_a_table_can_take_is_among_its_facts(target: Canned) -> None:
    index = {
        "IndexName": "by-date",
        "KeySchema": [{"AttributeName": "date", "KeyType": "HASH"}],
        "ItemCount": 7,
        "IndexSizeBytes": 900,
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2},
    }
    target.answers(
        "dynamodb",
        "describe_table",
        described(
            ProvisionedThroughput={"ReadCapacityUnits": 30, "WriteCapacityUnits": 40},
            WarmThroughput={"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000},
            GlobalSecondaryIndexes=[index],
            Replicas=[{"RegionName": "eu-west-1"}],
            TableClassSummary={"TableClass": "STANDARD_INFREQUENT_ACCESS"},
        ),
    )
    target.answers("dynamodb", "describe_time_to_live", {"TimeToLiveDescription": {}})
    facts = TableControl(target.session).facts("app-prod")
    assert facts.capacity == Capacity(on_demand=False, provisioned=Units(30, 40), warm=Units(12_000, 4_000))
    assert facts.indexes == (IndexFacts("by-date", 7, 900, Capacity(on_demand=False, provisioned=Units(1, 2))),)
    assert (facts.replicas, facts.infrequent) == (1, True)


def test_an_on_demand_table_has_a_maximum_and_no_provisioned_units(target: Canned) -> None:
    target.answers(
        "dynamodb",
        "describe_table",
        described(
            BillingModeSummary={"BillingMode": "PAY_PER_REQUEST"},
            ProvisionedThroughput={"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
            OnDemandThroughput={"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 700},
        ),
    )
    target.answers("dynamodb", "describe_time_to_live", {"TimeToLiveDescription": {}})
    assert TableControl(target.session).facts("app-prod").capacity == Capacity(maximum=Units(None, 700))


def test_a_table_that_is_not_there_is_said(target: Canned) -> None:
    target.refuses("dynamodb", "describe_table", "ResourceNotFoundException")
    with pytest.raises(NotFound):
        TableControl(target.session).facts("app-prod")
