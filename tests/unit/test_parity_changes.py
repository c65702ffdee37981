"""Reading a table and mending it, over a client of our own: a denial is a stated gap, the guard stands before every
write, DynamoDB is asked for one change at a time and waited for, and nothing is waited for without end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from downstage.aws.clone import check_own
from downstage.aws.session import Session
from downstage.aws.table_changes import TableChanges
from downstage.aws.table_creation import creation
from downstage.aws.table_schema import read_schema
from downstage.aws.tables import TableControl
from downstage.domain.environment import Environment
from downstage.domain.refs import TargetTable
from downstage.domain.table_schema import (
    Difference,
    Encryption,
    Index,
    KeyPart,
    ParityTerms,
    Recovery,
    TableSchema,
    Units,
    Unknown,
)
from downstage.errors import AwsError, GuardRefused, NotFound, Unreachable
from downstage.planning.parity import differences

TEST = "222222222222"
ENVIRONMENT = Environment("test", TEST, "us-east-1")
PLACE = TargetTable(TEST, "us-east-1", "app-test")
PK = KeyPart("pk", "HASH", "S")
NO_TERMS = ParityTerms()
WRITES = ("create_", "update_", "delete_", "put_", "tag_", "register_")


class Service:
    """Every AWS service at once: a method answers with what `answers` has for it, an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {
            "describe_table": {
                "Table": {
                    "TableName": "app-test", "TableStatus": "ACTIVE",
                    "TableArn": f"arn:aws:dynamodb:us-east-1:{TEST}:table/app-test",
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                    "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
                    "SSEDescription": {"Status": "ENABLED", "KMSMasterKeyArn": "arn:key"},
                    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
                    "LatestStreamArn": "arn:stream",
                }
            },
            "describe_time_to_live": {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}},
            "list_tags_of_resource": [{"Tags": [{"Key": "aws:x", "Value": "1"}, {"Key": "a", "Value": "b"}]}],
            "describe_continuous_backups": {"ContinuousBackupsDescription": {}},
            "describe_scalable_targets": [{"ScalableTargets": []}],
            "get_resource_policy": failure("PolicyNotFoundException"),
            "list_contributor_insights": {"ContributorInsightsSummaries": []},
            "list_event_source_mappings": [{"EventSourceMappings": []}],
            "describe_key": {"KeyMetadata": {"KeyManager": "CUSTOMER", "Arn": "arn:key"}},
            **answers,
        }  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            answer = self.answers.get(name, {})
            if isinstance(answer, Iterator):
                answer = next(answer)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        class Pages:
            paginate = staticmethod(getattr(self, name))

        return Pages()

    @property
    def writes(self) -> list[tuple[str, dict[str, Any]]]:
        return [(name, arguments) for name, arguments in self.calls if name.startswith(WRITES)]


def session(service: Service) -> Session:
    class Signed:
        environment = ENVIRONMENT

        def client(self, name: str, region: str | None = None) -> Service:
            return service

    return cast("Session", Signed())


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "someone@private.example"}}, "Describe")


class Waits:
    def __init__(self) -> None:
        self.slept = 0.0

    def __call__(self, seconds: float) -> None:
        self.slept += seconds


# ---- reading


def test_everything_that_may_be_read_is_read() -> None:
    found = read_schema(session(Service()), "app-test")
    assert found == TableSchema(
        "app-test", TEST, "us-east-1", keys=(PK,), on_demand=False, throughput=Units(1, 1), stream="KEYS_ONLY",
        encryption=Encryption("customer", "arn:key"), tags={"a": "b"},
    )  # fmt: skip


SECONDARY = {
    "describe_time_to_live": "ttl",
    "list_tags_of_resource": "tags",
    "describe_continuous_backups": "recovery",
    "describe_scalable_targets": "autoscaling",
    "get_resource_policy": "policy",
    "list_contributor_insights": "insights",
    "list_event_source_mappings": "subscriptions",
    "describe_key": "encryption",
}


@pytest.mark.parametrize(("call", "fact"), SECONDARY.items())
@pytest.mark.parametrize(
    ("code", "reason"),
    [("AccessDeniedException", "denied"), ("InternalServerError", "AWS answered InternalServerError")],
)
def test_what_aws_does_not_tell_is_a_gap_with_its_reason(call: str, fact: str, code: str, reason: str) -> None:
    found = read_schema(session(Service(**{call: failure(code)})), "app-test")
    assert getattr(found, fact) == Unknown(reason)
    assert [name for name in SECONDARY.values() if isinstance(getattr(found, name), Unknown)] == [fact]


def test_without_the_description_there_is_nothing_to_compare() -> None:
    with pytest.raises(AwsError, match="could not describe table app-test: AWS denies it"):
        read_schema(session(Service(describe_table=failure("AccessDeniedException"))), "app-test")
    with pytest.raises(NotFound, match="could not describe table app-test: it does not exist"):
        read_schema(session(Service(describe_table=failure("ResourceNotFoundException"))), "app-test")


