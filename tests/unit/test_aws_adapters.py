"""The control-plane adapters over small clients of our own: what they ask, and that they look until it is so."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from downstage.aws.parameters import FlagWriter
from downstage.aws.s3 import Buckets
from downstage.aws.session import Session
from downstage.aws.streams import MappingControl
from downstage.aws.tables import TableControl
from downstage.domain.environment import Environment
from downstage.domain.plan import ItemFlag, ParameterFlag, Streams
from downstage.domain.refs import SourceBucket, TargetBucket, TargetTable
from downstage.errors import AwsError, NotFound
from downstage.ports import BucketFacts, Consumer, ObjectDetails, ObjectFacts

ENVIRONMENT = Environment("test", "222222222222", "us-east-1")
STREAM = "arn:aws:dynamodb:us-east-1:222222222222:table/app-test/stream/1"


class Client:
    """A client whose methods answer from a script of (method, answer); an exception is raised. Keeps the calls."""

    def __init__(self, *script: tuple[str, Any]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._script = iter(script)

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            expected, answer = next(self._script)
            assert expected == name
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        client = self

        class Pages:
            def paginate(self, **arguments: Any) -> Iterator[Any]:
                client.calls.append((name, arguments))
                expected, answer = next(client._script)
                assert expected == name
                return iter(answer)

        return Pages()

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.calls]


def session(client: Client) -> Session:
    class Signed:
        environment = ENVIRONMENT

        def client(self, service: str, region: str | None = None) -> Client:
            return client

    return cast("Session", Signed())


def absent() -> ClientError:
    return ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "x"}}, "Describe")


class Waits:
    """A sleep that only keeps count."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


# -- consumers


def mapping(function: str, state: str = "Enabled", stream: str = STREAM, **more: Any) -> dict[str, Any]:
    arn = f"arn:aws:lambda:us-east-1:222222222222:function:{function}"
    return {"UUID": function, "EventSourceArn": stream, "FunctionArn": arn, "State": state, **more}


def consumer(state: str = "Enabled") -> Consumer:
    return Consumer("u", "streams_test", "app-test", STREAM, state, "us-east-1")


def states(*found: str | None) -> list[tuple[str, Any]]:
    return [("get_event_source_mapping", {"State": state} if state else absent()) for state in found]


def test_others_are_those_of_all_other_functions_with_what_lambda_says_of_them() -> None:
    found = [
        mapping("streams_test"),
        mapping("audit:live", StartingPosition="LATEST", LastProcessingResult="PROBLEM: Function call failed"),
        mapping("elsewhere", stream="arn:aws:dynamodb:us-east-1:2:table/another/stream/1"),
    ]
    client = Client(("list_event_source_mappings", [{"EventSourceMappings": found}]))
    (other,) = MappingControl(session(client), Streams(("streams_*",))).others(["app-test"])
    assert (other.function, other.starts) == ("audit:live", "LATEST")
    assert other.last_result == "PROBLEM: Function call failed"


def test_consumers_are_those_of_the_functions_and_tables_with_their_alias() -> None:
    found = [
        mapping("streams_test:live", BatchSize=10, MaximumRetryAttempts=-1, TumblingWindowInSeconds=0),
        mapping("streams_test"),
        mapping("other"),
        mapping("streams_test", stream="arn:aws:dynamodb:us-east-1:2:table/another/stream/1"),
        mapping("streams_test", stream="arn:aws:sqs:us-east-1:2:queue"),
    ]
    pages = [{"EventSourceMappings": found[:2]}, {"EventSourceMappings": found[2:]}]
    client = Client(("list_event_source_mappings", pages))
    seen = MappingControl(session(client), Streams(("streams_*",))).consumers(["app-test"])
    assert [(c.function, c.table, dict(c.settings)) for c in seen] == [
        ("streams_test", "app-test", {}),
        ("streams_test:live", "app-test", {"BatchSize": 10}),
    ]


