"""Search domains through AWS's API: looked at, made, deleted, each awaited for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

from downstage.aws.documents import Documents
from downstage.aws.session import Session, calling
from downstage.errors import AwsError, NotFound
from downstage.ports import SearchIndex

_PATIENCE = 3600.0
_LONGEST_WAIT = 15.0
_COPIED = (
    "EngineVersion",
    "ClusterConfig",
    "EBSOptions",
    "EncryptionAtRestOptions",
    "NodeToNodeEncryptionOptions",
    "DomainEndpointOptions",
    "AdvancedOptions",
)
_OWN = (
    *_COPIED,
    "AccessPolicies",
    "IPAddressType",
    "SnapshotOptions",
    "CognitoOptions",
    "LogPublishingOptions",
    "OffPeakWindowOptions",
    "SoftwareUpdateOptions",
)
"""What a domain's own account can make it with again, besides its network."""


class DomainControl:
    """Implements `ports.SearchDomains` with one side's session. `clock` counts seconds and never goes back."""

    def __init__(
        self,
        session: Session,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._sleep = sleep
        self._clock = clock

    @property
    def _client(self) -> Any:
        return self._session.client("opensearch")

    def names(self) -> Sequence[str]:
        """Every domain of the account and region."""
        with calling(self._session.environment, "list the search domains"):
            return [domain["DomainName"] for domain in self._client.list_domain_names()["DomainNames"]]

    def description(self, domain: str) -> Mapping[str, Any] | None:
        """DescribeDomain's answer, or None if there is no such domain."""
        try:
            with calling(self._session.environment, f"describe the search domain {domain}"):
                status: Mapping[str, Any] = self._client.describe_domain(DomainName=domain)["DomainStatus"]
                return status
        except NotFound:
            return None

    def identity(self, domain: str) -> str | None:
        """When it was made, in UTC: a domain's ARN and id are those of its name. None if there is no such domain.

        Raises AwsError if AWS does not tell it: such a domain cannot be told from one that is made later.
        """
        try:
            with calling(self._session.environment, f"look when the search domain {domain} was made"):
                settings = self._client.describe_domain_config(DomainName=domain)["DomainConfig"].values()
        except NotFound:
            return None
        states = [setting.get("Status", {}) for setting in settings]
        made = [state["CreationDate"] for state in states if "CreationDate" in state]
        if not made:
            raise AwsError(
                f"AWS does not tell when the search domain {domain} was made: whether it is the one that was meant to "
                "be deleted could not be told later; delete it yourself, or take it out of 'wipe.domains'"
            )
        return str(min(made).astimezone(UTC).isoformat())  # botocore gives the time of this machine's zone

    def configuration(self, domain: str) -> Mapping[str, Any] | None:
        """What `restore` takes; None if there is no such domain, or it is being deleted."""
        status = self.description(domain)
        if status is None or status.get("Deleted"):
            return None
        settings = {name: status[name] for name in _OWN if status.get(name)}
        network = status.get("VPCOptions") or {}
        if network.get("SubnetIds"):
            settings["VPCOptions"] = {
                name: network[name] for name in ("SubnetIds", "SecurityGroupIds") if network.get(name)
            }
        if (status.get("AdvancedSecurityOptions") or {}).get("Enabled"):
            settings["AdvancedSecurityOptions"] = {"Enabled": True}
        return settings

    def create(self, domain: str, description: Mapping[str, Any]) -> None:
        """Makes a domain configured as `description` says and waits until it can be used; one that is there is fine.

        What belongs to one account alone (network, KMS key, access policy) is not taken over.
        """
        settings = {name: description[name] for name in _COPIED if description.get(name)}
        if settings.get("EncryptionAtRestOptions", {}).get("Enabled"):
            settings["EncryptionAtRestOptions"] = {"Enabled": True}
        endpoint = settings.get("DomainEndpointOptions", {})
        kept = {name: value for name, value in endpoint.items() if not name.startswith("CustomEndpoint")}
        settings |= {"DomainEndpointOptions": kept} if kept else {}
        self._make(domain, settings, self._ready)

    def restore(self, domain: str, configuration: Mapping[str, Any]) -> None:
        """Makes the account's own domain again and waits until it answers; one that is there is fine, also while it is
        being changed (an update may take hours, and it can be used meanwhile).

        Raises AwsError for one with fine-grained access control: AWS does not tell its users and roles.
        """
        if "AdvancedSecurityOptions" in configuration and self._settled(domain) is None:
            raise AwsError(
                f"the search domain {domain} has fine-grained access control, which AWS does not tell: it cannot be "
                "made again here; have your deployment make it, then resume the run"
            )
        self._make(domain, configuration, self._answers)

    def delete(self, domain: str) -> bool:
        """Deletes the domain and waits until it is gone; False if it was not there."""
        status = self.description(domain)
        if status is None:
            return False
        if not status.get("Deleted"):
            with calling(self._session.environment, f"delete the search domain {domain}"):
                self._client.delete_domain(DomainName=domain)
        self._wait(domain, "gone", lambda: self.description(domain) is None)
        return True

    def index(self, domain: str) -> SearchIndex:
        """The documents of a domain. Raises NotFound if there is no such domain."""
        url = self._session.environment.search_endpoint(domain)
        if url is None:
            status = self.description(domain)
            host = _host(status)
            if host is None:
                raise NotFound(f"there is no search domain {domain} in {self._session.environment.name}")
            url = f"https://{host}"
        return Documents(self._session, domain, url)

    def _make(self, domain: str, settings: Mapping[str, Any], reached: Callable[[str], bool]) -> None:
        if self._settled(domain) is None:
            with calling(self._session.environment, f"create the search domain {domain}"):
                self._client.create_domain(DomainName=domain, **settings)
        self._wait(domain, "ready", lambda: reached(domain))

    def _settled(self, domain: str) -> Mapping[str, Any] | None:
        """The domain's description, or None: one that is being deleted is waited for, for its name is not free yet."""
        status = self.description(domain)
        if status is not None and status.get("Deleted"):
            self._wait(domain, "gone", lambda: self.description(domain) is None)
            return None
        return status

    def _ready(self, domain: str) -> bool:
        """Whether it is there, with nothing left to be done."""
        status = self.description(domain)
        return status is not None and not status.get("Processing") and self._reachable(domain, status)

    def _answers(self, domain: str) -> bool:
        """Whether it can be used."""
        status = self.description(domain)
        return status is not None and self._reachable(domain, status)

    def _reachable(self, domain: str, status: Mapping[str, Any]) -> bool:
        if not status.get("Created", True) or status.get("Deleted"):
            return False
        return _host(status) is not None or self._session.environment.search_endpoint(domain) is not None

    def _wait(self, domain: str, what: str, reached: Callable[[], bool]) -> None:
        wait, until = 0.05, self._clock() + _PATIENCE
        while not reached():
            if self._clock() >= until:
                raise AwsError(
                    f"the search domain {domain} is not {what} after {_PATIENCE / 60:.0f} minutes: it is still "
                    f"{_state(self.description(domain))}; look at it in AWS (one that is stuck is for AWS Support), "
                    "then resume the run"
                )
            self._sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)


def _state(status: Mapping[str, Any] | None) -> str:
    """What AWS is doing with a domain, in words."""
    if status is None:
        return "not there"
    doing = "being deleted" if status.get("Deleted") else "being changed" if status.get("Processing") else "being made"
    said = status.get("DomainProcessingStatus")
    return f"{doing} ({said})" if said else doing


def _host(status: Mapping[str, Any] | None) -> str | None:
    """The domain's host: public, or inside its VPC."""
    if status is None:
        return None
    host = status.get("Endpoint") or status.get("Endpoints", {}).get("vpc")
    return str(host) if host else None