def test_an_endpoint_that_is_gone_is_no_gap() -> None:
    gone = EndpointConnectionError(endpoint_url="http://x")
    with pytest.raises(Unreachable):
        read_schema(session(Service(describe_scalable_targets=gone)), "app-test")


def test_an_on_demand_table_has_no_autoscaling_to_be_asked_for() -> None:
    service = Service()
    service.answers["describe_table"]["Table"]["BillingModeSummary"] = {"BillingMode": "PAY_PER_REQUEST"}
    assert read_schema(session(service), "app-test").autoscaling == ()
    assert "describe_scalable_targets" not in dict(service.calls)


# ---- making and mending


def wanted(**change: Any) -> TableSchema:
    base = TableSchema("app-test", TEST, "us-east-1", keys=(PK,))
    return replace(base, **change)


def test_what_is_accepted_is_left_at_its_default_when_the_table_is_made() -> None:
    schema = wanted(
        on_demand=False, throughput=Units(7, 8), deletion_protection=True, table_class="STANDARD_INFREQUENT_ACCESS",
        stream="KEYS_ONLY", encryption=Encryption("customer", "arn:key"), tags={"a": "1", "b": "2"},
        global_indexes=(Index("one", (PK,)), Index("two", (KeyPart("x", "HASH", "N"),))),
    )  # fmt: skip
    terms = ParityTerms(
        accept=("billing", "deletion_protection", "table_class", "stream", "encryption", "tags:a", "global_indexes:two")
    )
    assert creation(schema, terms) == {
        "TableName": "app-test",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "one",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        "Tags": [{"Key": "b", "Value": "2"}],
    }


def test_warmth_is_given_to_the_table_and_its_indexes_when_it_is_made() -> None:
    terms = ParityTerms(warm=Units(write=40000))
    made = creation(wanted(global_indexes=(Index("one", (PK,)),)), terms)
    assert (
        made["WarmThroughput"] == made["GlobalSecondaryIndexes"][0]["WarmThroughput"] == {"WriteUnitsPerSecond": 40000}
    )


def mend(service: Service, demanded: TableSchema, present: TableSchema, terms: ParityTerms = NO_TERMS) -> None:
    changes = TableChanges(session(service), guard=lambda: None, sleep=Waits())
    changes.mend(demanded, present, differences(demanded, present, PLACE, terms), terms)


def test_each_update_changes_one_thing_and_indexes_are_built_one_after_the_other() -> None:
    service = Service()
    new = (Index("a", (KeyPart("x", "HASH", "N"),)), Index("b", (KeyPart("y", "HASH", "S"),)))
    old = (Index("a", (KeyPart("z", "HASH", "S"),)), Index("own", (KeyPart("o", "HASH", "B"),)))
    mend(
        service,
        wanted(global_indexes=new, table_class="STANDARD_INFREQUENT_ACCESS", deletion_protection=True),
        wanted(global_indexes=old),
    )
    updates = [arguments for name, arguments in service.writes if name == "update_table"]
    kinds = [
        [(kind, change["IndexName"]) for one in update["GlobalSecondaryIndexUpdates"] for kind, change in one.items()]
        if "GlobalSecondaryIndexUpdates" in update
        else sorted(set(update) - {"TableName"})
        for update in updates
    ]
    assert kinds == [
        ["TableClass"],
        [("Delete", "a")],
        [("Create", "a")],
        [("Create", "b")],
        ["DeletionProtectionEnabled"],
    ]
    assert {one["AttributeName"]: one["AttributeType"] for one in updates[3]["AttributeDefinitions"]} == {
        "pk": "S", "o": "B", "x": "N", "y": "S",
    }  # fmt: skip
    between = [name for name, _ in service.calls]
    for place in (n for n, name in enumerate(between) if name == "update_table"):
        assert between[place - 1] == between[place + 1] == "describe_table"


def test_units_that_scale_by_themselves_are_left_where_they_are() -> None:
    service = Service()
    index = Index("one", (PK,), throughput=Units(2, 2))
    present = wanted(on_demand=False, throughput=Units(5, 5), global_indexes=(index,))
    demanded = replace(present, throughput=Units(9, 5), global_indexes=(replace(index, throughput=Units(2, 7)),))
    mend(service, demanded, present)
    assert service.writes == [
        (
            "update_table",
            {
                "TableName": "app-test",
                "ProvisionedThroughput": {"ReadCapacityUnits": 9, "WriteCapacityUnits": 5},
                "GlobalSecondaryIndexUpdates": [
                    {
                        "Update": {
                            "IndexName": "one",
                            "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 7},
                        }
                    }
                ],
            },
        )
    ]


