"""Search domains and their documents: what is asked of AWS, how long a domain on its way is waited for, and what
becomes of each document, over real HTTP to a server of our own."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest

from downstage.aws.documents import Documents
from downstage.aws.opensearch import DomainControl
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.errors import AwsError, CredentialsError, NotFound, Unreachable
from downstage.ports import Made, NewDocument
from tests.unit.test_aws_adapters import Client, absent

ENVIRONMENT = Environment("test", "222222222222", "us-east-1")
LIVE = {"DomainName": "search-test", "Created": True, "Endpoint": "search.invalid", "EngineVersion": "OpenSearch_2.11"}
DOOMED = {**LIVE, "Deleted": True, "DomainProcessingStatus": "Deleting"}


class Signed:
    """A session without AWS."""

    environment = ENVIRONMENT

    def __init__(self, client: Any = None) -> None:
        self._client = client

    def client(self, service: str, region: str | None = None) -> Any:
        return self._client

    def credentials(self) -> Any:
        return SimpleNamespace(access_key="AKIAEXAMPLE", secret_key="secret", token=None)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looks = 0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.looks += 1

    def clock(self) -> float:
        return self.now


def control(client: Any, time: Time | None = None) -> DomainControl:
    time = time or Time()
    return DomainControl(cast("Session", Signed(client)), sleep=time.sleep, clock=time.clock)


def described(*statuses: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    return [("describe_domain", absent() if status is None else {"DomainStatus": status}) for status in statuses]


class Stuck:
    """AWS, in which a domain never gets on."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self.status = status
        self.made: list[str] = []

    def describe_domain(self, **_named: Any) -> Any:
        return {"DomainStatus": self.status}

    def delete_domain(self, **_named: Any) -> None:
        self.made.append("delete")

    def create_domain(self, **_named: Any) -> None:
        self.made.append("create")


# ---- domains


@pytest.mark.parametrize(
    ("status", "act", "said"),
    [
        (
            DOOMED,
            lambda it: it.delete("search-test"),
            "not gone after 60 minutes: it is still being deleted (Deleting)",
        ),
        (DOOMED, lambda it: it.create("search-test", {}), "still being deleted"),
        (DOOMED, lambda it: it.restore("search-test", {}), "still being deleted"),
        ({**LIVE, "Processing": True}, lambda it: it.create("search-test", {}), "not ready after 60 minutes"),
        ({**LIVE, "Endpoint": None}, lambda it: it.restore("search-test", {}), "it is still being made"),
    ],
)
def test_a_domain_that_is_stuck_is_waited_for_an_hour_and_told(status: Any, act: Any, said: str) -> None:
    stuck, time = Stuck(status), Time()
    with pytest.raises(AwsError) as caught:
        act(control(stuck, time))
    assert said in str(caught.value)
    assert "AWS Support" in str(caught.value)
    assert 3600 <= time.now < 3620
    assert time.looks < 260
    assert stuck.made == []  # nothing is asked twice of a domain that is on its way


def test_time_that_the_calls_themselves_take_counts() -> None:
    time = Time()
    stuck = Stuck(DOOMED)
    answer = stuck.describe_domain

    def slow(**named: Any) -> Any:
        time.now += 60
        return answer(**named)

    stuck.describe_domain = slow  # type: ignore[method-assign]
    with pytest.raises(AwsError, match="not gone"):
        control(stuck, time).delete("search-test")
    assert time.now < 3800


def test_a_name_that_is_not_free_yet_is_waited_for_before_the_domain_is_made() -> None:
    client = Client(
        *described(DOOMED, DOOMED, None), ("create_domain", {}), *described({**LIVE, "Endpoint": None}, LIVE)
    )
    control(client).restore("search-test", {"EngineVersion": "OpenSearch_2.11"})
    assert client.asked == ["describe_domain"] * 3 + ["create_domain"] + ["describe_domain"] * 2
    assert client.calls[3][1] == {"DomainName": "search-test", "EngineVersion": "OpenSearch_2.11"}


def test_a_domain_that_is_being_changed_can_be_used() -> None:
    changing = {**LIVE, "Processing": True}
    time = Time()
    control(Stuck(changing), time).restore("search-test", {})
    assert time.now == 0


def test_what_tells_a_domain_from_the_next_of_its_name_is_when_it_was_made() -> None:
    def option(day: int) -> dict[str, Any]:
        return {"Options": {}, "Status": {"CreationDate": datetime(2027, 1, day, tzinfo=UTC)}}

    settings = {"EngineVersion": option(15), "ClusterConfig": option(14), "ChangeProgressDetails": {"ChangeId": "1"}}
    client = Client(("describe_domain_config", {"DomainConfig": settings}), ("describe_domain_config", absent()))
    there = control(client)
    assert there.identity("search-test") == "2027-01-14T00:00:00+00:00"
    assert there.identity("search-test") is None


