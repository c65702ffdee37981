"""The single values of `parity` and `accept`: what may be said of how two tables differ.

Like those in `values`: annotated types whose checks speak in plain words and never quote the value.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from downstage.domain.table_schema import ACCEPTABLE, NAMED

_KEY_ARN = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+"
_ALIAS = r"alias/[A-Za-z0-9/_-]+"


def _source_key(value: str) -> str:
    if re.fullmatch(_KEY_ARN, value) is None:
        raise ValueError("must have keys such as arn:aws:kms:us-east-1:111111111111:key/ID: a key's ARN, no alias")
    return value


def _target_key(value: str) -> str:
    if re.fullmatch(f"{_KEY_ARN}|{_ALIAS}", value) is None:
        raise ValueError("must be a key's ARN, or an alias such as alias/app-test")
    return value


def _accepted(value: str) -> str:
    fact, colon, place = value.partition(":")
    if fact not in ACCEPTABLE or (colon and (fact not in NAMED or not place)):
        raise ValueError(
            f"must be one of {', '.join(ACCEPTABLE)}; or {', '.join(f'{name}:NAME' for name in NAMED)} for a single one"
        )
    return value


SourceKey = Annotated[str, AfterValidator(_source_key)]
"""The ARN of a KMS key."""

TargetKey = Annotated[
    str, Field(json_schema_extra={"pattern": f"^({_KEY_ARN}|{_ALIAS})$"}), AfterValidator(_target_key)
]
"""The ARN or an alias of a KMS key."""

Accepted = Annotated[
    str,
    Field(json_schema_extra={"pattern": f"^(({'|'.join(ACCEPTABLE)})|({'|'.join(NAMED)}):.+)$"}),
    AfterValidator(_accepted),
]
"""A fact in which two tables may differ, or one of a fact's named parts."""
