"""What a refresh in this process really calls: side, operation and resource of each call, as a policy would see it.

boto3's clients, our own wire and opensearch-py are listened to where they are handed a call; nothing is changed on its
way. Whose mapping a UUID is, and in which account a bucket lies, is told by what was answered and by the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs

import orjson

from downstage.aws.documents import Documents
from downstage.aws.http import DynamoTransport
from downstage.aws.objects import S3Objects
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from tests.permissions.evaluator import Request
from tests.permissions.operations import WIRE_S3, actions_of

_NO_RESOURCE = {
    ("dynamodb", "ListTables"),
    ("dynamodb", "ListExports"),
    ("dynamodb", "ListContributorInsights"),
    ("dynamodb", "DescribeLimits"),
    ("lambda", "ListEventSourceMappings"),
    ("opensearch", "ListDomainNames"),
    ("application-autoscaling", "DescribeScalableTargets"),
    ("application-autoscaling", "DescribeScalingPolicies"),
    ("cloudwatch", "GetMetricStatistics"),
}
_IN_TRANSACTIONS = {"ConditionCheck": "ConditionCheckItem", "Put": "PutItem", "Delete": "DeleteItem"}
_SENT = {"HEAD": "es:ESHttpHead", "GET": "es:ESHttpGet", "POST": "es:ESHttpPost", "PUT": "es:ESHttpPut"}


@dataclass
class Recorder:
    """Calls by side. `buckets` says in which account each bucket lies."""

    buckets: Mapping[str, str]
    called: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    requests: dict[str, list[Request]] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)

    def note(self, place: Environment, service: str, operation: str, *requests: Request) -> None:
        """Takes down one call and what it needs."""
        self.called.setdefault(place.name, set()).add((service, operation))
        kept = self.requests.setdefault(place.name, [])
        kept.extend(request for request in requests if request not in kept)

    def boto3(self, place: Environment, service: str, region: str, operation: str, given: Mapping[str, Any]) -> None:
        """A call that boto3 is about to make."""
        context = {"aws:RequestedRegion": region}
        if (service, operation) == ("sts", "GetCallerIdentity"):
            self.note(place, service, operation)
        elif (service, operation) == ("dynamodb", "TransactWriteItems"):
            self.note(
                place,
                service,
                operation,
                *(
                    Request(f"dynamodb:{_IN_TRANSACTIONS[kind]}", _table(place, item["TableName"], region), context)
                    for change in given["TransactItems"]
                    for kind, item in change.items()
                ),
            )
        elif (service, operation) == ("dynamodb", "UpdateTable"):
            self.note(place, service, operation, *_updating(place, region, given))
        elif (service, operation) in _NO_RESOURCE:
            self.note(place, service, operation, Request(actions_of(service, operation)[0], "*", context))
        else:
            asked = [
                Request(action, *self._resource(place, service, region, operation, given, context))
                for action in self._actions(service, operation, given)
            ]
            self.note(place, service, operation, *asked)

    def _actions(self, service: str, operation: str, given: Mapping[str, Any]) -> list[str]:
        actions = list(actions_of(service, operation))
        if (service, operation) == ("dynamodb", "CreateTable") and not given.get("Tags"):
            actions.remove("dynamodb:TagResource")
        if (service, operation) == ("s3", "DeleteObjects"):
            return ["s3:DeleteObjectVersion" if "VersionId" in given["Delete"]["Objects"][0] else "s3:DeleteObject"]
        return [action for action in actions if not action.startswith(("cloudwatch:", "iam:Create"))]

    def _resource(
        self,
        place: Environment,
        service: str,
        region: str,
        operation: str,
        given: Mapping[str, Any],
        context: dict[str, str],
    ) -> tuple[str, dict[str, str | tuple[str, ...]]]:
        where = f"{region}:{place.account}"
        more: dict[str, str | tuple[str, ...]] = {**context, "aws:ResourceAccount": place.account}
        match service:
            case "dynamodb":
                arn = given.get("ResourceArn") or given.get("TableArn") or given.get("ExportArn")
                return arn or _table(place, given["TableName"], region), more
            case "s3":
                return self._object(given["Bucket"], given.get("Key") or _first_key(given), given.get("Prefix"), more)
            case "ssm":
                return f"arn:aws:ssm:{where}:parameter/{given['Name'].lstrip('/')}", more
            case "secretsmanager":
                return f"arn:aws:secretsmanager:{where}:secret:{given['SecretId']}-a1B2c3", more
            case "opensearch":
                return f"arn:aws:es:{where}:domain/{given['DomainName']}", more
            case "kms":
                return f"arn:aws:kms:{where}:key/{given['KeyId'].rpartition('/')[2]}", more
            case "iam":
                role = given.get("PolicySourceArn") or f"arn:aws:iam::{place.account}:role/{given['RoleName']}"
                return role, more
            case "lambda":
                return self._mapping(where, operation, given, more)
            case _:
                raise AssertionError(f"whose resource is {service} {operation}?")

    def _mapping(
        self, where: str, operation: str, given: Mapping[str, Any], more: dict[str, str | tuple[str, ...]]
    ) -> tuple[str, dict[str, str | tuple[str, ...]]]:
        if operation == "GetFunctionConfiguration":
            return f"arn:aws:lambda:{where}:function:{given['FunctionName']}", more
        if operation == "CreateEventSourceMapping":
            return "*", {**more, "lambda:FunctionArn": f"arn:aws:lambda:{where}:function:{given['FunctionName']}"}
        function = self.functions[given["UUID"]]
        return f"arn:aws:lambda:{where}:event-source-mapping:{given['UUID']}", {**more, "lambda:FunctionArn": function}

    def _object(
        self, bucket: str, key: str | None, prefix: str | None, more: dict[str, str | tuple[str, ...]]
    ) -> tuple[str, dict[str, str | tuple[str, ...]]]:
        more = {**more, "aws:ResourceAccount": self.buckets[bucket]}
        if key is not None:
            return f"arn:aws:s3:::{bucket}/{key}", more
        return f"arn:aws:s3:::{bucket}", {**more, "s3:prefix": prefix} if prefix else more

    def answered(self, given: Mapping[str, Any]) -> None:
        """Lambda's answers tell whose a mapping is."""
        for mapping in (given, *given.get("EventSourceMappings", ())):
            if "UUID" in mapping:
                self.functions[mapping["UUID"]] = mapping["FunctionArn"]

    def dynamodb(self, place: Environment, operation: str, body: bytes) -> None:
        """A call of our own wire."""
        given = orjson.loads(body)
        tables = [given["TableName"]] if "TableName" in given else list(given["RequestItems"])
        context = {"aws:RequestedRegion": place.region, "aws:ResourceAccount": place.account}
        asked = [Request(f"dynamodb:{operation}", _table(place, name, place.region), context) for name in tables]
        self.note(place, "dynamodb", operation, *asked)

    def s3(self, place: Environment, bucket: str, verb: str, key: str, query: str, headers: Mapping[str, str]) -> None:
        """A call of our own wire: a copy reads one object and writes another."""
        operation = WIRE_S3[verb]
        context: dict[str, str | tuple[str, ...]] = {"aws:RequestedRegion": place.region}
        if operation == "ListObjectsV2":
            prefix = parse_qs(query, keep_blank_values=True).get("prefix", [""])[0]
            self.note(place, "s3", operation, Request("s3:ListBucket", *self._object(bucket, None, prefix, context)))
        elif operation == "CopyObject":
            source, _, read = headers["x-amz-copy-source"].removeprefix("/").partition("/")
            tags = headers["x-amz-tagging-directive"] == "COPY"
            reading = ("s3:GetObject", *(("s3:GetObjectTagging",) if tags else ()))
            writing = ("s3:PutObject", *(("s3:PutObjectTagging",) if tags else ()))
            self.note(
                place,
                "s3",
                operation,
                *(Request(action, *self._object(source, read, None, context)) for action in reading),
                *(Request(action, *self._object(bucket, key, None, context)) for action in writing),
            )
        else:
            self.note(
                place, "s3", operation, Request("s3:DeleteObject", *self._object(bucket, key or "any", None, context))
            )

    def search(self, place: Environment, domain: str, verb: str, path: str) -> None:
        """A request to a search domain."""
        arn = f"arn:aws:es:{place.region}:{place.account}:domain/{domain}/{path.lstrip('/')}"
        action = _SENT.get(verb, "es:ESHttpDelete")
        self.note(place, "es", verb, Request(action, arn, {"aws:ResourceAccount": place.account}))


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """While it lasts, every call of this process is taken down."""
    client, post, once, connect = Session.client, DynamoTransport.post, S3Objects._once, Documents._connect
    listening: set[int] = set()

    def heard_client(self: Session, service: str, region: str | None = None) -> Any:
        made = client(self, service, region)
        if id(made) not in listening:
            listening.add(id(made))

            def before(params: Mapping[str, Any], model: Any, **_rest: Any) -> None:
                recorder.boto3(self.environment, service, made.meta.region_name, model.name, params)

            def after(parsed: Mapping[str, Any], **_rest: Any) -> None:
                recorder.answered(parsed)

            made.meta.events.register("provide-client-params", before)
            if service == "lambda":
                made.meta.events.register("after-call", after)
        return made

    async def heard_post(self: DynamoTransport, operation: str, body: bytes) -> Any:
        recorder.dynamodb(self._pool._session.environment, operation, body)
        return await post(self, operation, body)

    async def heard_once(
        self: S3Objects, bucket: Any, method: str, key: str, query: str, headers: Any, *rest: Any, **more: Any
    ) -> Any:
        recorder.s3(self._session.environment, bucket.name, method, key, query, headers)
        return await once(self, bucket, method, key, query, headers, *rest, **more)

    def heard_connect(self: Documents, **patience: Any) -> Any:
        made = connect(self, **patience)
        perform = made.transport.perform_request

        def heard(method: str, url: str, *rest: Any, **more: Any) -> Any:
            recorder.search(self._session.environment, self._domain, method, url)
            return perform(method, url, *rest, **more)

        vars(made.transport)["perform_request"] = heard
        return made

    with (
        patch.object(Session, "client", heard_client),
        patch.object(DynamoTransport, "post", heard_post),
        patch.object(S3Objects, "_once", heard_once),
        patch.object(Documents, "_connect", heard_connect),
    ):
        yield


def _table(place: Environment, name: str, region: str) -> str:
    return f"arn:aws:dynamodb:{region}:{place.account}:table/{name}"


def _updating(place: Environment, region: str, given: Mapping[str, Any]) -> Iterator[Request]:
    """A replica that is removed is deleted in its own region."""
    owned = {"aws:ResourceAccount": place.account}
    table = _table(place, given["TableName"], region)
    yield Request("dynamodb:UpdateTable", table, {**owned, "aws:RequestedRegion": region})
    for update in given.get("ReplicaUpdates", ()):
        there = update["Delete"]["RegionName"]
        for action in ("dynamodb:DeleteTable", "dynamodb:DeleteTableReplica"):
            arn = _table(place, given["TableName"], there)
            yield Request(action, arn, {**owned, "aws:RequestedRegion": there})


def _first_key(given: Mapping[str, Any]) -> str | None:
    objects = given.get("Delete", {}).get("Objects", [])
    return str(objects[0]["Key"]) if objects else None
