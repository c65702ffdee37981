"""Every AWS operation that the code calls, read from its syntax: boto3's methods, and the operations of our own wire.

Read generously: a name counts as a call of a service if it is the name of one of its operations and stands, as a method
or as text, in a module that opens that service. What is found must be known; so a new call cannot be overlooked.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import botocore.session
from botocore import xform_name
from opensearchpy import OpenSearch

import downstage

ROOT = Path(downstage.__file__).parent
_ELSEWHERE = ("sandbox", "testing")
_VERBS = ("GET", "HEAD", "POST", "PUT", "DELETE")


@lru_cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """The product's modules, without the sandbox and the fakes."""
    paths = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
    return tuple(
        (name, ast.parse(path.read_text(encoding="utf-8")))
        for name, path in paths.items()
        if not name.startswith(_ELSEWHERE)
    )


@lru_cache
def operations(service: str) -> dict[str, str]:
    """An AWS service's operations: the name of the method → the name of the operation."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


@lru_cache
def called_by_boto3() -> dict[tuple[str, str], set[str]]:
    """(service, operation) → the modules that call it."""
    found: dict[tuple[str, str], set[str]] = {}
    for name, tree in modules():
        names = _methods(tree) | set(_texts(tree))
        for service in _opened(tree):
            for method, operation in operations(service).items():
                if method in names:
                    found.setdefault((service, operation), set()).add(name)
    return found


def called_by_wire() -> set[tuple[str, str]]:
    """(service, what is sent) of our own wire: DynamoDB's operations by name, S3's by verb, OpenSearch's by method."""
    trees = dict(modules())
    by_name = set(operations("dynamodb").values())
    found = {("dynamodb", text) for text in _texts(trees["aws/dynamodb.py"]) if text in by_name}
    found |= {("s3", text) for text in _texts(trees["aws/objects.py"]) if text in _VERBS}
    return found


def search_calls() -> set[str]:
    """The methods of opensearch-py's client, its `indices` and its helpers that the code calls."""
    found = set()
    for _, tree in modules():
        imported = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("opensearchpy.helpers")
            for alias in node.names
            if alias.name[0].islower()
        }
        if not any(
            isinstance(node, ast.ImportFrom) and (node.module or "").startswith("opensearchpy")
            for node in ast.walk(tree)
        ):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in imported:
                found.add(node.func.id)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner, *path = ast.unparse(node.func).split(".")
                if (owner == "self" and len(path) > 1 and hasattr(OpenSearch, path[1])) or path[1:2] == ["indices"]:
                    found.add(".".join(path[1:]))
    return found


def unopened() -> dict[str, set[str]]:
    """Modules that open no service and yet call a method that only AWS's clients have (`describe_table`)."""
    services = sorted({service for _, tree in modules() for service in _opened(tree)})
    known = {method for service in services for method in operations(service) if method.count("_") >= 2}
    found = {}
    for name, tree in modules():
        if not _opened(tree) and (suspicious := _methods(tree) & known):
            found[name] = suspicious
    return found


def _opened(tree: ast.Module) -> set[str]:
    """The services whose clients a module makes."""
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "client"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def _methods(tree: ast.Module) -> set[str]:
    return {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
