"""The names of everything in the sandbox: accounts, tables, buckets, domains and the files of its directory.

Why: the config, the generator and the seeders must agree on every name, and a reader should find them in one place.
Rules: constants and paths only; nothing is created here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROD_ACCOUNT = "111111111111"
TEST_ACCOUNT = "222222222222"
LAUNCHER_ACCOUNT = "999999999999"
REGION = "us-east-1"

READ_ROLE = "downstage-read"
WRITE_ROLE = "downstage-write"

PROD_TABLE = "efcms-prod-alpha"
PROD_USERS_TABLE = "efcms-prod-users"
TEST_TABLE = "efcms-test-alpha"
TEST_BETA_TABLE = "efcms-test-beta"
TEST_USERS_TABLE = "efcms-test-users"
DEPLOY_TABLE = "efcms-deploy-test"
OTHER_TABLE = "efcms-other-test"

PROD_BUCKET = "efcms-documents-prod"
TEST_BUCKET = "efcms-documents-test"

PROD_DOMAIN = "efcms-search-prod-alpha"
TEST_DOMAIN = "efcms-search-test-alpha"
DOMAINS = (PROD_DOMAIN, TEST_DOMAIN)

INDEXER_FUNCTION = "streams_test_indexer"
FLAG_PARAMETER = "/app/test/destination-table-version"
TTL_ATTRIBUTE = "ttl"

INDEX_OF_ENTITY = {
    "Case": "efcms-case",
    "DocketEntry": "efcms-docket-entry",
    "User": "efcms-user",
    "Message": "efcms-message",
    "WorkItem": "efcms-work-item",
}
"""Which search index holds an entity; an entity that is not named here is not indexed."""


@dataclass(frozen=True)
class SandboxPaths:
    """Every file of one sandbox directory. `root` is absolute."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "sandbox.lock"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def scratch(self) -> Path:
        """Working directory and TMPDIR of the servers."""
        return self.root / "scratch"

    @property
    def truth(self) -> Path:
        return self.root / "truth.json"

    @property
    def config(self) -> Path:
        return self.root / "downstage.yaml"

    @property
    def credentials(self) -> Path:
        return self.root / "aws" / "credentials"

    @property
    def mask_key(self) -> Path:
        return self.root / "mask.key"


def paths_of(directory: Path) -> SandboxPaths:
    """The paths of a sandbox in `directory`, which need not exist yet."""
    return SandboxPaths(directory.expanduser().resolve())
