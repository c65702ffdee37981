"""`tables diff` and `tables clone` against two stand-ins for AWS: a rich table of production, cloned, has no difference
left but what the stand-in cannot do (named below); what differs is found; bad input is one clear line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from botocore.config import Config

from downstage.aws import session as sessions
from downstage.aws.session import Session
from downstage.aws.table_schema import read_schema
from downstage.cli.main import main
from downstage.domain.environment import Environment
from downstage.domain.table_schema import Encryption, Recovery, Unknown
from downstage.errors import NotFound
from downstage.sandbox.supervisor import answers, free_port, health_url

pytestmark = pytest.mark.integration

PROD, TEST, PARTNER, REGION = "111111111111", "222222222222", "333333333333", "us-east-1"
MAXIMA = {"MaxReadRequestUnits": 500, "MaxWriteRequestUnits": 200}


@dataclass(frozen=True)
class StandIn:
    """A server on loopback, and the facts that it does not know of."""

    endpoint: str
    credentials: Path
    cannot: tuple[str, ...]

    def session(self, account: str) -> Session:
        role = f"arn:aws:iam::{account}:role/downstage"
        return Session(
            Environment(
                "prod" if account == PROD else "test",
                account,
                REGION,
                role=role,
                profile="here",
                credentials_file=str(self.credentials),
                endpoint=self.endpoint,
            )
        )


@pytest.fixture(scope="module", params=["ministack", "moto"])
def aws(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    here = tmp_path_factory.mktemp(request.param)
    credentials = here / "credentials"
    credentials.write_text("[here]\naws_access_key_id = 999999999999\naws_secret_access_key = none\n", encoding="utf-8")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(here), "HOME": str(here)}
    if request.param == "moto":
        pytest.importorskip("moto", reason="moto is not installed: pip install 'downstage[dev]'")
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        found = StandIn(endpoint, credentials, ("contributor_insights",))
        url = f"{endpoint}/moto-api/"
    else:
        command = [sys.executable, "-m", "downstage.sandbox.emulator"]
        environment |= {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "S3_DATA_DIR": str(here / "s3"),
            "STATE_DIR": str(here / "state"),
            "LOG_LEVEL": "WARNING",
        }
        found = StandIn(endpoint, credentials, ("autoscaling",))
        url = health_url(endpoint)
    with (here / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=here, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not answers(url):
            assert server.poll() is None, (here / "log").read_text(encoding="utf-8")[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield found
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture(autouse=True)
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stand-in lacks it answers with 500, which is not worth five more attempts."""
    config = sessions._config

    def impatient(service: str, environment: Environment, *, patient: bool) -> Any:
        return config(service, environment, patient=patient).merge(
            Config(retries={"mode": "standard", "total_max_attempts": 1}, proxies={})
        )

    monkeypatch.setattr(sessions, "_config", impatient)


def table(name: str, **more: Any) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        **more,
    }


