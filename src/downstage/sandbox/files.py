"""The files a sandbox hands to its user: the config, the credentials and the masking key.

Why: the config is also the example that people read first, so its comments matter as much as its values.
Rules: paths in the config are relative to it; secrets are 0600; the masking key is made once and then kept, so that
the pseudonyms of one sandbox stay the same over its lives.
"""

from __future__ import annotations

import secrets

from downstage.sandbox.layout import LAUNCHER_ACCOUNT, SandboxPaths
from downstage.sandbox.state import write_whole

CONFIG = """\
# A sandbox: production and test, two AWS accounts on this machine. Try, from this directory:
#
#     downstage check test && downstage refresh test
#
# Written by `downstage sandbox up`; the next `up` writes it anew. Paths are relative to this file.

version: 1
state: state                # journals and reports are kept here
journal: sqlite

environments:
  prod:
    account: "111111111111"
    region: us-east-1
    role: arn:aws:iam::111111111111:role/downstage-read
    profile: sandbox                      # whose credentials assume the role
    credentials_file: aws/credentials
    endpoint: {endpoint}      # only a sandbox needs endpoints
    search_endpoints: {{efcms-search-prod-alpha: "{prod_search}"}}
    protected: true                       # nothing in this account is ever written or deleted

  test:
    account: "222222222222"
    region: us-east-1
    role: arn:aws:iam::222222222222:role/downstage-write
    profile: sandbox
    credentials_file: aws/credentials
    endpoint: {endpoint}
    search_endpoints: {{efcms-search-test-alpha: "{test_search}"}}

    refresh:
      from: prod

      # What the application reads to find its tables: set first, read back and compared. Keys and values are typed
      # DynamoDB JSON.
      flags:
        - dynamodb:
            table: efcms-deploy-test
            key: {{pk: {{S: source-table-version}}, sk: {{S: source-table-version}}}}
            set: {{current: {{S: alpha}}}}
        - dynamodb:
            table: efcms-deploy-test
            key: {{pk: {{S: destination-table-version}}, sk: {{S: destination-table-version}}}}
            set: {{current: {{S: alpha}}}}
        - dynamodb:
            table: efcms-deploy-test
            key: {{pk: {{S: migrate}}, sk: {{S: migrate}}}}
            set: {{current: {{BOOL: false}}}}
        - ssm: {{name: /app/test/destination-table-version, value: alpha}}

      # What is emptied before anything is copied.
      wipe:
        tables: ["efcms-test-alpha", "efcms-test-beta", "efcms-test-users"]
        domains: ["efcms-search-test-alpha"]

      # What makes empty tables again: here a copy of production's schema; elsewhere your own deployment.
      deploy: {{clone: {{}}}}

      # The stream consumers that are held off while the tables load.
      streams: {{functions: ["streams_test_*"], regions: [us-east-1]}}

      tables:
        - {{from: efcms-prod-alpha, to: efcms-test-alpha}}
        - {{from: efcms-prod-users, to: efcms-test-users}}

      buckets:
        - {{from: efcms-documents-prod, to: efcms-documents-test, delete: true, max_delete: "50%"}}

      # What search must hold when the consumers have caught up. `expect` is JMESPath over the typed item.
      search:
        from: efcms-search-prod-alpha
        domain: efcms-search-test-alpha
        id: "{{pk}}_{{sk}}"
        expect:
          efcms-case: "entityName.S == 'Case'"
          efcms-docket-entry: "entityName.S == 'DocketEntry'"
          efcms-user: "entityName.S == 'User'"
          efcms-message: "entityName.S == 'Message'"
          efcms-work-item: "entityName.S == 'WorkItem'"

masking:
  key: "file:mask.key"                    # a secret in real life: secretsmanager:NAME
  sink: "u-{{token}}@test.example.com"      # what every e-mail address becomes

engine: {{default: local, workers: 2}}
"""


def write_config(paths: SandboxPaths, endpoint: str, prod_search: str, test_search: str) -> None:
    """downstage.yaml for servers at these URLs."""
    write_whole(paths.config, CONFIG.format(endpoint=endpoint, prod_search=prod_search, test_search=test_search))


def write_secrets(paths: SandboxPaths) -> None:
    """aws/credentials (the launcher's; the emulator checks no signature) and mask.key (kept if it is there)."""
    # The emulator takes a 12-digit access key for the account, and any role may be assumed from any account.
    credentials = f"[sandbox]\naws_access_key_id = {LAUNCHER_ACCOUNT}\naws_secret_access_key = sandbox-only\n"
    write_whole(paths.credentials, credentials, mode=0o600)
    if not paths.mask_key.exists():
        write_whole(paths.mask_key, secrets.token_hex(32), mode=0o600)
