"""The target's flags: items of a deploy table and SSM parameters, written, then read back consistently.

Items travel as wire JSON (base64 for binaries), so the values are compared as they were given.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from downstage.aws.session import Session, calling
from downstage.domain.plan import Flag, ItemFlag
from downstage.errors import NotFound


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
                    Name=flag.name, Value=flag.value, Type="String", Overwrite=True
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
            try:
                with calling(self._target.environment, f"read the flag {flag.label}"):
                    answer = self._target.client("ssm").get_parameter(Name=flag.name)
            except NotFound:
                return None
            return str(answer["Parameter"]["Value"])


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
