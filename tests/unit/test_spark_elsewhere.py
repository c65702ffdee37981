"""Who is signed in here is nobody on another machine: a cluster of Spark does not read exports as the launcher."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstage.app import looks
from downstage.app.runs import Project
from downstage.app.wiring import engine_for, spark_settings
from downstage.errors import ConfigError

CONFIG = """\
version: 1
journal: dynamodb
launcher: {{exports: {exports}, {arn}}}
environments:
  prod: {{account: "111111111111", region: us-east-1, {who}protected: true}}
  test:
    account: "222222222222"
    region: us-east-1
    role: arn:aws:iam::222222222222:role/write
    refresh:
      from: prod
      tables: [{{from: app-prod, to: app-test{export}}}]
masking: {{key: "ssm:key"}}
engine: {{default: spark, spark: {{master: "{master}"}}}}
"""
ROLE = 'role: "arn:aws:iam::111111111111:role/read", '
LAUNCHER = 'role: "arn:aws:iam::111111111111:role/launch"'
EXPORT = ", export: {bucket: exports, prefix: daily}"


def project(
    folder: Path,
    *,
    exports: str = "true",
    who: str = ROLE,
    export: str = EXPORT,
    master: str = "spark://host:7077",
) -> Project:
    path = folder / "downstage.yaml"
    path.write_text(CONFIG.format(exports=exports, arn=LAUNCHER, who=who, export=export, master=master))
    return Project.open(path)


def test_exports_are_not_read_as_whoever_an_executor_happens_to_be(tmp_path: Path) -> None:
    refused = project(tmp_path)
    said = (
        r"^exports are read as the launcher, which a worker of spark://host:7077 is not: set 'launcher: "
        r"\{exports: false\}', name a profile for prod that every machine has, or copy with --engine local$"
    )
    plan = refused.plan("test")
    with pytest.raises(ConfigError, match=said):
        engine_for(plan)  # before anything is entered
    assert [str(one) for one in looks.engine_problems(refused, plan) if "launcher" in str(one)], "a check finds it too"


def test_where_the_launcher_is_known_or_not_needed_they_are(tmp_path: Path) -> None:
    for allowed in (
        project(tmp_path, exports="false"),
        project(tmp_path, who=f"{ROLE}profile: production, "),
        project(tmp_path, export=""),
        project(tmp_path, master="local[2]"),
    ):
        spark_settings(allowed.plan("test"))
