"""The target's flags: items of a deploy table and SSM parameters, written, then read back consistently.

Items travel as wire JSON (base64 for binaries), so the values are compared as they were given. A parameter keeps the
type that it has, and an encrypted one (SecureString) its key: AWS would encrypt with its own, if none is named.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from downstage.aws.session import Session, calling
from downstage.domain.plan import Flag, ItemFlag, ParameterFlag
from downstage.errors import AwsError, NotFound


class FlagWriter:
    """Implements `ports.FlagStore` with the target's session."""

    def __init__(self, target: Session) -> None:
        self._target = target

    def write(self, flag: Flag) -> None:
        """Sets the flag's attributes, leaving others of the item alone, or the parameter."""
        with calling(self._target.environment, f"write the flag {flag.label}"):
            if isinstance(flag, ItemFlag):
                names = {f"#{place}": name for place, name in enumerate(flag.values)}
                values = {f":{place}": _to_boto(value) for place, value in enumerate(flag.values.values())}
                assignments = ", ".join(f"#{place} = :{place}" for place in range(len(names)))
                self._target.client("dynamodb").update_item(
                    TableName=flag.table.name,
                    Key={name: _to_boto(value) for name, value in flag.key.items()},
                    UpdateExpression=f"SET {assignments}",
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                )
            else:
                self._target.client("ssm").put_parameter(
                    Name=flag.name, Value=flag.value, Overwrite=True, **self._as_it_is(flag)
                )

    def read(self, flag: Flag) -> Mapping[str, Any] | str | None:
        """The flag's attributes (only those that it sets), or the parameter's value; None if it is not there."""
        with calling(self._target.environment, f"read the flag {flag.label}"):
            if isinstance(flag, ItemFlag):
                answer = self._target.client("dynamodb").get_item(
                    TableName=flag.table.name,
                    Key={name: _to_boto(value) for name, value in flag.key.items()},
                    ConsistentRead=True,
                )
                item = answer.get("Item")
                return None if item is None else {name: _from_boto(item[name]) for name in flag.values if name in item}
            found = self._parameter(flag)
            return None if found is None else str(found["Value"])

    def _parameter(self, flag: ParameterFlag) -> Mapping[str, Any] | None:
        """The parameter as it is now, decrypted; None if it is not there."""
        try:
            with calling(self._target.environment, f"read the flag {flag.label}"):
                answer = self._target.client("ssm").get_parameter(Name=flag.name, WithDecryption=True)
        except NotFound:
            return None
        found: Mapping[str, Any] = answer["Parameter"]
        return found

    def _as_it_is(self, flag: ParameterFlag) -> dict[str, str]:
        """The type to write it with, and its key. A new one is plain text."""
        found = self._parameter(flag)
        if found is None:
            return {"Type": "String"}
        if found["Type"] != "SecureString":
            return {"Type": found["Type"]}
        return {"Type": found["Type"], "KeyId": self._key_of(flag)}

    def _key_of(self, flag: ParameterFlag) -> str:
        """The key that the newest version is encrypted with, as AWS names it. Of all calls that tell it, only the
        parameter's history can be allowed for one parameter alone."""
        pages = self._target.client("ssm").get_paginator("get_parameter_history").paginate(Name=flag.name)
        newest = max((version for page in pages for version in page["Parameters"]), key=lambda one: one["Version"])
        if not newest.get("KeyId"):
            raise AwsError(
                f"environment {self._target.environment.name}: AWS does not tell which key encrypts the flag "
                f"{flag.label}: it is not overwritten; set it yourself, and take it from 'flags'"
            )
        return str(newest["KeyId"])


def _to_boto(value: Mapping[str, Any]) -> dict[str, Any]:
    """A typed value as boto3 takes it: its binaries are bytes."""
    return _binaries(value, lambda content: base64.b64decode(content))


def _from_boto(value: Mapping[str, Any]) -> dict[str, Any]:
    """A typed value as it is on the wire: its binaries are base64 text."""
    return _binaries(value, lambda content: base64.b64encode(bytes(content)).decode())


def _binaries(value: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    if kind == "B":
        return {kind: change(content)}
    if kind == "BS":
        return {kind: [change(member) for member in content]}
    if kind == "M":
        return {kind: {name: _binaries(member, change) for name, member in content.items()}}
    if kind == "L":
        return {kind: [_binaries(member, change) for member in content]}
    return {kind: content}