def test_a_switch_waits_for_the_real_state() -> None:
    update: tuple[str, Any] = ("update_event_source_mapping", {})
    client = Client(*states("Enabled"), update, *states("Enabled", "Disabling", "Disabled"))
    waits = Waits()
    MappingControl(session(client), Streams(), sleep=waits).switch(consumer(), on=False)
    assert waits.slept == [0.05, 0.1]
    assert client.calls[1] == ("update_event_source_mapping", {"UUID": "u", "Enabled": False})


def test_a_mapping_on_its_way_is_waited_for_before_it_is_switched() -> None:
    client = Client(*states("Creating", "Enabled"), ("update_event_source_mapping", {}), *states("Disabled"))
    MappingControl(session(client), Streams(), sleep=Waits()).switch(consumer(), on=False)
    assert client.asked.count("update_event_source_mapping") == 1


def test_a_mapping_in_the_wanted_state_is_left_alone() -> None:
    client = Client(*states("Enabled"))
    MappingControl(session(client), Streams(), sleep=Waits()).switch(consumer(), on=True)
    assert client.asked == ["get_event_source_mapping"]


def test_a_mapping_that_never_gets_there_is_given_up() -> None:
    client = Client(*states("Enabled"), ("update_event_source_mapping", {}), *states(*["Disabling"] * 200))
    waits = Waits()
    with pytest.raises(AwsError, match="is still Disabling, not Disabled"):
        MappingControl(session(client), Streams(), sleep=waits).switch(consumer(), on=False)
    assert 300 < sum(waits.slept) < 310


def test_a_mapping_that_is_gone_cannot_be_switched_but_counts_as_removed() -> None:
    client = Client(*states(None), ("update_event_source_mapping", absent()))
    with pytest.raises(NotFound):
        MappingControl(session(client), Streams(), sleep=Waits()).switch(consumer(), on=True)
    MappingControl(session(Client(("delete_event_source_mapping", absent()))), Streams()).remove(consumer())
    client = Client(("delete_event_source_mapping", {}), *states("Deleting", None))
    MappingControl(session(client), Streams(), sleep=Waits()).remove(consumer())
    assert len(client.calls) == 3


# -- tables


def described(status: str = "ACTIVE", **more: Any) -> tuple[str, Any]:
    return "describe_table", {"Table": {"TableStatus": status, **more}}


def test_a_delete_waits_until_the_table_is_gone() -> None:
    client = Client(
        described(),
        described("UPDATING"),
        described(),
        described(),
        ("delete_table", {}),
        described("DELETING"),
        ("describe_table", absent()),
    )
    assert TableControl(session(client), sleep=Waits()).delete("app-test") is True
    assert TableControl(session(Client(("describe_table", absent())))).delete("app-test") is False


def test_a_table_that_is_going_is_only_waited_for() -> None:
    client = Client(described("DELETING"), described("DELETING"), ("describe_table", absent()))
    assert TableControl(session(client), sleep=Waits()).delete("app-test") is True
    assert "delete_table" not in client.asked


def test_protection_is_taken_off_and_settles_before_the_delete() -> None:
    client = Client(
        described("UPDATING"),
        described(),
        described(DeletionProtectionEnabled=True),  # it may have been switched on until now
        ("update_table", {}),
        described("UPDATING"),
        described(),
        ("delete_table", {}),
        ("describe_table", absent()),
    )
    assert TableControl(session(client), sleep=Waits()).delete("app-test") is True


def test_a_table_that_something_changes_at_that_moment_is_asked_for_again() -> None:
    busy = ClientError({"Error": {"Code": "ResourceInUseException", "Message": "x"}}, "DeleteTable")
    client = Client(
        described(),
        described(),
        described(),
        ("delete_table", busy),
        ("delete_table", {}),
        ("describe_table", absent()),
    )
    assert TableControl(session(client), sleep=Waits()).delete("app-test") is True
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "x"}}, "DeleteTable")
    client = Client(described(), described(), described(), ("delete_table", denied))
    with pytest.raises(AwsError, match="AWS denies it"):
        TableControl(session(client), sleep=Waits()).delete("app-test")


