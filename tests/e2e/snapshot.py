"""Everything that stands in the sandbox's accounts, by raw AWS calls: for tests that nothing was written."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from ruamel.yaml import YAML

from tests.e2e.conftest import Place

PROD, TEST, STRANGER = "111111111111", "222222222222", "333333333333"

Change = Callable[[dict[str, Any]], object]


def client(place: Place, service: str, account: str) -> Any:
    """A raw client of one account: the emulator takes a 12-digit access key for the account."""
    return _client(place.endpoint, service, account)


@cache
def _client(endpoint: str, service: str, account: str) -> Any:
    session: Any = boto3.Session(aws_access_key_id=account, aws_secret_access_key="x", region_name="us-east-1")
    return session.client(service, endpoint_url=endpoint)


def snapshot(place: Place) -> dict[str, Any]:
    """Tables and their items, parameters, objects, consumers, search indices: of both accounts, as plain data."""
    return {account: dict(_account(place, account)) for account in (PROD, TEST)} | {"search": dict(_search(place))}


def _account(place: Place, account: str) -> Iterator[tuple[str, Any]]:
    dynamodb = client(place, "dynamodb", account)
    for table in dynamodb.list_tables()["TableNames"]:
        description = dynamodb.describe_table(TableName=table)["Table"]
        pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        items = sorted(json.dumps(item, sort_keys=True, default=repr) for page in pages for item in page["Items"])
        hashed = hashlib.sha256("\n".join(items).encode()).hexdigest()
        yield f"table {table}", (description["CreationDateTime"].isoformat(), len(items), hashed)
    s3 = client(place, "s3", account)
    for bucket in s3.list_buckets()["Buckets"]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"])
        entries = (entry for page in pages for entry in page.get("Contents", []))
        yield f"bucket {bucket['Name']}", {e["Key"]: (e["ETag"], e["LastModified"].isoformat()) for e in entries}
    pages = client(place, "ssm", account).get_paginator("describe_parameters").paginate()
    for parameter in (parameter for page in pages for parameter in page["Parameters"]):
        yield f"parameter {parameter['Name']}", (parameter["Version"], str(parameter["LastModifiedDate"]))
    for mapping in client(place, "lambda", account).list_event_source_mappings()["EventSourceMappings"]:
        yield f"consumer {mapping['UUID']}", (mapping["EventSourceArn"], mapping["State"])
    domains = client(place, "opensearch", account).list_domain_names()["DomainNames"]
    yield "domains", sorted(domain["DomainName"] for domain in domains)


def _search(place: Place) -> Iterator[tuple[str, Any]]:
    for environment in settings(place)["environments"].values():
        for domain, url in environment["search_endpoints"].items():
            with urllib.request.urlopen(f"{url}/_cat/indices?format=json", timeout=30) as answer:
                indices = json.load(answer)
            yield domain, sorted((index["index"], index.get("docs.count")) for index in indices)


def settings(place: Place) -> dict[str, Any]:
    """The sandbox's own configuration as plain values."""
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(place.config.read_text(encoding="utf-8"))
    return values


def changed(place: Place, name: str, *changes: Change) -> Path:
    """A copy of the configuration beside the original, changed, with a state directory of its own."""
    values = settings(place) | {"state": f"state-{name}"}
    for change in changes:
        change(values)
    path = place.directory / f"{name}.yaml"
    path.write_text(json.dumps(values, indent=1), encoding="utf-8")  # JSON is YAML
    return path


def signed_in_as(place: Place, environment: str, account: str) -> Change:
    """Gives an environment credentials of `account`, and no role."""
    path = place.directory / "aws" / f"only-{account}"
    path.write_text(f"[sandbox]\naws_access_key_id = {account}\naws_secret_access_key = x\n", encoding="utf-8")

    def change(values: dict[str, Any]) -> None:
        values["environments"][environment].pop("role", None)
        values["environments"][environment]["credentials_file"] = str(path.relative_to(place.directory))

    return change
