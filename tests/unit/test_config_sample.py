"""The configuration that the other tests of `config` and `planning` start from: everything that may be said, said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from downstage.config.load import LoadedConfig, load
from downstage.errors import ConfigError, GuardRefused

SAMPLE = """\
version: 1
state: state
environments:
  prod:
    account: "111111111111"
    region: us-east-1
    role: arn:aws:iam::111111111111:role/downstage-read
    profile: sandbox
    credentials_file: aws/credentials
    endpoint: http://127.0.0.1:4566
    search_endpoints: {efcms-search-prod-alpha: "http://127.0.0.1:9200"}
    protected: true
  test:
    account: "222222222222"
    region: us-east-1
    role: arn:aws:iam::222222222222:role/downstage-write
    refresh:
      from: prod
      flags:
        - dynamodb: {table: efcms-deploy-test, key: {pk: {S: a}, sk: {S: a}}, set: {current: {S: alpha}}}
        - ssm: {name: /app/test/destination-table-version, value: alpha}
      wipe: {tables: ["efcms-test-alpha", "efcms-test-*"], domains: ["efcms-search-test-alpha"]}
      deploy: {clone: {}}
      streams: {functions: ["streams_test_*"], regions: [us-east-1, us-west-1]}
      tables: [{from: efcms-prod-alpha, to: efcms-test-alpha}]
      buckets: [{from: efcms-documents-prod, to: efcms-documents-test, delete: true}]
      search:
        from: efcms-search-prod-alpha
        domain: efcms-search-test-alpha
        id: "{pk}_{sk}"
        patience: 15m
        expect: {efcms-case: "entityName.S == 'Case'"}
masking: {key: "file:mask.key", sink: "u-{token}@{env}.example.com", keep: {domains: [], addresses: []}}
engine: {default: local, workers: 2}
"""


def changed(old: str, new: str) -> str:
    """The sample with one text replaced, which must be there."""
    assert old in SAMPLE
    return SAMPLE.replace(old, new, 1)


def read(
    directory: Path, text: str, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> LoadedConfig:
    """Write the text as `downstage.yaml` and load it."""
    path = directory / "downstage.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ=environ or {}, overrides=overrides or {})


def refusal(
    directory: Path, text: str, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> str:
    """The message with which the text is refused, the directory cut off."""
    with pytest.raises((ConfigError, GuardRefused)) as caught:
        read(directory, text, environ, overrides)
    return str(caught.value).replace(f"{directory}/", "")


def test_the_sample_loads_with_everything_it_says(tmp_path: Path) -> None:
    loaded = read(tmp_path, SAMPLE)
    refresh = loaded.config.environments["test"].refresh
    assert refresh is not None
    assert refresh.source == "prod"
    assert refresh.deploy is not None
    assert refresh.deploy.kind == "clone"
    assert refresh.search is not None
    assert refresh.search.patience == 900.0
    assert refresh.flags[0].dynamodb is not None
    assert refresh.flags[0].dynamodb.set == {"current": {"S": "alpha"}}
    assert refresh.buckets[0].delete
    assert loaded.base == tmp_path
    assert loaded.state == tmp_path / "state"