def test_when_a_domain_was_made_is_told_alike_in_every_time_zone() -> None:
    made = datetime(2027, 1, 14, tzinfo=UTC)
    told = set()
    for zone in (UTC, timezone(timedelta(hours=1)), timezone(timedelta(hours=-7))):  # botocore takes the machine's
        settings = {"EngineVersion": {"Options": {}, "Status": {"CreationDate": made.astimezone(zone)}}}
        there = control(Client(("describe_domain_config", {"DomainConfig": settings})))
        told.add(there.identity("search-test"))
    assert told == {"2027-01-14T00:00:00+00:00"}


@pytest.mark.parametrize("settings", [{}, {"EngineVersion": {"Options": {}, "Status": {}}}, {"ClusterConfig": {}}])
def test_a_domain_of_which_nobody_tells_when_it_was_made_has_no_identity(settings: dict[str, Any]) -> None:
    there = control(Client(("describe_domain_config", {"DomainConfig": settings})))
    with pytest.raises(AwsError, match="does not tell when the search domain search-test was made") as caught:
        there.identity("search-test")
    assert "'wipe.domains'" in str(caught.value)


def test_an_own_domain_is_made_again_with_its_network_key_and_policy() -> None:
    status = {
        **LIVE,
        "ClusterConfig": {"InstanceType": "t3.small.search"},
        "EncryptionAtRestOptions": {"Enabled": True, "KmsKeyId": "arn:key"},
        "AccessPolicies": "{}",
        "VPCOptions": {"VPCId": "vpc-1", "SubnetIds": ["s-1"], "SecurityGroupIds": ["g-1"], "AvailabilityZones": ["a"]},
        "ServiceSoftwareOptions": {"UpdateAvailable": False},
        "AdvancedSecurityOptions": {"Enabled": False},
    }
    found = control(Client(*described(status))).configuration("search-test")
    assert found == {
        "EngineVersion": "OpenSearch_2.11",
        "ClusterConfig": {"InstanceType": "t3.small.search"},
        "EncryptionAtRestOptions": {"Enabled": True, "KmsKeyId": "arn:key"},
        "AccessPolicies": "{}",
        "VPCOptions": {"SubnetIds": ["s-1"], "SecurityGroupIds": ["g-1"]},
    }
    assert json.loads(json.dumps(found)) == found
    assert control(Client(*described(None))).configuration("search-test") is None
    assert control(Client(*described(DOOMED))).configuration("search-test") is None


def test_what_aws_does_not_tell_is_not_made_up() -> None:
    guarded = {**LIVE, "AdvancedSecurityOptions": {"Enabled": True, "InternalUserDatabaseEnabled": True}}
    found = control(Client(*described(guarded))).configuration("search-test")
    assert found is not None
    client = Client(*described(None))
    with pytest.raises(AwsError, match="fine-grained access control"):
        control(client).restore("search-test", found)
    control(Client(*described(LIVE, LIVE, LIVE))).restore("search-test", found)  # one that is there is fine


def test_a_domain_after_another_accounts_takes_no_key_and_no_policy() -> None:
    theirs = {
        **LIVE,
        "AccessPolicies": "{}",
        "EncryptionAtRestOptions": {"Enabled": True, "KmsKeyId": "arn:key"},
        "DomainEndpointOptions": {"EnforceHTTPS": True, "CustomEndpoint": "search.example.com"},
    }
    client = Client(*described(None), ("create_domain", {}), *described(LIVE))
    control(client).create("search-test", theirs)
    assert client.calls[1][1] == {
        "DomainName": "search-test",
        "EngineVersion": "OpenSearch_2.11",
        "EncryptionAtRestOptions": {"Enabled": True},
        "DomainEndpointOptions": {"EnforceHTTPS": True},
    }


