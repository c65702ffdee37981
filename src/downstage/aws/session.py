"""One side's credentials and clients: profile, role and endpoint of one environment, and nothing of any other.

Credentials from an assumed role renew themselves. Clients are made here only, with the same retry and time-out
settings, and `calling` turns botocore's exceptions into ours: one line, without anything the service quoted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import exceptions as faults
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError

from downstage.domain.environment import Caller, Environment
from downstage.errors import AwsError, ConfigError, CredentialsError, DownstageError, NotFound, Unreachable

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials

_ABSENT = {
    "ResourceNotFoundException",
    "NoSuchBucket",
    "NoSuchKey",
    "404",
    "ParameterNotFound",
    "NoSuchEntity",
}
_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}


_descriptions = cache(create_loader)  # of the services: reading them is most of what a client costs, so once a process

IMPATIENCE = 5.0
"""Seconds that an impatient session waits for a connection, and for an answer."""


class Session:
    """Clients of one environment. Safe to share between threads; make a new one in each process.

    A session that is not `patient` asks once and waits seconds: for who asks again by itself, and must not be late.
    """

    def __init__(self, environment: Environment, *, patient: bool = True) -> None:
        self._patient = patient
        self.environment = environment
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._botocore = self._make_session()

    def client(self, service: str, region: str | None = None) -> Any:
        """A client of botocore (boto3 adds nothing that we use), made once for each service and region."""
        where = region or self.environment.region
        with self._lock:
            if (service, where) not in self._clients:
                with calling(self.environment, f"open {service}"):
                    self._clients[service, where] = self._botocore.create_client(
                        service,
                        region_name=where,
                        endpoint_url=self.environment.endpoint,
                        config=_config(service, self.environment, patient=self._patient),
                    )
            return self._clients[service, where]

    def credentials(self) -> ReadOnlyCredentials:
        """Current credentials, renewed if they are about to expire. Raises CredentialsError."""
        with calling(self.environment, "sign in"):
            found = self._botocore.get_credentials()
            if found is None:
                raise _no_credentials(self.environment)
            return found.get_frozen_credentials()

    def caller(self) -> Caller:
        """Who AWS says we are, asked anew."""
        with calling(self.environment, "ask who we are"):
            answer = self.client("sts").get_caller_identity()
        return Caller(answer["Account"], answer["Arn"])

    def _make_session(self) -> botocore.session.Session:
        environment = self.environment
        path = environment.credentials_file
        if path is not None and not Path(path).is_file():
            raise CredentialsError(
                f"environment {environment.name}: there is no credentials file {path}; "
                "correct 'credentials_file' in the configuration"
            )
        with calling(environment, "sign in"):
            session = botocore.session.Session(profile=environment.profile)
            if path is not None:
                session.set_config_variable("credentials_file", path)
            session.set_config_variable("region", environment.region)
            session.get_scoped_config()  # raises now if there is no such profile
            session.register_component("data_loader", _descriptions(session.get_config_variable("data_path")))
            if environment.role:
                _assume(session, environment, patient=self._patient)
        return session


def _assume(session: botocore.session.Session, environment: Environment, *, patient: bool) -> None:
    """Makes `session` act as the environment's role, on credentials that renew themselves."""
    base: Credentials | None = session.get_credentials()
    if base is None:
        raise _no_credentials(environment)

    def create_client(service: str, **settings: Any) -> Any:
        settings.setdefault("region_name", environment.region)
        settings.setdefault("config", _config(service, environment, patient=patient))
        return session.create_client(service, endpoint_url=environment.endpoint, **settings)

    asked = {"RoleSessionName": "downstage"}
    if environment.external_id is not None:
        asked["ExternalId"] = environment.external_id
    fetcher = AssumeRoleCredentialFetcher(create_client, base, environment.role or "", extra_args=asked)
    session._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]
        refresh_using=fetcher.fetch_credentials, method="assume-role"
    )


def _config(service: str, environment: Environment, *, patient: bool) -> Config:
    """Patient, for a hiccup must not end a long run; but whoever cannot even sign in is told within seconds."""
    signing_in = service == "sts"
    attempts, connect, read = (3, 2.0, 10.0) if signing_in else (6, 5.0, 60.0)
    if not patient:
        attempts, connect, read = 1, IMPATIENCE, IMPATIENCE
    s3 = {"addressing_style": "path"} if environment.endpoint else {}
    return Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=connect,
        read_timeout=read,
        max_pool_connections=32,
        user_agent_extra="downstage",
        **({"s3": s3} if service == "s3" else {}),  # type: ignore[arg-type]
    )


@contextmanager
def calling(environment: Environment, what: str) -> Iterator[None]:
    """Runs a block that calls AWS; `what` completes the sentence "could not …" if it fails."""
    where = f"environment {environment.name}: could not {what}"
    try:
        yield
    except DownstageError:
        raise
    except faults.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if code in _CREDENTIALS:
            raise CredentialsError(f"{where}: AWS does not accept the credentials ({code}); renew them") from None
        if code in _ABSENT:
            raise NotFound(f"{where}: it does not exist ({code}); check the name and the region", code) from None
        if code in _DENIED:
            raise AwsError(f"{where}: AWS denies it ({code}); allow it in the role's policy", code) from None
        raise AwsError(f"{where}: AWS answered {code}", code) from None
    except (faults.NoCredentialsError, faults.PartialCredentialsError):
        raise _no_credentials(environment) from None
    except faults.CredentialRetrievalError:
        raise CredentialsError(f"{where}: the configured credentials cannot be fetched; check the profile") from None
    except (faults.TokenRetrievalError, faults.SSOError):
        raise CredentialsError(f"{where}: the SSO session has ended; run 'aws sso login'") from None
    except (faults.EndpointConnectionError, faults.ConnectionError, faults.HTTPClientError):
        at = environment.endpoint or f"AWS in {environment.region}"
        raise Unreachable(f"{where}: {at} does not answer; check the endpoint and the network") from None
    except ResponseParserError:
        at = environment.endpoint or "what answers"
        raise Unreachable(f"{where}: {at} does not speak as AWS does; check the endpoint and the proxy") from None
    except faults.ProfileNotFound:
        named = f" '{environment.profile}'" if environment.profile else ", though AWS_PROFILE names one"
        raise CredentialsError(
            f"environment {environment.name}: there is no AWS profile{named}; "
            "add it to the credentials file, or change 'profile' in the configuration"
        ) from None
    except faults.ConfigParseError:
        raise CredentialsError(f"{where}: an AWS credentials or config file is malformed; correct it") from None
    except faults.ParamValidationError:
        raise ConfigError(f"{where}: a name or value in the configuration is not one that AWS accepts") from None
    except faults.BotoCoreError as error:
        raise AwsError(f"{where}: {type(error).__name__}", type(error).__name__) from None


def _no_credentials(environment: Environment) -> CredentialsError:
    return CredentialsError(
        f"environment {environment.name}: no AWS credentials found; set 'profile' in the configuration, "
        "or AWS_PROFILE or AWS_ACCESS_KEY_ID in the environment"
    )