def test_a_limit_is_taken_away_and_warmth_never_lowered() -> None:
    service = Service()
    mend(service, wanted(maximum=Units(write=5)), wanted(maximum=Units(3, 5)))
    present = wanted(warm=Units(9000, 100))
    mend(service, present, present, ParityTerms(warm=Units(500, 4000)))
    changes = [{name: value for name, value in call.items() if name != "TableName"} for _, call in service.writes]
    assert changes == [
        {"OnDemandThroughput": {"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 5}},
        {"WarmThroughput": {"ReadUnitsPerSecond": 9000, "WriteUnitsPerSecond": 4000}},
    ]


def test_a_table_too_new_for_recovery_is_asked_again() -> None:
    answers = iter(
        [failure("ContinuousBackupsUnavailableException"), failure("ContinuousBackupsUnavailableException"), {}]
    )
    service = Service(update_continuous_backups=answers)
    mend(service, wanted(recovery=Recovery(True, 9)), wanted())
    assert len(service.writes) == 3
    assert service.writes[-1][1]["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 9,
    }  # fmt: skip


def test_the_guard_stands_before_every_write() -> None:
    everything = wanted(
        tags={"a": "1"}, recovery=Recovery(True), table_class="STANDARD_INFREQUENT_ACCESS", insights=("",),
        stream="KEYS_ONLY", deletion_protection=True, policy={"Statement": [{"Sid": "x", "Effect": "Allow"}]},
        global_indexes=(Index("one", (PK,)),), encryption=Encryption("aws-managed"), maximum=Units(1, 1),
    )  # fmt: skip
    told = differences(everything, wanted(), PLACE, NO_TERMS)
    assert len(told) > 9
    allowed = Service(get_resource_policy={"Policy": "{}"})
    TableChanges(session(allowed), guard=lambda: None, sleep=Waits()).mend(everything, wanted(), told, NO_TERMS)
    for number in range(len(allowed.writes)):
        asked = iter(range(number))

        def guard(left: Iterator[int] = asked) -> None:
            if next(left, None) is None:
                raise GuardRefused("refused")

        service = Service(get_resource_policy={"Policy": "{}"})
        with pytest.raises(GuardRefused):
            TableChanges(session(service), guard=guard, sleep=Waits()).mend(everything, wanted(), told, NO_TERMS)
        assert len(service.writes) == number


def test_what_is_accepted_or_for_people_is_not_touched() -> None:
    service = Service()
    told = [
        Difference("tags", "a", "1", "none", "accepted", "none"),
        Difference("replicas", "", "eu-west-1", "none", remedy="by hand"),
        Difference("ttl", "", "until", "none", remedy="later"),
        Difference("autoscaling", "", "not known: denied", "known", "unknown", "none"),
    ]
    TableChanges(session(service), guard=lambda: None).mend(wanted(tags={"a": "1"}), wanted(), told, NO_TERMS)
    assert service.calls == []


@pytest.mark.parametrize(
    "busy",
    [
        {"TableStatus": "UPDATING"},
        {"GlobalSecondaryIndexes": [{"IndexName": "one", "KeySchema": [], "IndexStatus": "CREATING"}]},
        {"SSEDescription": {"Status": "UPDATING"}},
        {"WarmThroughput": {"Status": "UPDATING"}},
    ],
)
def test_what_never_comes_to_rest_is_given_up_with_one_line(busy: dict[str, Any]) -> None:
    service = Service()
    service.answers["describe_table"]["Table"] |= busy
    waits = Waits()
    changes = TableChanges(session(service), guard=lambda: None, sleep=waits)
    told = differences(wanted(deletion_protection=True), wanted(), PLACE, NO_TERMS)
    with pytest.raises(AwsError) as given_up:
        changes.mend(wanted(deletion_protection=True), wanted(), told, NO_TERMS)
    assert str(given_up.value) == "table app-test is not at rest after 10 minutes; look at it, then resume"
    assert 600 < waits.slept < 610
    assert service.writes == []


def test_a_protected_environment_is_not_even_asked_who_we_are() -> None:
    class Protected:
        environment = replace(ENVIRONMENT, protected=True)

    with pytest.raises(GuardRefused, match="it is protected"):
        check_own(cast("Session", Protected()))


# ---- expiry


def ttl(status: str, attribute: str = "until") -> dict[str, Any]:
    return {"TimeToLiveDescription": {"TimeToLiveStatus": status, "AttributeName": attribute}}


def test_expiry_is_enabled_once_and_is_on_when_dynamodb_has_taken_it_on() -> None:
    service = Service(describe_time_to_live=iter([ttl("DISABLED"), ttl("DISABLED"), ttl("ENABLING")]))
    assert TableControl(session(service), sleep=Waits()).enable_ttl("app-test", "until") is True
    assert [call["TimeToLiveSpecification"] for _, call in service.writes] == [
        {"Enabled": True, "AttributeName": "until"}
    ]
    service = Service(describe_time_to_live=ttl("ENABLED"))
    assert TableControl(session(service), sleep=Waits()).enable_ttl("app-test", "until") is False
    assert service.writes == []


def test_expiry_by_another_attribute_is_ended_first_and_aws_may_ask_to_wait() -> None:
    seen = iter([ttl("ENABLED", "other"), ttl("DISABLING"), ttl("DISABLED")])
    service = Service(describe_time_to_live=seen, update_time_to_live=iter([{}, failure("ValidationException")]))
    with pytest.raises(AwsError, match="AWS takes one change an hour: do this again later"):
        TableControl(session(service), sleep=Waits()).enable_ttl("app-test", "until")
    assert [call["TimeToLiveSpecification"]["Enabled"] for _, call in service.writes] == [False, True]
