"""The single values of the configuration: what an account, an endpoint, a key reference may look like.

Each is an annotated type: a check that speaks in plain words, and a pattern or example for the JSON Schema.
A check raises `ValueError` with a text that reads after the value's path ("environments.test.account must
be …") and never holds the value itself. Numbers and booleans may also come as text, because environment
variables are text.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import jmespath
from jmespath.exceptions import ArityError, JMESPathError, LexerError, ParseError, UnknownFunctionError
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from downstage.config.typed_json import ATTRIBUTE_TYPES, attribute_value, key_value

_PERCENTAGE = r"\d{1,3}(\.\d{1,6})? ?%"
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _matching(pattern: str, words: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(words)
        return value

    return AfterValidator(check)


def _quoted_account(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError("must be text: put the account id in quotes, YAML drops leading zeros")
    return value


def _rate(value: Any) -> Any:
    number = _whole(value)
    if value == "auto" or (type(number) is int and number >= 1):
        return number
    raise ValueError("must be a number of capacity units a second, at least 1, or auto")


def _bearable(value: Any) -> Any:
    """A whole number from 0, or a percentage as the text that it is."""
    number = _whole(value)
    if type(number) is int and number >= 0:
        return number
    if isinstance(value, str) and re.fullmatch(_PERCENTAGE, value) and float(value.rstrip(" %")) <= 100:
        return value
    raise ValueError("must be a number of items, or a percentage of the table's items such as 0.5%")


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else value


def _truth(value: Any) -> Any:
    words = {"true": True, "false": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _seconds(value: Any) -> float:
    found = re.fullmatch(r"([1-9]\d{0,6})([smh])", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a duration such as 90s, 15m or 2h")
    return float(int(found[1]) * _UNIT_SECONDS[found[2]])


def check_endpoint(value: str) -> str:
    """An https:// URL (http:// for this machine) that holds no secret. Raises ValueError."""
    try:
        parts: SplitResult = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be an http:// or https:// URL") from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", value):
        raise ValueError("must be an http:// or https:// URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password")
    if parts.query or parts.fragment:
        raise ValueError("must not hold '?' or '#'")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("must be https: http is accepted only for this machine (127.0.0.1, ::1, localhost)")
    return value


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_key_reference(value: Any) -> str:
    """Where a secret is kept. Raises ValueError."""
    if isinstance(value, str):
        kind, _, rest = value.partition(":")
        if kind == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rest):
            return value
        if kind in ("file", "secretsmanager", "ssm") and rest and rest == rest.strip() and "\n" not in rest:
            return value
    raise ValueError(
        "must be a reference: env:NAME, file:PATH, secretsmanager:ID or ssm:NAME; "
        "the key itself never stands in the configuration"
    )


def _sink(value: str) -> str:
    value = SINK_PRESETS.get(value, value)
    if value.count("{token}") != 1:
        raise ValueError("must hold '{token}' exactly once")
    bare = value.replace("{token}", "").replace("{env}", "")
    if "{" in bare or "}" in bare:
        raise ValueError("may hold no placeholder but '{token}' and '{env}'")
    if value.count("@") != 1:
        raise ValueError("must be one address: exactly one '@'")
    local, _, domain = value.partition("@")
    if "{token}" not in local:
        raise ValueError("must hold '{token}' before the '@': a domain does not keep upper and lower case apart")
    if re.fullmatch(r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*", _filled(local)) is None:
        raise ValueError("must be a plain lower-case address: letters, digits and . _ + - before the '@'")
    if re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+", _filled(domain)) is None:
        raise ValueError("must have a lower-case host name with a dot after the '@'")
    return value


def _filled(template: str) -> str:
    return template.replace("{token}", "t").replace("{env}", "e")


def _id_template(value: str) -> str:
    rest = re.sub(r"\{[A-Za-z0-9_.-]+\}", "", value)
    if "{" in rest or "}" in rest:
        raise ValueError("must hold attribute names in braces, such as '{pk}_{sk}'")
    if rest == value:
        raise ValueError("must name at least one attribute in braces, such as '{pk}_{sk}'")
    return value


def _expression(value: str) -> str:
    try:
        jmespath.compile(value).search({})
    except (UnknownFunctionError, ArityError):
        raise ValueError(
            "calls a function that JMESPath does not have, or with the wrong number of arguments"
        ) from None
    except ParseError as error:  # also raised for the lexer's errors
        raise ValueError(f"is not a JMESPath expression (at character {_position(error)})") from None
    except LexerError as error:
        raise ValueError(f"is not a JMESPath expression (at character {error.lexer_position + 1})") from None
    except JMESPathError:
        if not value.strip():
            raise ValueError("is not a JMESPath expression (it is empty)") from None
    return value


def _position(error: ParseError) -> int:
    return int(error.lex_position) + 1


_TYPED_JSON_SCHEMA = WithJsonSchema(
    {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "propertyNames": {"enum": list(ATTRIBUTE_TYPES)},
    }
)
_KEY_PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|(file|secretsmanager|ssm):.+)$"

