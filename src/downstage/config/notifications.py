"""Who is told what becomes of the refreshes: services through apprise, and webhooks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from downstage.config.ci_values import Name
from downstage.config.model import Model
from downstage.config.values import EnvironmentName, KeyReference, check_endpoint, check_key_reference

REFERENCES = ("env:", "file:", "secretsmanager:", "ssm:")


def _url(value: object) -> object:
    """A URL, or where one is kept that is a secret."""
    if isinstance(value, str):
        return check_key_reference(value) if value.startswith(REFERENCES) else check_endpoint(value)
    return value


WebhookUrl = Annotated[
    str,
    BeforeValidator(_url),
    WithJsonSchema({"type": "string", "pattern": "^(https?://|env:|file:|secretsmanager:|ssm:)"}),
]

Event = Literal["start", "end", "failure", "approval", "parked"]


class Webhook(Model):
    """A JSON document is posted to a URL of yours; see docs/notifications.md."""

    url: WebhookUrl = Field(
        description="The URL (https, without '?': a URL that holds a secret is given by where it is kept, written like "
        "masking.key)."
    )
    key: KeyReference | None = Field(
        default=None,
        description="Where a key is kept, written like masking.key, under which each message is signed "
        "(HMAC-SHA-256, in the header Downstage-Signature).",
    )


class Notification(Model):
    """One place that is told: exactly one of 'apprise' and 'webhook'."""

    name: Name | None = Field(default=None, description="What it is called in messages. Default: its number.")
    apprise: KeyReference | None = Field(
        default=None,
        description="Where an apprise URL is kept, written like masking.key and read with the environment's role. It "
        "names a chat, mail or paging service and holds its secrets. Needs the extra 'notify'.",
    )
    webhook: Webhook | None = Field(default=None, description="A webhook.")
    events: Annotated[tuple[Event, ...], Field(strict=False, min_length=1)] = Field(
        default=("end", "failure", "approval"),
        description="What it is told of. start: a refresh begins. end: it is proven. failure: it ended in any other "
        "way, or could not begin. approval: somebody must say 'downstage approve'. parked: its time-box ended.",
    )
    environments: Annotated[tuple[EnvironmentName, ...], Field(strict=False)] = Field(
        default=(), description="Of whose refreshes it is told. Default: all."
    )

    @model_validator(mode="after")
    def _one(self) -> Notification:
        if (self.apprise is None) == (self.webhook is None):
            raise ValueError("must hold exactly one of 'apprise' and 'webhook'")
        return self
