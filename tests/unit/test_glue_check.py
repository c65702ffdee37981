"""What lanes on other machines do not have is found by `check` and refused before a run; the job's files are compared.

Keys of this machine, its journal, functions of the user's own. What the words advise is a command that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from downstage.app import glue as parts
from downstage.app import glue_bundle, looks
from downstage.app.glue_deploy import deploy, refuse_unless_ready
from downstage.app.runs import Project
from downstage.app.wiring import spark_settings
from downstage.aws.glue import GlueJob
from downstage.aws.parcels import BucketParcels
from downstage.aws.session import Session
from downstage.cli.main import app
from downstage.domain.environment import Environment
from downstage.domain.glue import GluePlan
from downstage.domain.plan import EnginePlan
from downstage.engines.parcel import Work, pack, result_key, unpack_result
from downstage.errors import ConfigError, DownstageError, GuardRefused, RunConflict, UsageError
from downstage.jobs.glue_main import Task, carry_out
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Lane, RunRecord
from tests.glue_server.server import ACCOUNT, FakeGlue, serving

KEY = "5f" * 4 + "0123456789abcdef" * 4
CONFIG = """\
version: 1
journal: {journal}
environments:
  prod: {{account: "111111111111", region: us-east-1, role: "arn:aws:iam::111111111111:role/read", protected: true}}
  test:
    account: "222222222222"
    region: us-east-1
    role: arn:aws:iam::222222222222:role/write
    refresh:
      from: prod
      tables: [{{from: app-prod, to: app-test}}]
{more}masking: {{key: "{key}", old_keys: [{old}]}}
engine: {engine}
"""
GLUE = '{default: glue, glue: {job: copy, role: "arn:aws:iam::111111111111:role/downstage-glue", bucket: files}}'
CLUSTER = "{default: spark, spark: {master: 'spark://host:7077'}}"
SEARCH = """\
      search:
        domain: search-test
        backfill: {call: "acme_search:document"}
        expect: {cases: "entityName.S == 'Case'"}