# ---- documents


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every request with what the server is told, and keeps it."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = cast("Server", self.server)
        server.asked.append((self.command, self.path, body, dict(self.headers)))
        status, answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _any  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class Server(http.server.HTTPServer):
    """Listens on a port of its own."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.asked: list[tuple[str, str, bytes, dict[str, str]]] = []


@contextmanager
def domain(*answers: tuple[int, Any]) -> Iterator[tuple[Documents, Server]]:
    with Server(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield Documents(cast("Session", Signed()), "search-test", f"http://127.0.0.1:{server.server_port}"), server
        finally:
            server.shutdown()
            thread.join(timeout=10)


BATCH = [NewDocument("case", "1", b'{"to":"ada@court.example.org"}'), NewDocument("user", 'a"b', b"{}")]


def test_documents_are_made_in_one_signed_request_and_each_has_its_answer() -> None:
    reason = "failed to parse ada@court.example.org"
    items = [
        {"create": {"status": 201}},
        {"create": {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": reason}}},
    ]
    with domain((200, {"errors": True, "items": items})) as (documents, server):
        assert documents.make(BATCH) == [Made(201), Made(400, "mapper_parsing_exception")]
    ((method, path, body, headers),) = server.asked
    assert (method, path) == ("POST", "/_bulk")
    assert [json.loads(line) for line in body.splitlines()] == [
        {"create": {"_index": "case", "_id": "1"}},
        {"to": "ada@court.example.org"},
        {"create": {"_index": "user", "_id": 'a"b'}},
        {},
    ]
    assert body.endswith(b"\n")
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256")
    assert "ada@" not in repr(BATCH)


def test_an_error_whose_class_is_odd_is_not_quoted() -> None:
    items = [{"create": {"status": 400, "error": {"type": "ada@court.example.org"}}}]
    with domain((200, {"items": items})) as (documents, _):
        assert documents.make(BATCH[:1]) == [Made(400)]


@pytest.mark.parametrize("status", [413, 429, 502, 503, 504])
def test_an_answer_to_the_whole_request_is_each_documents_and_is_not_repeated_here(status: int) -> None:
    with domain((status, {"error": "x"})) as (documents, server):
        assert documents.make(BATCH) == [Made(status)] * 2
    assert len(server.asked) == 1


def test_no_access_and_nobody_there_are_told_as_such(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        with domain((403, {"error": "x"})) as (documents, _), pytest.raises(CredentialsError):
            documents.make(BATCH)
        with domain((200, {})) as (documents, _):
            pass
        with pytest.raises(Unreachable):
            documents.make(BATCH)
        with (
            domain((400, {"error": {"type": "x", "reason": "ada@court.example.org"}})) as (documents, _),
            pytest.raises(AwsError, match="answered 400") as caught,
        ):
            documents.make(BATCH)
    assert "ada@" not in str(caught.value)
    assert "ada@" not in caplog.text  # the client logs bodies, if it may


def test_a_definition_is_what_can_be_set_again() -> None:
    settings = {
        "number_of_shards": "1",
        "analysis": {"filter": {}},
        "uuid": "u",
        "creation_date": "1",
        "provided_name": "case",
        "version": {"created": "1"},
        "routing": {"allocation": {}},
        "blocks": {"read_only_allow_delete": "true"},
        "history": {"uuid": "h"},
        "verified_before_close": "true",
    }
    found = {"case": {"settings": {"index": settings}, "mappings": {"dynamic": "strict"}, "aliases": {"cases": {}}}}
    with domain((200, found)) as (documents, _):
        assert documents.definition("case") == {
            "settings": {"index": {"number_of_shards": "1", "analysis": {"filter": {}}}},
            "mappings": {"dynamic": "strict"},
            "aliases": {"cases": {}},
        }
        assert set(documents.writable()) == {"case", "cases"}


def refusal(kind: str) -> tuple[int, Any]:
    return 400, {"error": {"type": kind, "reason": "of ada@court.example.org"}, "status": 400}


def test_a_definition_that_is_refused_is_told_by_its_class_alone() -> None:
    with domain((404, {}), refusal("mapper_parsing_exception")) as (documents, _), pytest.raises(AwsError) as caught:
        documents.create("case", {})
    assert str(caught.value).endswith("could not create index case: OpenSearch answered 400 (mapper_parsing_exception)")
    assert caught.value.code == "400"
    assert caught.value.__cause__ is None


def test_an_index_that_is_there_after_all_is_fine() -> None:
    with domain((404, {}), refusal("resource_already_exists_exception")) as (documents, server):
        documents.create("case", {})
    assert [method for method, *_ in server.asked] == ["HEAD", "PUT"]


@pytest.mark.parametrize(
    ("answers", "look"),
    [
        ((), lambda it: it.count("case")),
        (((200, {}),), lambda it: list(it.documents("case"))),
    ],
)
def test_a_closed_index_is_named_and_what_to_do(answers: tuple[tuple[int, Any], ...], look: Any) -> None:
    with domain(*answers, refusal("index_closed_exception")) as (documents, _), pytest.raises(AwsError) as caught:
        look(documents)
    said = str(caught.value)
    assert "index case: it is closed" in said
    assert "open it or delete it, then resume the run" in said
    assert "ada@" not in said


def test_an_endpoint_is_asked_of_aws_once_it_is_needed() -> None:
    with pytest.raises(NotFound):
        control(Client(*described(None))).index("search-test")
    inside = {**LIVE, "Endpoint": None, "Endpoints": {"vpc": "vpc.search.invalid"}}
    assert isinstance(control(Client(*described(inside))).index("search-test"), Documents)