def test_what_tells_a_table_from_the_next_of_its_name_is_its_id() -> None:
    made = datetime(2027, 1, 15, tzinfo=UTC)
    described = {"Table": {"TableId": "id-1", "CreationDateTime": made}}
    untold = {"Table": {"CreationDateTime": made}}
    elsewhere = {"Table": {"CreationDateTime": made.astimezone(timezone(timedelta(hours=-7)))}}
    answers = [("describe_table", answer) for answer in (described, untold, elsewhere, absent())]
    table = TableControl(session(Client(*answers)))
    assert table.identity("app-test") == "id-1"
    assert table.identity("app-test") == "2027-01-15T00:00:00+00:00"
    assert table.identity("app-test") == "2027-01-15T00:00:00+00:00"  # as a machine of another zone is told
    assert table.identity("app-test") is None


def test_empty_means_that_a_consistent_scan_ended_with_nothing() -> None:
    client = Client(("scan", {"Count": 0, "LastEvaluatedKey": {"pk": 1}}), ("scan", {"Count": 1}))
    assert TableControl(session(client)).is_empty("app-test") is False
    assert client.calls[1][1]["ExclusiveStartKey"] == {"pk": 1}
    assert client.calls[1][1]["ConsistentRead"] is True
    assert TableControl(session(Client(("scan", {"Count": 0})))).is_empty("app-test") is True


# -- flags


def test_binary_flags_travel_as_bytes_and_read_as_they_were_given() -> None:
    text = base64.b64encode(b"\x00\xff").decode()
    values = {"b": {"B": text}, "m": {"M": {"l": {"L": [{"BS": [text]}, {"S": text}]}}}}
    flag = ItemFlag(TargetTable("2", "us-east-1", "flags"), {"pk": {"B": text}}, values)
    on_boto = {"b": {"B": b"\x00\xff"}, "m": {"M": {"l": {"L": [{"BS": [b"\x00\xff"]}, {"S": text}]}}}}
    client = Client(("update_item", {}), ("get_item", {"Item": {**on_boto, "other": {"S": "x"}}}), ("get_item", {}))
    flags = FlagWriter(session(client))
    flags.write(flag)
    _, asked = client.calls[0]
    assert asked["Key"] == {"pk": {"B": b"\x00\xff"}}
    assert list(asked["ExpressionAttributeValues"].values()) == list(on_boto.values())
    assert asked["UpdateExpression"] == "SET #0 = :0, #1 = :1"
    assert flags.read(flag) == values
    assert flags.read(flag) is None


def test_a_parameter_that_is_not_there_reads_as_none() -> None:
    missing = ClientError({"Error": {"Code": "ParameterNotFound", "Message": ""}}, "GetParameter")
    flags = FlagWriter(session(Client(("get_parameter", missing), ("get_parameter", {"Parameter": {"Value": "a"}}))))
    flag = ParameterFlag("/app/colour", "alpha")
    assert flags.read(flag) is None
    assert flags.read(flag) == "a"


# -- buckets


def test_every_look_at_a_bucket_names_its_owner() -> None:
    when = datetime(2027, 1, 15, tzinfo=UTC)
    content = {"Key": "k", "ETag": '"e"', "Size": 3, "LastModified": when}
    client = Client(
        ("list_objects_v2", [{"Contents": [content]}, {}]),
        ("get_object", {"Body": Body(b"abc")}),
        ("head_object", {"ServerSideEncryption": "aws:kms"}),
        ("get_bucket_versioning", {"Status": "Enabled"}),
        ("get_bucket_lifecycle_configuration", {"Rules": [{"Status": "Enabled", "NoncurrentVersionExpiration": {}}]}),
    )
    buckets = Buckets(session(client))
    source, target = SourceBucket("1", "from"), TargetBucket("2", "to")
    (found,) = buckets.list(source, "j", "pre/")
    assert found == ObjectFacts("k", '"e"', 3, when.timestamp())
    assert buckets.content(source, found, 2) == hashlib.sha256(b"abc").digest()
    assert buckets.encrypted(target, "k")
    assert buckets.facts(target) == BucketFacts(versioned=True, expires_versions=True, aborts_uploads=False)
    listed, read, *asked = (arguments for _, arguments in client.calls)
    assert (listed["ExpectedBucketOwner"], listed["StartAfter"], listed["Prefix"]) == ("1", "j", "pre/")
    assert (read["ExpectedBucketOwner"], read["IfMatch"], read["Range"]) == ("1", '"e"', "bytes=0-1")
    assert [arguments["ExpectedBucketOwner"] for arguments in asked] == ["2", "2", "2"]


