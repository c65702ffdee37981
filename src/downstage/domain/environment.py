"""A named place: an AWS account and region, and how to get in.

It holds the *names* of credentials (profile, role), never credentials, so it may travel to worker processes and
stand in logs. `protected` protects the account: whatever else is misconfigured, nothing is written there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment of the configuration.

    `account` is the 12-digit account id that the caller's identity must show before anything is written.
    `endpoint` overrides every AWS endpoint (a sandbox); `search_endpoints` overrides single search domains,
    as (domain, URL) pairs. `credentials_file` is an absolute path. `external_id` is what the role asks of whoever
    assumes it.
    """

    name: str
    account: str
    region: str
    protected: bool = False
    role: str | None = None
    profile: str | None = None
    credentials_file: str | None = None
    endpoint: str | None = None
    search_endpoints: tuple[tuple[str, str], ...] = ()
    external_id: str | None = None

    def search_endpoint(self, domain: str) -> str | None:
        """The configured URL of a search domain, or None if AWS is to be asked."""
        return dict(self.search_endpoints).get(domain)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who AWS says we are: the answer of STS GetCallerIdentity."""

    account: str
    arn: str
