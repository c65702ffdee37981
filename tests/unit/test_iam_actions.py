"""Every AWS call that the code makes is allowed by the policies, and they allow no action that no call needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from downstage.app.policies import roles
from downstage.app.runs import Project
from tests.permissions import calls, operations
from tests.permissions.configurations import EVERYTHING, project
from tests.permissions.evaluator import actions_in

ROLES = ("source", "target", "glue", "launcher")


def documents_of(project: Project) -> dict[str, list[dict[str, Any]]]:
    found, _ = roles(project, "test")
    return {str(role.name): list(role.record["policies"].values()) for role in found}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    return documents_of(project(tmp_path_factory.mktemp("everything"), EVERYTHING))


def needed() -> set[str]:
    """Every action that the code's calls need."""
    found = set(operations.BEHIND)
    for service, operation in calls.called_by_boto3():
        if (service, operation) not in operations.IGNORED:
            found |= set(operations.actions_of(service, operation))
    for service, sent in calls.called_by_wire():
        operation = operations.WIRE_S3[sent] if service == "s3" else sent
        found |= set(operations.actions_of(service, operation))
    for method in calls.search_calls():
        found |= set(operations.SEARCH[method])
    return found


def test_the_policies_hold_exactly_the_actions_that_the_code_calls(everything: dict[str, list[dict[str, Any]]]) -> None:
    granted = set().union(*(actions_in(documents) for documents in everything.values()))
    assert granted - operations.BY_GLUE - needed() == set(), "allowed, and never called"
    assert needed() - granted == set(), "called, and not allowed"


def test_no_action_is_a_pattern(everything: dict[str, list[dict[str, Any]]]) -> None:
    for documents in everything.values():
        assert not [action for action in actions_in(documents) if "*" in action]


def test_every_client_is_made_by_the_services_own_name() -> None:
    """Otherwise a call could not be found in the code."""
    import ast

    for name, tree in calls.modules():
        if name == "aws/session.py":  # where `client` itself is
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "client":
                assert isinstance(node.args[0], ast.Constant), f"{name}:{node.lineno}"


def test_no_module_calls_a_client_that_another_one_made() -> None:
    assert calls.unopened() == {}


def test_the_calls_are_found_where_they_are_known_to_be() -> None:
    """The scan itself: it finds a paginator's name, a call through a property, one named in a text, and our wire's."""
    found = calls.called_by_boto3()
    assert "aws/streams.py" in found["lambda", "ListEventSourceMappings"]
    assert "aws/table_changes.py" in found["dynamodb", "UpdateTable"]
    assert "aws/s3.py" in found["s3", "GetBucketVersioning"]
    assert {("dynamodb", "BatchWriteItem"), ("s3", "POST")} <= calls.called_by_wire()
    assert {"scan", "indices.get"} <= calls.search_calls()


def test_operations_that_need_another_action_are_real_operations() -> None:
    for service, operation in (*operations.NEEDS, *operations.IGNORED):
        assert operation in calls.operations(service).values(), (service, operation)


def test_the_role_that_reads_production_may_change_nothing(everything: dict[str, list[dict[str, Any]]]) -> None:
    assert [action for action in actions_in(everything["source"]) if operations.changes(action)] == []


def test_only_the_launcher_may_start_exports_and_jobs(everything: dict[str, list[dict[str, Any]]]) -> None:
    for role in ROLES:
        granted = actions_in(everything[role])
        assert ("dynamodb:ExportTableToPointInTime" in granted) is (role == "launcher")
        assert any(action.startswith("glue:") for action in granted) is (role == "launcher")


def test_the_glue_jobs_role_touches_no_data(everything: dict[str, list[dict[str, Any]]]) -> None:
    assert {action.partition(":")[0] for action in actions_in(everything["glue"])} == {
        "sts",
        "s3",
        "logs",
        "cloudwatch",
    }


def test_a_configuration_without_streams_allows_nothing_of_lambda(tmp_path: Path) -> None:
    without = EVERYTHING.replace("streams: {", "# streams: {").replace("parity: {", "parity: {accept: [consumers], ")
    for documents in documents_of(project(tmp_path, without)).values():
        assert not [action for action in actions_in(documents) if action.startswith("lambda:")]


@pytest.mark.parametrize(
    ("stanza", "service"),
    [
        ("search", "es:ESHttpPut"),
        ("schedule", "scheduler"),
        ("deploy", "application-autoscaling:Register"),
        ("flags", "ssm:PutParameter"),
        ("buckets", "s3:DeleteObject"),
    ],
)
def test_what_is_not_configured_is_not_allowed(tmp_path: Path, stanza: str, service: str) -> None:
    less = project(tmp_path, EVERYTHING, without=stanza)
    granted = actions_in(documents_of(less)["target"])
    assert not [action for action in granted if action.startswith(service)]
    assert [action for action in granted if action.startswith("dynamodb:")]