class Body:
    """A body as botocore gives it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        yield self._content


@pytest.mark.parametrize("code", ["404", "PreconditionFailed", "InvalidObjectState", "ObjectNotInActiveTierError"])
def test_the_content_of_another_object_than_the_listed_one_is_not_compared(code: str) -> None:
    gone = ClientError({"Error": {"Code": code, "Message": "x"}}, "GetObject")
    buckets = Buckets(session(Client(("get_object", gone))))
    assert buckets.content(SourceBucket("1", "from"), ObjectFacts("k", '"e"', 3, 0.0), 9) is None


def test_settings_that_may_not_be_asked_for_are_unknown_and_stop_nothing() -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "x"}}, "GetBucketVersioning")
    none = ClientError({"Error": {"Code": "NoSuchLifecycleConfiguration", "Message": "x"}}, "GetLifecycle")
    target = TargetBucket("2", "to")
    for versioning, lifecycle, facts in (
        (denied, denied, BucketFacts(None, None, None)),
        ({}, denied, BucketFacts(versioned=False, expires_versions=None, aborts_uploads=None)),
        ({"Status": "Enabled"}, none, BucketFacts(versioned=True, expires_versions=False, aborts_uploads=False)),
    ):
        client = Client(("get_bucket_versioning", versioning), ("get_bucket_lifecycle_configuration", lifecycle))
        assert Buckets(session(client)).facts(target) == facts


@pytest.mark.parametrize(("status", "aborts"), [("Enabled", True), ("Disabled", False)])
def test_a_rule_that_removes_what_uploads_leave_behind_is_seen_in_any_bucket(status: str, aborts: bool) -> None:
    rule = {"Status": status, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    client = Client(("get_bucket_versioning", {}), ("get_bucket_lifecycle_configuration", {"Rules": [rule]}))
    facts = Buckets(session(client)).facts(TargetBucket("2", "to"))
    assert facts == BucketFacts(versioned=False, expires_versions=None, aborts_uploads=aborts)


def test_details_are_metadata_free_text_headers_and_tags() -> None:
    head = {"ContentType": "text/plain", "ContentDisposition": "inline", "ETag": "x", "Metadata": {"author": "a"}}
    client = Client(("head_object", head), ("get_object_tagging", {"TagSet": [{"Key": "k", "Value": "v"}]}))
    details = Buckets(session(client)).details(TargetBucket("2", "to"), "key")
    wanted = {"ContentType": "text/plain", "ContentDisposition": "inline", "author": "a"}
    assert details == ObjectDetails(wanted, {"k": "v"})
    assert [arguments["ExpectedBucketOwner"] for _, arguments in client.calls] == ["2", "2"]


@pytest.mark.parametrize("code", ["404", "NoSuchKey"])
def test_an_object_that_is_gone_has_no_details(code: str) -> None:
    gone = ClientError({"Error": {"Code": code, "Message": "x"}}, "HeadObject")
    assert Buckets(session(Client(("head_object", gone)))).details(TargetBucket("2", "to"), "key") is None


def test_details_that_are_denied_are_an_error_without_the_key() -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "x"}}, "GetObjectTagging")
    buckets = Buckets(session(Client(("head_object", {}), ("get_object_tagging", denied))))
    with pytest.raises(AwsError, match="read metadata and tags of an object of bucket to") as caught:
        buckets.details(TargetBucket("2", "to"), "mail/grace@court.example.org")
    assert "grace" not in str(caught.value)
