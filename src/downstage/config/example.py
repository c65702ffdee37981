"""The `downstage.yaml` that `downstage init` writes: commented, for real AWS accounts, with obvious
placeholders.

It loads as it is, so `downstage check` can lead through the rest; with the placeholder account ids the
identity guard refuses every write.
"""

from __future__ import annotations

_TEMPLATE = """\
# The configuration of Downstage. Relative paths start at this file. ${NAME} stands for an environment
# variable. Any single value can be overridden: DOWNSTAGE__ENGINE__WORKERS=4 sets engine.workers.
version: 1
state: .downstage                       # journals and reports; keep it out of version control

environments:
  prod:
    account: "111111111111"             # REPLACE. In quotes: YAML drops leading zeros
    region: us-east-1
    role: arn:aws:iam::111111111111:role/downstage-read       # REPLACE. May only read
    protected: true                     # nothing is ever written to this account

  test:
    account: "222222222222"             # REPLACE
    region: us-east-1
    role: arn:aws:iam::222222222222:role/downstage-write      # REPLACE
    refresh:
      from: prod

      # Flags are set first and read back. Values are typed DynamoDB JSON. Flags tables are never wiped.
      # flags:
      #   - dynamodb:
      #       table: app-deploy-test
      #       key: {pk: {S: migrate}, sk: {S: migrate}}
      #       set: {current: {BOOL: false}}
      #   - ssm: {name: /app/test/destination-table-version, value: alpha}

      # What is deleted before the copy: names, or patterns with three plain characters in front.
      wipe:
        tables: ["app-test-alpha"]      # REPLACE
        # domains: ["app-search-test-alpha"]
        # regions: [us-east-1, us-west-1]      # Default: this environment's. Replicas must lie in these.

      # Who makes the tables anew. clone: from the source tables' schemas; or your own deployment (docs/automation.md):
      # deploy: {circleci: {project: github/acme/app, branch: test, rerun: build-and-deploy}}
      deploy: {clone: {}}

      # The Lambda functions that read the target tables' streams: held off while the tables load.
      # streams: {functions: ["streams_test_*"], regions: [us-east-1]}

      tables:
        - {from: app-prod-alpha, to: app-test-alpha}          # REPLACE

      # Read exports to S3 (a point in time, no load) instead of the live tables; deleted once verified. The bucket is
      # production's, the tables need point-in-time recovery.
      # export: {bucket: app-exports-prod, prefix: downstage}

      # When the refresh starts by itself, in UTC; 'downstage schedule apply' brings CircleCI to it.
      # schedule: {via: circleci, project: github/acme/app, branch: test, day: 1, hour: 5}

      # Capacity units a second that the copy may use of each table; auto gives way when a table throttles.
      # rates: {read: 500, write: auto, verify: 500}

      # How many items of a table may be left out, because they cannot be masked or the target refuses them, before the
      # run stops: a number, or a percentage of the table's items.
      # max_quarantine: 100

      # delete: true removes objects that the source does not have.
      # buckets:
      #   - {from: app-documents-prod, to: app-documents-test, delete: true}

      # The search domain that fills from the streams, and which items must have a document there
      # (a JMESPath condition over the typed item).
      # search:
      #   domain: app-search-test-alpha
      #   id: "{pk}_{sk}"
      #   patience: 15m
      #   expect: {app-case: "entityName.S == 'Case'"}
      #   backfill: {call: "acme_search:document"}   # documents from the tables, if loading outlasts the streams' 24 h

masking:
  # Where the secret key is kept, never the key: env:NAME, file:PATH, secretsmanager:ID or ssm:NAME.
  key: secretsmanager:downstage/mask-key
  # The address of every pseudonym. {token} differs from person to person, {env} is the environment.
  sink: "u-{token}@{env}.example.com"
  # What is replaced beside addresses: names, phones, keys (docs/masking-policy.md). 'downstage discover ENV' writes a
  # draft, and masking.lock beside it: the paths and types it saw. A new one then stops the copy of its item.
  # policy: masking.yaml
  # After a change of the key: the former ones, so that their pseudonyms are recognised.
  # old_keys: [secretsmanager:downstage/old-mask-key]
  keep:                                 # the only addresses that are not replaced; or write them in the policy
    domains: []
    addresses: []

# The role that Downstage is started with; exports are then its business alone. 'downstage iam ENV' prints what each
# role must be allowed.
# launcher: {role: "arn:aws:iam::111111111111:role/downstage-launch"}

# local: processes on this machine; serial: one worker; spark: a cluster; glue: an AWS Glue job ('downstage glue').
engine: {default: local, workers: 2}
"""


def template() -> str:
    """The text of a first `downstage.yaml`."""
    return _TEMPLATE
