"""What every implementation of the preflight's ports must do, the fakes too. Give each class its fixtures."""

from __future__ import annotations

from collections.abc import Callable

from downstage.domain.refs import TargetBucket
from downstage.ports import BucketKeys, KeyProbe, Permissions

TABLE = "arn:aws:dynamodb:us-east-1:111111111111:table/app-prod"
OTHER = "arn:aws:dynamodb:us-east-1:111111111111:table/users-prod"
OBJECTS = "arn:aws:s3:::documents-prod/*"
GRANTS = (("dynamodb:PutItem", TABLE), ("s3:*", "arn:aws:s3:::documents-prod*"), ("dynamodb:Scan", "*"))
"""What the role of `permissions` may do."""

BUCKETS = ("plain-test", "keyed-test")
"""Buckets of the target: the first without a key of KMS, the second with one that can be used."""


class PermissionsContract:
    """Give a fixture `permissions`, of a role with `GRANTS` and nothing else."""

    def test_what_is_granted_is_named_in_the_order_asked(self, permissions: Permissions) -> None:
        asked = ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Scan"]
        assert permissions.allowed(asked, TABLE) == ["dynamodb:PutItem", "dynamodb:Scan"]

    def test_a_grant_reaches_no_other_resource(self, permissions: Permissions) -> None:
        assert permissions.allowed(["dynamodb:PutItem"], OTHER) == []

    def test_wildcards_of_a_policy_count(self, permissions: Permissions) -> None:
        assert permissions.allowed(["s3:PutObject", "s3:DeleteObject"], OBJECTS) == ["s3:PutObject", "s3:DeleteObject"]


class KeyProbeContract:
    """Give a fixture `probe`, and `share(reference)` which makes a secret readable for the target's role."""

    def test_what_the_target_cannot_find_or_read_is_not_readable(self, probe: KeyProbe) -> None:
        assert not probe.readable("secretsmanager:downstage/mask-key")
        assert not probe.readable("ssm:/downstage/mask-key")

    def test_what_it_can_read_is(self, probe: KeyProbe, share: Callable[[str], None]) -> None:
        for reference in ("secretsmanager:downstage/mask-key", "ssm:/downstage/mask-key"):
            share(reference)
            assert probe.readable(reference)

    def test_what_is_not_kept_in_aws_is_not_readable_there(self, probe: KeyProbe) -> None:
        assert not probe.readable("env:MASK_KEY")
        assert not probe.readable("file:/nowhere/mask.key")


class BucketKeysContract:
    """Give a fixture `keys` over `BUCKETS`."""

    def test_the_default_key_is_the_buckets_setting(self, keys: BucketKeys) -> None:
        plain, keyed = (keys.default(TargetBucket("222222222222", name)) for name in BUCKETS)
        assert plain is None
        assert keyed is not None
        assert keys.use(keyed) == "usable"

    def test_a_key_that_is_not_there_is_of_no_use(self, keys: BucketKeys) -> None:
        key = "arn:aws:kms:us-east-1:222222222222:key/00000000-0000-0000-0000-000000000000"
        assert keys.use(key) == "unusable"
