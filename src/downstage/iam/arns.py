"""The names of the configuration as the ARNs that a policy takes, each no wider than the name or pattern it stands for.

A policy knows `*` and `?`. A set of characters in a shell pattern (`[ab]`) becomes one ARN for each of them; one that
leaves too many open cannot be said and is refused. What is a plain text in the configuration stays one: a star in an
object's prefix is written so that a policy takes it for a star.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from itertools import product

from downstage.domain.environment import Environment
from downstage.errors import ConfigError

MOST_SPELLINGS = 64
"""So many ARNs one pattern may become."""

_ALPHABET = string.ascii_letters + string.digits + "_.-"
_PIECE = re.compile(r"\[(!?)(\]?[^\]]*)\]|(.)", re.DOTALL)
_SPECIAL = re.compile(r"[$*?]")
_ROLE = re.compile(r"arn:([a-z-]+):iam::(\d{12}):role(/(?:.*/)?)([^/]+)")


def partition(region: str) -> str:
    """The part of AWS that a region belongs to."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def service_host(service: str, region: str) -> str:
    """A service as `kms:ViaService` names it."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{service}.{region}.{suffix}"


def arn(place: Environment, service: str, resource: str, *, region: str | None = None) -> str:
    """The ARN of something in the environment's account, in its region or another."""
    where = place.region if region is None else region
    return f"arn:{partition(place.region)}:{service}:{where}:{place.account}:{resource}"


def global_arn(place: Environment, resource: str) -> str:
    """The ARN of a bucket or object, which names no account."""
    return f"arn:{partition(place.region)}:s3:::{resource}"


def literal(text: str) -> str:
    """A plain text as a policy takes it to be one."""
    return _SPECIAL.sub(lambda found: f"${{{found.group()}}}", text)


def spellings(pattern: str) -> list[str]:
    """A shell pattern as a policy's patterns. Raises ConfigError if they would be too many."""
    pieces: list[list[str]] = []
    many = 1
    for negated, members, single in _PIECE.findall(pattern):
        choices = [single] if single else _choices(members, negated=bool(negated))
        many *= len(choices)
        if many > MOST_SPELLINGS:
            raise ConfigError(
                f"the pattern '{pattern}' leaves too many characters open for a policy: write it with * and ?, or "
                "name what it stands for"
            )
        pieces.append(choices)
    return ["".join(chosen) for chosen in product(*pieces)]


def all_spellings(patterns: Iterable[str]) -> list[str]:
    """Those of several patterns, each once and in order."""
    return list(dict.fromkeys(spelling for pattern in patterns for spelling in spellings(pattern)))


def table_arns(place: Environment, patterns: Iterable[str]) -> list[str]:
    """Tables, without their indexes."""
    return [arn(place, "dynamodb", f"table/{name}") for name in all_spellings(patterns)]


def secret_arn(place: Environment, reference: str) -> str:
    """What a policy calls the secret or parameter of a `secretsmanager:` or `ssm:` reference. AWS ends a secret's ARN
    with six characters of its own."""
    kind, _, name = reference.partition(":")
    if name.startswith("arn:"):
        return literal(name)
    if kind == "ssm":
        return parameter_arn(place, name)
    return arn(place, "secretsmanager", f"secret:{literal(name)}-??????")


def parameter_arn(place: Environment, name: str) -> str:
    """An SSM parameter."""
    return arn(place, "ssm", f"parameter/{literal(name.removeprefix('/'))}")


def function_arns(place: Environment, patterns: Iterable[str], region: str) -> list[str]:
    """Functions, and their versions and aliases."""
    names = all_spellings(patterns)
    plain = [arn(place, "lambda", f"function:{name}", region=region) for name in names]
    return [*plain, *(f"{one}:*" for one in plain if not one.endswith("*"))]


def role_parts(role: str) -> tuple[str, str, str]:
    """(account, path, name) of a role's ARN."""
    found = _ROLE.fullmatch(role)
    if found is None:
        raise ConfigError(f"'{role}' is not the ARN of a role")
    return found[2], found[3], found[4]


def _choices(members: str, *, negated: bool) -> list[str]:
    """The characters that a shell set stands for, among those that names in AWS are made of."""
    named: set[str] = set()
    place = 0
    while place < len(members):
        if members[place + 1 : place + 2] == "-" and place + 2 < len(members):
            named |= {chr(code) for code in range(ord(members[place]), ord(members[place + 2]) + 1)}
            place += 3
        else:
            named.add(members[place])
            place += 1
    return [one for one in _ALPHABET if (one in named) is not negated]