def rich(name: str, key: str) -> dict[str, Any]:
    """A table with everything that CreateTable takes."""
    units = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 8}
    return {
        "TableName": name,
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": units,
        "AttributeDefinitions": [
            {"AttributeName": one, "AttributeType": kind} for one, kind in (("pk", "S"), ("sk", "S"), ("number", "N"))
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-number",
                "KeySchema": [{"AttributeName": "number", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["title", "name"]},
                "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
            },
            {
                "IndexName": "reversed",
                "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}, {"AttributeName": "pk", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
                "ProvisionedThroughput": units,
            },
        ],
        "LocalSecondaryIndexes": [
            {
                "IndexName": "numbered",
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "number", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        "DeletionProtectionEnabled": True,
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        "Tags": [{"Key": "application", "Value": "app"}, {"Key": "stage", "Value": "prod"}],
    }


def enrich(aws: StandIn, name: str) -> None:
    """What hangs on production's table besides."""
    prod = aws.session(PROD)
    client = prod.client("dynamodb")
    client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    client.update_continuous_backups(
        TableName=name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 9},
    )
    arn = client.describe_table(TableName=name)["Table"]["TableArn"]
    client.put_resource_policy(ResourceArn=arn, Policy=json.dumps(policy(arn, f"arn:aws:iam::{PARTNER}:root")))
    if "contributor_insights" not in aws.cannot:
        client.update_contributor_insights(TableName=name, ContributorInsightsAction="ENABLE")
        client.update_contributor_insights(TableName=name, IndexName="by-number", ContributorInsightsAction="ENABLE")
    if "autoscaling" not in aws.cannot:
        scale(prod, f"table/{name}", "dynamodb:table:ReadCapacityUnits", 7, 70)
        scale(prod, f"table/{name}/index/reversed", "dynamodb:index:WriteCapacityUnits", 5, 50)
    for account, function in ((PROD, "streams_prod"), (TEST, "streams_test")):
        make_function(aws.session(account), account, function)
    prod.client("lambda").create_event_source_mapping(
        EventSourceArn=client.describe_table(TableName=name)["Table"]["LatestStreamArn"],
        FunctionName="streams_prod",
        StartingPosition="LATEST",
        Enabled=True,
        BatchSize=17,
        ParallelizationFactor=2,
        BisectBatchOnFunctionError=True,
        FilterCriteria={"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:sqs:{REGION}:{PROD}:dead-letters"}},
    )


def policy(arn: str, principal: str) -> dict[str, Any]:
    statement = {"Sid": "partner", "Effect": "Allow", "Principal": {"AWS": principal}, "Action": "dynamodb:GetItem"}
    return {"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn}]}


def scale(side: Session, resource: str, dimension: str, least: int, percent: float) -> None:
    client = side.client("application-autoscaling")
    where = {"ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": dimension}
    client.register_scalable_target(**where, MinCapacity=least, MaxCapacity=100)
    way = "Read" if "Read" in dimension else "Write"
    client.put_scaling_policy(
        **where,
        PolicyName=f"prod-{way}",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": percent,
            "ScaleInCooldown": 60,
            "PredefinedMetricSpecification": {"PredefinedMetricType": f"DynamoDB{way}CapacityUtilization"},
        },
    )


