"""Search: domains through AWS's API, documents through OpenSearch's own, each request signed with the side's role."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth, Urllib3HttpConnection
from opensearchpy import exceptions as faults
from opensearchpy.helpers import ScanError, scan

from downstage.aws.session import Session, calling
from downstage.errors import AwsError, CredentialsError, NotFound, Unreachable
from downstage.ports import Document, SearchIndex

_PATIENCE = 3600.0
_COPIED = (
    "EngineVersion",
    "ClusterConfig",
    "EBSOptions",
    "EncryptionAtRestOptions",
    "NodeToNodeEncryptionOptions",
    "DomainEndpointOptions",
    "AdvancedOptions",
)
_OWN_SETTINGS = ("creation_date", "uuid", "version", "provided_name", "resize", "routing")


class DomainControl:
    """Implements `ports.SearchDomains` with one side's session."""

    def __init__(self, session: Session, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._session = session
        self._sleep = sleep

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

    def create(self, domain: str, description: Mapping[str, Any]) -> None:
        """Makes a domain configured as `description` says and waits until it can be used; one that is there is fine.

        What belongs to one account alone (network, KMS key, access policy) is not taken over.
        """
        if self.description(domain) is None:
            settings = {name: description[name] for name in _COPIED if description.get(name)}
            if settings.get("EncryptionAtRestOptions", {}).get("Enabled"):
                settings["EncryptionAtRestOptions"] = {"Enabled": True}
            endpoint = settings.get("DomainEndpointOptions", {})
            kept = {name: value for name, value in endpoint.items() if not name.startswith("CustomEndpoint")}
            settings |= {"DomainEndpointOptions": kept} if kept else {}
            with calling(self._session.environment, f"create the search domain {domain}"):
                self._client.create_domain(DomainName=domain, **settings)
        self._wait(domain, "ready", lambda: self._ready(domain))

    def delete(self, domain: str) -> bool:
        """Deletes the domain and waits until it is gone; False if it was not there."""
        status = self.description(domain)
        if status is None:
            return False
        if not status.get("Deleted"):
            with calling(self._session.environment, f"delete the search domain {domain}"):
                self._client.delete_domain(DomainName=domain)
        self._wait(domain, "deleted", lambda: self.description(domain) is None)
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

    def _ready(self, domain: str) -> bool:
        status = self.description(domain)
        if status is None or status.get("Processing") or not status.get("Created", True):
            return False
        return _host(status) is not None or self._session.environment.search_endpoint(domain) is not None

    def _wait(self, domain: str, what: str, reached: Callable[[], bool]) -> None:
        wait, waited = 0.05, 0.0
        while not reached():
            if waited > _PATIENCE:
                raise AwsError(
                    f"the search domain {domain} is not {what} after an hour; look at it, then resume the run"
                )
            self._sleep(wait)
            waited += wait
            wait = min(wait * 2, 15.0)


def _host(status: Mapping[str, Any] | None) -> str | None:
    """The domain's host: public, or inside its VPC."""
    if status is None:
        return None
    host = status.get("Endpoint") or status.get("Endpoints", {}).get("vpc")
    return str(host) if host else None


class Documents:
    """Implements `ports.SearchIndex` on one domain."""

    def __init__(self, session: Session, domain: str, url: str) -> None:
        self._domain = domain
        self._session = session
        signer = Urllib3AWSV4SignerAuth(_Credentials(session), session.environment.region, "es")
        self._client = OpenSearch(
            hosts=[url],
            http_auth=signer,
            connection_class=Urllib3HttpConnection,
            verify_certs=True,
            timeout=30,
            max_retries=5,
            retry_on_timeout=True,
            retry_on_status=(429, 502, 503, 504),
        )

    def indices(self) -> Sequence[str]:
        """The names of the indices, without the service's own."""
        with self._asking("list the indices"):
            names = self._client.indices.get(index="*", params={"expand_wildcards": "open,closed"})
        return sorted(name for name in names if not name.startswith("."))

    def count(self, index: str) -> int:
        """How many documents the index holds and shows; 0 if there is no such index."""
        try:
            with self._asking(f"count index {index}"):
                self._client.indices.refresh(index=index)
                return int(self._client.count(index=index)["count"])
        except NotFound:
            return 0

    def documents(self, index: str) -> Iterator[Document]:
        """Every document, in no order; none if there is no such index. Raises AwsError if one has no `_source`."""
        with self._asking(f"read index {index}"):
            if self._client.indices.exists(index=index):
                self._client.indices.refresh(index=index)
                for hit in scan(self._client, index=index, size=1000, preserve_order=False):
                    if "_source" not in hit:
                        raise AwsError(f"index {index} keeps no _source: what is in its documents cannot be proven")
                    yield Document(hit["_id"], hit["_source"], hit.get("_routing"))

    def definition(self, index: str) -> Mapping[str, Any]:
        """The index's settings, mappings and aliases, as `create` takes them."""
        with self._asking(f"read the definition of index {index}"):
            found = self._client.indices.get(index=index)[index]
        settings = {
            name: value
            for name, value in found.get("settings", {}).get("index", {}).items()
            if name not in _OWN_SETTINGS
        }
        return {"settings": {"index": settings}, "mappings": found["mappings"], "aliases": found.get("aliases", {})}

    def create(self, index: str, definition: Mapping[str, Any]) -> None:
        """Makes the index; one that is there already is fine."""
        with self._asking(f"create index {index}"):
            if not self._client.indices.exists(index=index):
                self._client.indices.create(index=index, body=dict(definition))

    def delete(self, index: str) -> None:
        """Deletes the index with all its documents; an absent one is fine."""
        with self._asking(f"delete index {index}"):
            self._client.indices.delete(index=index, params={"ignore_unavailable": "true"})

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        where = f"search domain {self._domain}: could not {what}"
        try:
            yield
        except faults.NotFoundError:
            raise NotFound(f"{where}: it does not exist") from None
        except (faults.AuthenticationException, faults.AuthorizationException):
            raise CredentialsError(f"{where}: access denied; allow the role in the domain's access policy") from None
        except (faults.ConnectionError, faults.ConnectionTimeout):
            raise Unreachable(f"{where}: the endpoint does not answer") from None
        except ScanError:
            raise AwsError(f"{where}: OpenSearch did not give all documents; resume the run") from None
        except faults.TransportError as error:
            raise AwsError(f"{where}: OpenSearch answered {error.status_code}", str(error.status_code)) from None


class _Credentials:
    """What opensearch-py's signer asks for; renewed by the session behind it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_frozen_credentials(self) -> Any:
        return self._session.credentials()
