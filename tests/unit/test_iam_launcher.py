"""Who signs in as whom: the external id is sent, and exports are the launcher's own where the configuration says so."""

from __future__ import annotations

import pickle
import secrets
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import AssumeRoleCredentialFetcher

from downstage.app.places import SqlitePlace
from downstage.app.wiring import RunPlaces, Sides, parts_for
from downstage.app.worker import LaneWorker
from downstage.aws import session as sessions
from downstage.aws.exports import ExportControl, ExportObjects
from downstage.aws.session import Session
from downstage.domain.environment import Environment
from downstage.domain.events import Event
from downstage.domain.plan import RefreshPlan
from downstage.journals.memory import MemoryJournal
from downstage.planning.essence import essence
from downstage.ports import RunRecord
from tests.permissions.configurations import EVERYTHING, project

ROLE = "arn:aws:iam::111111111111:role/downstage-read"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What every AssumeRole would be asked for besides its role; the base credentials come from the environment."""
    found: list[dict[str, Any]] = []

    def made(create_client: Any, base: Any, role: str, extra_args: dict[str, Any]) -> AssumeRoleCredentialFetcher:
        found.append(extra_args)
        return AssumeRoleCredentialFetcher(create_client, base, role, extra_args=extra_args)

    monkeypatch.setattr(sessions, "AssumeRoleCredentialFetcher", made)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "example")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    return found


def test_the_external_id_is_sent(asked: list[dict[str, Any]]) -> None:
    Session(Environment("prod", "111111111111", "us-east-1", role=ROLE, external_id="acme-7f3a"))
    assert asked == [{"RoleSessionName": "downstage", "ExternalId": "acme-7f3a"}]


def test_none_is_sent_where_none_is_configured(asked: list[dict[str, Any]]) -> None:
    Session(Environment("prod", "111111111111", "us-east-1", role=ROLE))
    assert asked == [{"RoleSessionName": "downstage"}]


def plan(directory: Path, text: str = EVERYTHING) -> RefreshPlan:
    return project(directory, text).plan("test")


def test_exports_are_made_with_the_credentials_that_downstage_was_started_with(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    sides = Sides.of(plan(tmp_path))
    assert sides.exporter.environment.role is None
    assert sides.exporter.environment.account == sides.source.environment.account
    assert len(asked) == 2  # the two roles, and none for exports
    assert sides.exporter.credentials().access_key == "example"


@pytest.mark.parametrize("launcher", ["", "launcher: {exports: false}\n"])
def test_otherwise_they_are_the_source_roles(tmp_path: Path, asked: list[dict[str, Any]], launcher: str) -> None:
    text = "\n".join(line for line in EVERYTHING.splitlines() if not line.startswith("launcher:"))
    sides = Sides.of(plan(tmp_path, f"{text}\n{launcher}"))
    assert sides.exporter is sides.source


def test_who_exports_changes_no_recorded_run(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = plan(tmp_path / "other", EVERYTHING.replace("launcher: {", "launcher: {exports: false, "))
    here = plan(tmp_path)
    assert here.exports_as != other.exports_as
    assert essence(here) == essence(other)
    assert pickle.loads(pickle.dumps(here.exports_as)) == here.exports_as


def test_every_part_that_touches_an_export_signs_in_so(
    tmp_path: Path, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASK", secrets.token_hex(32))
    start = EVERYTHING.index("masking:")
    text = EVERYTHING[:start] + "masking: {key: 'env:MASK'}\n" + EVERYTHING[EVERYTHING.index("engine:") :]
    sides = Sides.of(plan(tmp_path, text))
    run = RunRecord("run-1", "test", "refresh", "running", 1, "2026-01-01T00:00:00Z", "", {})
    places = RunPlaces(SqlitePlace(tmp_path / "journal.sqlite"), None, tmp_path)
    parts = parts_for(sides, (), run, MemoryJournal(), places, _Silent(), lambda: None)
    assert isinstance(parts.exports, ExportControl)
    assert isinstance(parts.export_files, ExportObjects)
    assert isinstance(parts.work, LaneWorker)
    assert parts.exports._session is parts.export_files._session is sides.exporter
    assert parts.work.order(run, ()).exporter == sides.plan.exporter == sides.exporter.environment


class _Silent:
    """Nobody watches."""

    def emit(self, event: Event) -> None:
        pass