def make_function(side: Session, account: str, name: str) -> None:
    code = BytesIO()
    with ZipFile(code, "w") as packed:
        packed.writestr("main.py", "def handler(event, context):\n    return None\n")
    role = side.client("iam").create_role(RoleName=f"run-{name}", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    side.client("lambda").create_function(
        FunctionName=name, Runtime="python3.11", Role=role, Handler="main.handler", Code={"ZipFile": code.getvalue()}
    )


@dataclass
class Cli:
    """The command line, in a directory with a configuration."""

    path: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr("sys.argv", ["downstage", *arguments, "--config", str(self.path)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        return int(ended.value.code or 0), out, err

    def configure(self, aws: StandIn, tables: Sequence[dict[str, Any]], **parity: Any) -> Cli:
        def environment(account: str, **more: Any) -> dict[str, Any]:
            return {
                "account": account,
                "region": REGION,
                "role": f"arn:aws:iam::{account}:role/downstage",
                "profile": "here",
                "credentials_file": str(aws.credentials),
                "endpoint": aws.endpoint,
                **more,
            }

        refresh = {"from": "prod", "tables": list(tables), "parity": parity}
        config = {
            "version": 1,
            "environments": {
                "prod": environment(PROD, protected=True),
                "test": environment(TEST, refresh=refresh),
            },
            "masking": {"key": "env:UNUSED"},
        }
        self.path.write_text(json.dumps(config), encoding="utf-8")  # YAML is a superset
        return self


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path / "downstage.yaml", capsys, monkeypatch)


def pair(name: str, **more: Any) -> dict[str, Any]:
    return {"from": f"{name}-prod", "to": f"{name}-test", **more}


def facts(out: str) -> dict[str, str]:
    """What differs in the only pair: "fact:place" and its verdict."""
    (line,) = out.splitlines()
    return {f"{one['fact']}:{one['place']}".rstrip(":"): one["verdict"] for one in json.loads(line)["differences"]}


def test_a_rich_table_cloned_differs_in_nothing_but_what_the_stand_in_cannot_do(aws: StandIn, cli: Cli) -> None:
    prod, test = aws.session(PROD), aws.session(TEST)
    ours = prod.client("kms").create_key(Description="prod")["KeyMetadata"]["Arn"]
    theirs = test.client("kms").create_key(Description="test")["KeyMetadata"]
    test.client("kms").create_alias(AliasName="alias/app-test", TargetKeyId=theirs["KeyId"])
    prod.client("dynamodb").create_table(**rich("rich-prod", ours))
    enrich(aws, "rich-prod")
    accept = list(aws.cannot)
    cli.configure(
        aws,
        [pair("rich", accept=accept)],
        kms={ours: "alias/app-test"},
        functions={"streams_prod": "streams_test"},
    )
    schema = read_schema(prod, "rich-prod")
    assert isinstance(schema.subscriptions, tuple)
    assert (len(schema.global_indexes), len(schema.local_indexes), len(schema.subscriptions)) == (2, 1, 1)
    assert schema.encryption == Encryption("customer", ours)
    assert isinstance(schema.recovery, Recovery)
    assert schema.recovery.on
    for fact, found in (("autoscaling", schema.autoscaling), ("contributor_insights", schema.insights)):
        assert isinstance(found, Unknown) if fact in aws.cannot else len(tuple(found)) == 2, fact  # type: ignore[arg-type]
    code, out, _ = cli("tables", "diff", "test", "--json")
    assert code == 4
    assert {name for name, verdict in facts(out).items() if verdict == "differs"} == {"table"}

    code, out, err = cli("tables", "clone", "test", "--yes", "--ttl", "--json")
    assert (code, err) == (0, ""), out
    expected = dict.fromkeys(aws.cannot, "accepted") | {"consumers:streams_test start": "accepted"}
    assert facts(out) == expected
    assert cli("tables", "diff", "test", "--json")[:2] == (0, out)

    made = test.client("dynamodb").describe_table(TableName="rich-test")["Table"]
    assert made["SSEDescription"]["KMSMasterKeyArn"] == theirs["Arn"]
    assert made["DeletionProtectionEnabled"] is True
    told = json.loads(test.client("dynamodb").get_resource_policy(ResourceArn=made["TableArn"])["Policy"])
    assert told["Statement"][0]["Resource"] == f"arn:aws:dynamodb:{REGION}:{TEST}:table/rich-test"
    (mapping,) = test.client("lambda").list_event_source_mappings(EventSourceArn=made["LatestStreamArn"])[
        "EventSourceMappings"
    ]
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == f"arn:aws:sqs:{REGION}:{TEST}:dead-letters"
    assert mapping["State"] == "Disabled"
    assert prod.client("dynamodb").describe_table(TableName="rich-prod")["Table"]["ItemCount"] == 0


def test_a_clone_before_a_copy_leaves_the_expiry_for_after_the_verification(aws: StandIn, cli: Cli) -> None:
    client = aws.session(PROD).client("dynamodb")
    client.create_table(**table("expiring-prod"))
    client.update_time_to_live(
        TableName="expiring-prod", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    cli.configure(aws, [pair("expiring")], accept=list(aws.cannot))
    code, out, _ = cli("tables", "clone", "test", "--yes", "--json")
    assert code == 4
    assert {name for name, verdict in facts(out).items() if verdict == "differs"} == {"ttl"}
    code, out, _ = cli("tables", "clone", "test", "--yes", "--ttl", "--json")
    assert code == 0, out


def test_what_can_be_changed_in_place_is_changed(aws: StandIn, cli: Cli) -> None:
    """The target was made by somebody else, and holds an item, which stays."""
    prod, test = aws.session(PROD).client("dynamodb"), aws.session(TEST).client("dynamodb")
    index = {
        "IndexName": "by-owner",
        "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    attributes = [{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "owner")]
    prod.create_table(
        **table(
            "changed-prod",
            AttributeDefinitions=attributes,
            GlobalSecondaryIndexes=[index],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
            DeletionProtectionEnabled=True,
            Tags=[{"Key": "application", "Value": "app"}],
        )
    )
    prod.update_continuous_backups(
        TableName="changed-prod", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    test.create_table(
        **table(
            "changed-test",
            BillingMode="PROVISIONED",
            ProvisionedThroughput=units,
            Tags=[{"Key": "application", "Value": "other"}, {"Key": "own", "Value": "kept"}],
        )
    )
    test.put_item(TableName="changed-test", Item={"pk": {"S": "stays"}})
    cli.configure(aws, [pair("changed")], accept=[*aws.cannot, "tags:own"])
    code, out, _ = cli("tables", "diff", "test", "--json")
    assert code == 4
    assert {name for name, verdict in facts(out).items() if verdict == "differs"} == {
        "billing",
        "global_indexes:by-owner",
        "stream",
        "deletion_protection",
        "point_in_time_recovery",
        "tags:application",
    }
    code, out, err = cli("tables", "clone", "test", "--yes", "--json")
    assert (code, err) == (0, ""), out
    assert test.scan(TableName="changed-test")["Count"] == 1
    assert facts(out)["tags:own"] == "accepted"


def test_a_table_with_other_keys_is_made_anew_only_if_it_is_empty(aws: StandIn, cli: Cli) -> None:
    prod, test = aws.session(PROD).client("dynamodb"), aws.session(TEST).client("dynamodb")
    prod.create_table(**table("keyed-prod"))
    other = [{"AttributeName": "id", "AttributeType": "N"}]
    test.create_table(
        **table("keyed-test", AttributeDefinitions=other, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    )
    test.put_item(TableName="keyed-test", Item={"id": {"N": "1"}})
    cli.configure(aws, [pair("keyed")], accept=list(aws.cannot))
    code, _, err = cli("tables", "clone", "test", "--yes")
    assert code == 3
    assert err.splitlines() == [
        "downstage: refused: cloning table 'keyed-test': its keys cannot be changed, so it would have to be deleted "
        "and made anew, and it holds items; wipe it first (nothing was written to it)"
    ]
    test.delete_item(TableName="keyed-test", Key={"id": {"N": "1"}})
    assert cli("tables", "clone", "test", "--yes")[0] == 0
    assert test.describe_table(TableName="keyed-test")["Table"]["KeySchema"][0]["AttributeName"] == "pk"


def test_a_policy_that_names_the_source_account_is_shown_and_not_copied(aws: StandIn, cli: Cli) -> None:
    prod = aws.session(PROD).client("dynamodb")
    arn = prod.create_table(**table("shared-prod"))["TableDescription"]["TableArn"]
    prod.put_resource_policy(ResourceArn=arn, Policy=json.dumps(policy(arn, f"arn:aws:iam::{PROD}:role/reader")))
    cli.configure(aws, [pair("shared")], accept=list(aws.cannot))
    code, out, _ = cli("tables", "clone", "test", "--yes", "--json")
    assert code == 4
    assert facts(out)["resource_policy:partner"] == "differs"
    test = aws.session(TEST).client("dynamodb")
    there = f"arn:aws:dynamodb:{REGION}:{TEST}:table/shared-test"
    with pytest.raises(test.exceptions.ClientError, match="PolicyNotFoundException"):
        test.get_resource_policy(ResourceArn=there)
    cli.configure(aws, [pair("shared")], accept=list(aws.cannot), accounts={PROD: TEST})
    assert cli("tables", "clone", "test", "--yes", "--json")[0] == 0
    told = json.loads(test.get_resource_policy(ResourceArn=there)["Policy"])
    assert told["Statement"][0]["Principal"]["AWS"] == f"arn:aws:iam::{TEST}:role/reader"


def test_a_consumer_whose_function_is_not_there_is_said_before_anything_is_made(aws: StandIn, cli: Cli) -> None:
    prod = aws.session(PROD)
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    made = prod.client("dynamodb").create_table(**table("consumed-prod", StreamSpecification=stream))
    make_function(prod, PROD, "only_prod")
    prod.client("lambda").create_event_source_mapping(
        EventSourceArn=made["TableDescription"]["LatestStreamArn"],
        FunctionName="only_prod",
        StartingPosition="TRIM_HORIZON",
    )
    cli.configure(aws, [pair("consumed")], accept=list(aws.cannot))
    code, out, err = cli("tables", "clone", "test", "--yes")
    assert (code, out) == (2, "")
    assert err.startswith("downstage: table consumed-test: a consumer of the source has no function only_prod in")
    names = aws.session(TEST).client("dynamodb").list_tables()["TableNames"]
    assert "consumed-test" not in names
    cli.configure(aws, [pair("consumed")], accept=[*aws.cannot, "consumers:only_prod"])
    assert cli("tables", "clone", "test", "--yes")[0] == 0


def test_with_the_credentials_of_another_account_nothing_is_written(aws: StandIn, cli: Cli) -> None:
    aws.session(PROD).client("dynamodb").create_table(**table("guarded-prod"))
    cli.configure(aws, [pair("guarded")], accept=list(aws.cannot))
    config = json.loads(cli.path.read_text(encoding="utf-8"))
    del config["environments"]["test"]["role"]
    cli.path.write_text(json.dumps(config), encoding="utf-8")
    code, out, err = cli("tables", "clone", "test", "--yes")
    assert (code, out) == (3, "")
    assert err.startswith("downstage: refused: ")
    with pytest.raises(NotFound):
        read_schema(aws.session(TEST), "guarded-test")


def test_bad_input_is_one_clear_line(aws: StandIn, cli: Cli) -> None:
    prod = aws.session(PROD)
    key = prod.client("kms").create_key(Description="prod")["KeyMetadata"]["Arn"]
    sse = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    prod.client("dynamodb").create_table(**table("sealed-prod", SSESpecification=sse))

    def ends(code: int, start: str, *arguments: str) -> None:
        ended, out, err = cli("tables", *arguments)
        assert (ended, out) == (code, "")
        assert len(err.splitlines()) == 1
        assert err.startswith(f"downstage: {start}"), err

    cli.configure(aws, [pair("absent")])
    ends(1, "environment prod: could not describe table absent-prod: it does not exist", "diff", "test")
    ends(2, "there is no table 'absent' under 'tables' of 'test': did you mean", "diff", "test", "--table", "absent")
    cli.configure(aws, [pair("sealed")])
    ends(2, "table sealed-test: the source is encrypted with a customer key of its own", "clone", "test", "--yes")
    cli.configure(aws, [pair("sealed")], kms={key: "alias/nobody"})
    ends(2, "parity.kms names alias/nobody for a key of the source, but environment test has", "diff", "test")
    cli.configure(aws, [pair("sealed")], kms={key: key})
    ends(2, f"parity.kms: the key {key} is of the source's account", "diff", "test")
    cli.configure(aws, [pair("sealed")], accept=["encryption", *aws.cannot])
    code, out, err = cli("tables", "clone", "test")
    assert code == 2
    assert "made anew by a clone" in out
    assert err.splitlines() == ["downstage: nobody is here to say yes: look at 'downstage tables diff', then add --yes"]
