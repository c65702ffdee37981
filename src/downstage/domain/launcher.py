"""Who starts Downstage: names of roles, never credentials."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OidcTrust:
    """Whoever shows a token of this identity provider, for this audience and with a subject like this."""

    provider: str
    audience: str
    subject: str


@dataclass(frozen=True, slots=True)
class Launcher:
    """The role that Downstage is run with. `trust` are principals (ARNs) and services that may be it."""

    role: str | None = None
    trust: tuple[str, ...] = ()
    oidc: OidcTrust | None = None
