"""The preflight's ports: the fakes keep the contract that the adapters keep in tests/integration."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from downstage.ports import BucketKeys, KeyProbe, Permissions
from downstage.testing.look_contracts import (
    BUCKETS,
    GRANTS,
    BucketKeysContract,
    KeyProbeContract,
    PermissionsContract,
)
from downstage.testing.surroundings import MemoryBucketKeys, MemoryPermissions, MemorySecrets


class TestMemoryPermissions(PermissionsContract):
    @pytest.fixture
    def permissions(self) -> Permissions:
        return MemoryPermissions(*GRANTS)


class TestMemorySecrets(KeyProbeContract):
    @pytest.fixture
    def secrets(self) -> MemorySecrets:
        return MemorySecrets()

    @pytest.fixture
    def probe(self, secrets: MemorySecrets) -> KeyProbe:
        return secrets

    @pytest.fixture
    def share(self, secrets: MemorySecrets) -> Callable[[str], None]:
        return secrets.readable_ones.add


class TestMemoryBucketKeys(BucketKeysContract):
    @pytest.fixture
    def keys(self) -> BucketKeys:
        return MemoryBucketKeys({BUCKETS[1]: "alias/documents"}, {"alias/documents": "usable"})
