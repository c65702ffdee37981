"""A configuration that uses everything, and how a test makes a project of it."""

from __future__ import annotations

import io
from pathlib import Path

from ruamel.yaml import YAML

from downstage.app.runs import Project

EVERYTHING = """\
version: 1
journal: dynamodb
environments:
  prod:
    account: "111111111111"
    region: us-east-1
    role: arn:aws:iam::111111111111:role/downstage-read
    external_id: acme-7f3a
    protected: true
  mig: {account: "333333333333", region: us-east-1, protected: true}
  test:
    account: "222222222222"
    region: us-east-1
    role: arn:aws:iam::222222222222:role/refresh/downstage-write
    refresh:
      from: prod
      flags:
        - dynamodb: {table: app-deploy-test, key: {pk: {S: a}, sk: {S: a}}, set: {current: {S: alpha}}}
        - ssm: {name: /app/test/table, value: alpha}
      wipe: {tables: ["app-test-*", "old-[ab]"], domains: ["search-test-*"], regions: [us-east-1, us-west-1]}
      deploy: {clone: {}}
      streams: {functions: ["streams_test_*", indexer], regions: [us-east-1, us-west-1]}
      tables:
        - {from: app-prod, to: app-test-alpha}
        - {from: users-prod, to: app-test-users, live: true}
      parity: {kms: {"arn:aws:kms:us-east-1:111111111111:key/1111": alias/app-test}}
      export: {bucket: exports-prod, prefix: raw}
      buckets:
        - {from: docs-prod, to: docs-test, delete: true, from_prefix: "cases/", acl: private, kms_key: alias/docs-test}
        - {from: media-prod, to: media-test, inventory: {bucket: inventories-prod, prefix: media-prod/all}}
      search: {from: search-prod, domain: search-test-alpha, expect: {app-case: "entityName.S == 'Case'"}}
      schedule:
        via: eventbridge
        day: 1
        hour: 5
        target: arn:aws:states:us-east-1:222222222222:stateMachine:refresh
        role: arn:aws:iam::222222222222:role/start-refresh
masking: {key: "secretsmanager:downstage/mask-key", old_keys: ["ssm:/downstage/old-key"]}
engine: {glue: {job: downstage-copy, role: "arn:aws:iam::111111111111:role/downstage-glue", bucket: artifacts-prod}}
launcher: {role: "arn:aws:iam::111111111111:role/downstage-launch", trust: [ecs-tasks.amazonaws.com]}
"""


def project(directory: Path, text: str, *, without: str = "") -> Project:
    """The project of a configuration, without one stanza of the refresh."""
    if without:
        loaded = YAML(typ="safe").load(text)
        del loaded["environments"]["test"]["refresh"][without]
        out = io.StringIO()
        YAML().dump(loaded, out)
        text = out.getvalue()
    path = directory / "downstage.yaml"
    path.write_text(text, encoding="utf-8")
    return Project.open(path)
