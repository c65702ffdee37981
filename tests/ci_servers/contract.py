"""Holds requests and answers to an OpenAPI description. Stricter than it: an unnamed property is a mistake too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from tests.ci_servers.server import Call, Reply

CIRCLECI = Path(__file__).parents[1] / "contracts" / "circleci-v2.json"


class Contract:
    """The operations of one description. `violations` collects what broke it."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._document = json.loads(path.read_text(encoding="utf-8"))
        self._prefix = prefix
        self._routes = [(_route(template), operations) for template, operations in self._document["paths"].items()]
        self._validators: dict[int, Draft202012Validator] = {}
        self.violations: list[str] = []

    def request(self, call: Call) -> dict[str, str] | None:
        """The path's parameters; None, and a violation, if the contract has no such request."""
        found = self._operation(call)
        if found is None:
            self.violations.append(f"{call.method} {call.path}: there is no such operation")
            return None
        operation, parameters = found
        known = [self._resolved(parameter) for parameter in operation.get("parameters", ())]
        values = {"path": parameters, "query": call.query}
        for parameter in known:
            value = values[parameter["in"]].get(parameter["name"])
            if value is None and parameter.get("required"):
                self.violations.append(f"{call.method} {call.path}: lacks {parameter['name']}")
            if value is not None:
                self._check(parameter["schema"], value, f"{call.method} {call.path} {parameter['name']}")
        named = {parameter["name"] for parameter in known if parameter["in"] == "query"} | _linked(operation)
        for name in call.query:
            if name not in named:
                self.violations.append(f"{call.method} {call.path}: unknown query {name}")
        described = operation.get("requestBody")
        if described is None and call.body is not None:
            self.violations.append(f"{call.method} {call.path}: takes no body")
        if described is not None and call.body is not None:
            self._check(described["content"]["application/json"]["schema"], call.body, f"{call.method} {call.path}")
            if call.headers.get("content-type") != "application/json":
                self.violations.append(f"{call.method} {call.path}: is not sent as JSON")
        return parameters

    def response(self, call: Call, reply: Reply) -> None:
        """Checks an answer of the server."""
        found = self._operation(call)
        if found is None:
            return
        responses = found[0]["responses"]
        described = self._resolved(responses.get(str(reply.status)) or responses.get("default") or {})
        if "content" not in described:
            self.violations.append(f"{call.method} {call.path}: may not answer {reply.status}")
            return
        schema = described["content"]["application/json"]["schema"]
        self._check(schema, reply.body, f"answer {reply.status} to {call.method} {call.path}")

    def _operation(self, call: Call) -> tuple[dict[str, Any], dict[str, str]] | None:
        path = call.path.removeprefix(self._prefix)
        for route, operations in self._routes:
            found = route.fullmatch(path)
            if found is not None and call.method.lower() in operations:
                parameters = {name.replace("_", "-"): value for name, value in found.groupdict().items()}
                return operations[call.method.lower()], {**found.groupdict(), **parameters}
        return None

    def _check(self, schema: Any, value: Any, where: str) -> None:
        validator = self._validators.get(id(schema))
        if validator is None:
            validator = Draft202012Validator(self._closed(schema), format_checker=FormatChecker())
            self._validators[id(schema)] = validator
        for error in validator.iter_errors(value):
            self.violations.append(f"{where}: {error.json_path}: {error.message}")

    def _closed(self, schema: Any) -> Any:
        """The schema with references resolved, `x-nullable` in JSON Schema's words, and objects closed."""
        schema = self._resolved(schema)
        closed = {name: value for name, value in schema.items() if name not in ("default", "x-nullable")}
        if "properties" in schema:
            closed["properties"] = {name: self._closed(below) for name, below in schema["properties"].items()}
            closed.setdefault("additionalProperties", False)
        elif isinstance(schema.get("additionalProperties"), dict):
            closed["additionalProperties"] = self._closed(schema["additionalProperties"])
        if "items" in schema:
            closed["items"] = self._closed(schema["items"])
        if "anyOf" in schema:
            closed["anyOf"] = [self._closed(branch) for branch in schema["anyOf"]]
        if schema.get("format") in ("int64", "integer"):
            del closed["format"]
        return {"anyOf": [closed, {"type": "null"}]} if schema.get("x-nullable") else closed

    def _resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in part:
            here = self._document
            for name in part["$ref"].removeprefix("#/").split("/"):
                here = here[name]
            part = here
        return part


def _linked(operation: dict[str, Any]) -> set[str]:
    """Parameters that only the links to the next page name (a workflow's jobs are described so)."""
    links = [link for answer in operation["responses"].values() for link in answer.get("links", {}).values()]
    return {name for link in links for name in link["parameters"]}


def _route(template: str) -> re.Pattern[str]:
    def group(found: re.Match[str]) -> str:
        name = found[1]
        return f"(?P<{name.replace('-', '_')}>{'[^/]+/[^/]+/[^/]+' if name == 'project-slug' else '[^/]+'})"

    return re.compile(re.sub(r"\{([^}]+)\}", group, template))