"""
POLICY = 'version: 1\ntables: {app-prod: {fields: {story: {hook: {call: "acme.masks:narrative"}}}}}\n'


def project(
    folder: Path, engine: str = GLUE, key: str = "ssm:key", old: str = "", more: str = "", journal: str = "dynamodb"
) -> Project:
    path = folder / "downstage.yaml"
    path.write_text(CONFIG.format(engine=engine, key=key, old=old, more=more, journal=journal))
    return Project.open(path)


def said(refused: Callable[[], object], kind: type[DownstageError] = ConfigError) -> str:
    with pytest.raises(kind) as caught:
        refused()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- functions of the user's own


def test_a_policy_that_calls_a_function_of_ones_own_does_not_go_to_glue(tmp_path: Path) -> None:
    parts.check(project(tmp_path).plan("test"))
    (tmp_path / "masking.yaml").write_text(POLICY)
    path = tmp_path / "downstage.yaml"
    path.write_text(path.read_text().replace("old_keys: []", "policy: masking.yaml"))
    told = said(lambda: parts.check(Project.open(path).plan("test")))
    assert "masking.yaml:2" in told
    assert "calls your own function acme.masks:narrative, which a Glue worker does not have: use --engine local" in told


def test_a_backfill_by_a_function_of_ones_own_does_not_go_to_glue(tmp_path: Path) -> None:
    told = said(lambda: parts.check(project(tmp_path, more=SEARCH).plan("test")))
    assert told.startswith("search.backfill calls your own function acme_search:document, which a Glue worker does not")
    named = SEARCH.replace('call: "acme_search:document"', "attributes: [name]")
    parts.check(project(tmp_path, more=named).plan("test"))


# ---- keys and journal of this machine


@pytest.mark.parametrize("kind", ["env", "file"])
def test_keys_of_this_machine_are_refused_by_their_own_names(tmp_path: Path, kind: str) -> None:
    for key, old, name in ((f"{kind}:K", "", "masking.key"), ("ssm:key", f'"ssm:a", "{kind}:K"', "masking.old_keys")):
        glue = project(tmp_path, GLUE, key, old).plan("test")
        told = said(lambda glue=glue: parts.check(glue))  # type: ignore[misc]
        assert told.startswith(f"{name} is {kind}:…, which a Glue worker does not have")
        spark = project(tmp_path, CLUSTER, key, old).plan("test")
        told = said(lambda spark=spark: spark_settings(spark))  # type: ignore[misc]
        assert told.startswith(f"{name} is {kind}:…, which a worker of spark://host:7077 does not have")
        spark_settings(replace(spark, engine=EnginePlan("spark")))


def test_a_check_finds_what_a_refresh_with_spark_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x", "K": KEY}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(looks, "find_problems", lambda *_, **__: [])
    spark = project(tmp_path, CLUSTER, "env:K", journal="sqlite")
    found = looks.problems(spark, "test", lambda _text: None)
    assert [str(one).partition(":")[0] for one in found] == [
        "lanes of the engine spark may be on other machines, which cannot write the SQLite journal of this one",
        "masking.key is env",
    ]
    told = said(lambda: spark.enqueue("test", []), UsageError)
    assert told == str(found[0]), "the refresh says it in the same words"
    assert (
        looks.problems(project(tmp_path, "{default: local}", "env:K", journal="sqlite"), "test", lambda _: None) == []
    )


# ---- the job's files


@pytest.fixture
def glue(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGlue]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with serving() as fake:
        yield fake


def test_packages_that_were_changed_in_their_place_are_found_without_reading_them(glue: FakeGlue) -> None:
    place = Environment("glue", ACCOUNT, "us-east-1", endpoint=glue.endpoint)
    session = Session(place)
    jobs, parcels = GlueJob(session, session, "copy"), BucketParcels(session, "files")
    job = GluePlan("copy", f"arn:aws:iam::{ACCOUNT}:role/g", "files", "us-east-1")

    def bring(*, force: bool = False) -> list[str]:
        return list(deploy(jobs, parcels, job, ("downstage-1-py3-none-any.whl", b"w"), dict, force=force))

    bring()
    refuse_unless_ready(jobs, parcels, job)
    (bundle,) = (key for key in glue.objects if "/packages/" in key)
    good = glue.objects[bundle]
    glue.objects[bundle] = bytes([*good[:-1], good[-1] ^ 1])
    for summed in ({*glue.summed}, {*glue.summed} - {bundle}):  # S3 has another SHA-256, or none
        glue.summed = summed
        told = said(lambda: refuse_unless_ready(jobs, parcels, job))
        assert told.startswith("the bundle of Glue job copy was changed by hand: ")
        assert told.endswith("overwrite it with 'downstage glue deploy ENV --force'")
    assert "--force (nothing was written)" in said(bring, GuardRefused)
    bring(force=True)
    assert glue.objects[bundle] == good
    refuse_unless_ready(jobs, parcels, job)
    glue.jobs["copy"]["Timeout"] = 1
    told = said(lambda: refuse_unless_ready(jobs, parcels, job))
    assert "(Timeout): 'downstage glue deploy ENV' tells how it differs; put it back, or overwrite it with --fo" in told
    glue.at_once = 0
    assert "'downstage glue stop ENV'" in said(lambda: jobs.start({}), RunConflict)


@pytest.mark.parametrize("running", [(3, 12), (3, 13)])
def test_pip_on_another_python_than_the_jobs_is_not_asked(running: tuple[int, int]) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    told = said(lambda: glue_bundle.dependencies(never, running))  # type: ignore[arg-type]
    assert told.startswith(f"this is Python 3.{running[1]}, on which pip may leave out what Glue's 3.11 needs")


# ---- the job and its progress


class Kept(dict[str, bytes]):
    """Parcels in memory."""

    def put(self, key: str, content: bytes) -> None:
        self[key] = content

    def claim(self, key: str, content: bytes) -> bool:
        return self.setdefault(key, content) is content


def test_each_lane_is_told_of_as_it_ends() -> None:
    """None is kept back until another ends."""
    sealer, parcels = KeySealer(MaskKey(KEY.encode())), Kept()
    lanes = tuple(Lane("copy/t", (segment,)) for segment in range(4))
    parcels["a.parcel"] = pack(sealer, "a.parcel", Work(print, lanes, 2))
    result = result_key("a.parcel")
    told: list[int] = []

    class Looking:
        def run(self, _work: object, given: Sequence[Lane]) -> Iterator[Lane]:
            for lane in given:
                yield lane
                told.append(len(unpack_result(sealer, result, parcels[result]).ended) if result in parcels else 0)

        def stop(self) -> None:
            """Never asked to."""

    here = Environment("prod", ACCOUNT, "us-east-1")
    carry_out(Task("b", "a.parcel", "ssm:k", here, here, ""), parcels, sealer, lambda _at_once: Looking())
    assert told == [1, 2, 3, 4]


def test_glue_status_gives_machines_the_runs_own_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = project(tmp_path, journal="sqlite")
    masking = {"sink": "u-{token}@example.com", "algorithm": "a", "key_check": "0"}
    settings = {"steps": [], "source": "prod", "source_account": "1", "target_account": "2", "masking": masking,
                "buckets": []}  # fmt: skip
    record = RunRecord("test-1", "test", "refresh", "running", 1, "2026-01-01T00:00:00Z", "", settings)
    here.journal("test").create_run(record)
    monkeypatch.setattr(parts, "runs_of", lambda _plan, _run: [])
    answer = CliRunner().invoke(app, ["glue", "status", "test", "--json", "--config", str(tmp_path / "downstage.yaml")])
    total, outcome = map(orjson.loads, answer.output.splitlines())
    assert (total["event"], outcome["event"]) == ("total", "outcome")
    assert outcome["outcome"]["run_id"] == "test-1"
