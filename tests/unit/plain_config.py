"""The least that a configuration says: production and one environment, with the journal in a file."""

from __future__ import annotations

CONFIG = """
version: 1
state: state
journal: sqlite
environments:
  prod: {account: "111111111111", region: us-east-1, protected: true}
  test: {account: "222222222222", region: us-east-1, refresh: {from: prod}}
masking: {key: "env:KEY"}
"""
