"""boto3 clients for the sandbox's accounts.

Why: seeding is done as each account itself, before any role exists.
Rules: the emulator takes a 12-digit access key id for the account; the ambient AWS settings and proxies of the user
are never looked at, so that no call can leave this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from downstage.errors import SandboxError
from downstage.sandbox.layout import REGION
from downstage.sandbox.processes import is_loopback

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_opensearch import OpenSearchServiceClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient


class Account:
    """One account of the sandbox at `endpoint` (which must be on loopback, else SandboxError)."""

    def __init__(self, endpoint: str, account: str) -> None:
        import boto3
        from botocore.config import Config

        if not is_loopback(endpoint.removeprefix("http://").rpartition(":")[0]):
            raise SandboxError(f"{endpoint} is not on this machine: a sandbox is seeded on loopback only")
        self._endpoint = endpoint
        self._config: Config = Config(proxies={}, max_pool_connections=16, retries={"total_max_attempts": 5})
        self._session: boto3.Session = boto3.Session(
            aws_access_key_id=account,
            aws_secret_access_key="sandbox-only",  # noqa: S106 - no signature is checked
            region_name=REGION,
        )

    def dynamodb(self) -> DynamoDBClient:
        return self._session.client("dynamodb", endpoint_url=self._endpoint, config=self._config)

    def s3(self) -> S3Client:
        return self._session.client("s3", endpoint_url=self._endpoint, config=self._config)

    def iam(self) -> Any:
        """Untyped: the stubs in use leave IAM out."""
        return self._session.client("iam", endpoint_url=self._endpoint, config=self._config)

    def functions(self) -> LambdaClient:
        return self._session.client("lambda", endpoint_url=self._endpoint, config=self._config)

    def opensearch(self) -> OpenSearchServiceClient:
        return self._session.client("opensearch", endpoint_url=self._endpoint, config=self._config)

    def ssm(self) -> SSMClient:
        return self._session.client("ssm", endpoint_url=self._endpoint, config=self._config)
