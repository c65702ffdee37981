"""The preflight's looks against a stand-in for AWS: IAM really simulates there, secrets and keys belong to accounts.

It enforces no policy: only "not found" stands for "not readable" here. Denials are in tests/unit/test_aws_looks.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from downstage.aws.bucket_keys import TargetKeys
from downstage.aws.bucket_size import objects_in
from downstage.aws.clock import seconds_ahead
from downstage.aws.key_probe import SecretProbe
from downstage.aws.permissions import SimulatedPermissions
from downstage.aws.quotas import table_quota
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.domain.refs import TargetBucket
from downstage.errors import AwsError
from downstage.ports import BucketKeys, KeyProbe, Permissions
from downstage.sandbox.supervisor import answers, free_port, health_url
from downstage.testing.look_contracts import (
    BUCKETS,
    GRANTS,
    BucketKeysContract,
    KeyProbeContract,
    PermissionsContract,
)

pytestmark = pytest.mark.integration

PROD, TEST = "111111111111", "222222222222"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Session]]:
    """Sessions of any account, through a role, at one server."""
    here = tmp_path_factory.mktemp("looks")
    credentials = here / "credentials"
    credentials.write_text("[here]\naws_access_key_id = 999999999999\naws_secret_access_key = none\n", encoding="utf-8")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(here), "HOME": str(here), "GATEWAY_PORT": str(port)}
    environment |= {"BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "LOG_LEVEL": "WARNING"}
    environment |= {"S3_DATA_DIR": str(here / "s3"), "STATE_DIR": str(here / "state")}
    command = [sys.executable, "-m", "downstage.sandbox.emulator"]
    with (here / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=here, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def session(account: str) -> Session:
        role = f"arn:aws:iam::{account}:role/downstage"
        return Session(
            Environment(
                "prod" if account == PROD else "test",
                account,
                "us-east-1",
                role=role,
                profile="here",
                credentials_file=str(credentials),
                endpoint=endpoint,
            )
        )

    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(health_url(endpoint)):
            assert server.poll() is None, (here / "log").read_text(encoding="utf-8")[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield session
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture(scope="module")
def granted(aws: Callable[[str], Session]) -> Permissions:
    session = aws(PROD)
    statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in GRANTS]
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    iam = session.client("iam")
    iam.create_role(RoleName="downstage", AssumeRolePolicyDocument=_policy([trust]))
    iam.put_role_policy(RoleName="downstage", PolicyName="reads-and-more", PolicyDocument=_policy(statements))
    return SimulatedPermissions(session)


def _policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class TestSimulatedPermissions(PermissionsContract):
    @pytest.fixture
    def permissions(self, granted: Permissions) -> Permissions:
        return granted


class TestSecretProbe(KeyProbeContract):
    @pytest.fixture
    def probe(self, aws: Callable[[str], Session]) -> KeyProbe:
        source = aws(PROD)
        try:
            source.client("secretsmanager").create_secret(Name="downstage/mask-key", SecretString="0" * 64)
            source.client("ssm").put_parameter(Name="/downstage/mask-key", Value="0" * 64, Type="SecureString")
        except source.client("secretsmanager").exceptions.ResourceExistsException:
            pass
        return SecretProbe(source, aws(TEST))

    @pytest.fixture
    def share(self, aws: Callable[[str], Session]) -> Iterator[Callable[[str], None]]:
        target = aws(TEST)

        def make(reference: str) -> None:
            kind, _, name = reference.partition(":")
            if kind == "ssm":
                target.client("ssm").put_parameter(Name=name, Value="1" * 64, Type="SecureString")
            else:
                target.client("secretsmanager").create_secret(Name=name, SecretString="1" * 64)

        yield make
        target.client("ssm").delete_parameter(Name="/downstage/mask-key")
        target.client("secretsmanager").delete_secret(SecretId="downstage/mask-key", ForceDeleteWithoutRecovery=True)


@pytest.fixture(scope="module")
def encrypted(aws: Callable[[str], Session]) -> BucketKeys:
    target = aws(TEST)
    s3 = target.client("s3")
    key = target.client("kms").create_key()["KeyMetadata"]["Arn"]
    for name in BUCKETS:
        s3.create_bucket(Bucket=name)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=BUCKETS[1], ServerSideEncryptionConfiguration={"Rules": [rule]})
    return TargetKeys(target)


class TestTargetKeys(BucketKeysContract):
    @pytest.fixture
    def keys(self, encrypted: BucketKeys) -> BucketKeys:
        return encrypted


def test_a_disabled_key_is_of_no_use(aws: Callable[[str], Session]) -> None:
    kms = aws(TEST).client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    assert TargetKeys(aws(TEST)).use(key) == "unusable"


def test_this_machines_clock_is_that_of_a_server_on_it(aws: Callable[[str], Session]) -> None:
    assert seconds_ahead(aws(TEST)) == 0.0
    assert seconds_ahead(aws(TEST), lambda: time.time() + 1000) > 990


def test_a_bucket_that_cloudwatch_does_not_know_has_no_size(aws: Callable[[str], Session]) -> None:
    assert objects_in(aws(TEST), "never-measured") is None


def test_an_account_says_what_a_table_may_take(aws: Callable[[str], Session]) -> None:
    assert (table_quota(aws(TEST)).write or 0) >= 40_000


def test_a_bucket_that_is_not_there_is_an_error(aws: Callable[[str], Session]) -> None:
    with pytest.raises(AwsError):
        TargetKeys(aws(TEST)).default(TargetBucket(TEST, "never-made"))