SINK_PRESETS = {"ses-simulator": "success+{token}@simulator.amazonses.com"}

ENVIRONMENT_NAME = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"

Text = Annotated[str, Field(min_length=1)]
"""A text that is not empty."""

Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number."""

Rate = Annotated[
    int | str,
    BeforeValidator(_rate),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
]
"""Capacity units a second, or `auto`."""

Bearable = Annotated[
    int | str,
    BeforeValidator(_bearable),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{_PERCENTAGE}$"}]}),
]
"""So many items, or such a percentage of a table's."""

Truth = Annotated[bool, BeforeValidator(_truth)]
"""true or false; never yes, on or 1."""

EnvironmentName = Annotated[
    str, _matching(ENVIRONMENT_NAME, "must be a name of 1 to 32 lower-case letters, digits and '-'")
]
"""The name of an environment: it becomes a label of a host name, so it is written like one."""

Account = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^\d{12}$"}),
    BeforeValidator(_quoted_account),
    _matching(r"[0-9]{12}", "must be an account id: 12 digits in quotes"),
]
"""An AWS account id: 12 digits, as text."""

Region = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^[a-z]{2,3}(-[a-z]+)+-\d$"}),
    _matching(r"[a-z]{2,3}(-[a-z]+)+-\d", "must be a region such as us-east-1"),
]
"""An AWS region."""

TableName = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^[A-Za-z0-9_.-]{3,255}$"}),
    _matching(r"[A-Za-z0-9_.-]{3,255}", "must be a table's name, not its ARN: 3 to 255 letters, digits and . _ -"),
]
"""The name of a table. Not an ARN: that could lie in any account, whatever the environment says."""

ControlTableName = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^downstage-[A-Za-z0-9_.-]{1,245}$"}),
    _matching(r"downstage-[A-Za-z0-9_.-]{1,245}", "must begin with 'downstage-': such a table is never wiped"),
]
"""The name of a table of our own."""

BucketName = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"}),
    _matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "must be a bucket's name, not its ARN or URL"),
]
"""The name of a bucket. Not an access point's ARN, for the same reason."""

RoleArn = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$"}),
    _matching(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+", "must be a role such as arn:aws:iam::222222222222:role/NAME"),
]
"""The ARN of an IAM role."""

ExternalId = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$"}),
    _matching(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", "must be 2 to 1224 letters, digits and _ + = , . @ : / -"),
]
"""What a role asks of who assumes it, so that nobody else's request is taken for ours."""

Endpoint = Annotated[str, Field(json_schema_extra={"pattern": "^https?://"}), AfterValidator(check_endpoint)]
"""An http(s) URL; http only for this machine."""

Duration = Annotated[
    float, BeforeValidator(_seconds), WithJsonSchema({"type": "string", "pattern": r"^[1-9]\d*[smh]$"})
]
"""A duration, written like 90s, 15m or 2h; in seconds."""

KeyReference = Annotated[
    str, BeforeValidator(check_key_reference), WithJsonSchema({"type": "string", "pattern": _KEY_PATTERN})
]
"""Where a secret is kept; never the secret."""

Sink = Annotated[
    str,
    Field(json_schema_extra={"pattern": rf"^([^@]*\{{token\}}[^@]*@[^@]+|{'|'.join(SINK_PRESETS)})$"}),
    AfterValidator(_sink),
]
"""The address that every pseudonym has: `{token}` before the '@', `{env}` anywhere; or the name of a preset."""

IdTemplate = Annotated[str, Field(json_schema_extra={"pattern": r"\{[^{}]+\}"}), AfterValidator(_id_template)]
"""A document id: text with attribute names in braces."""

Expression = Annotated[str, AfterValidator(_expression)]
"""A JMESPath expression that compiles."""

FlagName = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^[A-Za-z][A-Za-z0-9_-]*$"}),
    _matching(r"[A-Za-z][A-Za-z0-9_-]*", "must be a letter, then letters, digits, '_' or '-'"),
]
"""What a flag is called in `${flags.NAME}`."""

SchedulePrefix = Annotated[
    str,
    Field(json_schema_extra={"pattern": r"^[A-Za-z][A-Za-z0-9_.-]{2,}$"}),
    _matching(r"[A-Za-z][A-Za-z0-9_.-]{2,39}", "must be 3 to 40 letters, digits and _ . - starting with a letter"),
]
"""What the names of our schedules begin with."""

AttributeValue = Annotated[dict[str, Any], AfterValidator(attribute_value), _TYPED_JSON_SCHEMA]
"""One attribute value in typed DynamoDB JSON."""

KeyValue = Annotated[dict[str, Any], AfterValidator(key_value), _TYPED_JSON_SCHEMA]
"""One key attribute in typed DynamoDB JSON: S, N or B."""
