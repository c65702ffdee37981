"""Whose tokens may become the launcher: never those of whoever signs in at the same provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstage.errors import ConfigError
from tests.permissions.configurations import EVERYTHING, project


def configured(directory: Path, subject: str) -> str:
    """The subject as the configuration has it. Raises ConfigError."""
    oidc = f'{{provider: id.example.com, audience: acme, subject: "{subject}"}}'
    launcher = project(
        directory, EVERYTHING.replace("launcher: {", f"launcher: {{oidc: {oidc}, ")
    ).config.config.launcher
    assert launcher is not None
    assert launcher.oidc is not None
    return launcher.oidc.subject


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("*", "two parts"),
        ("repo:*", "the organisation"),
        ("repo:*:ref:refs/heads/main", "the organisation"),
        ("repo:*/app:ref:refs/heads/main", "the organisation"),
        ("repo:acme*/app:ref:refs/heads/main", "the organisation"),
        ("repo:?cme/app:ref:refs/heads/main", "the organisation"),
        ("repo:acme", "the organisation"),
        ("rep*:acme/app:ref:refs/heads/main", "two parts"),
        ("org/*/project/*", "two parts"),
        ("org/ORG*", "two parts"),
        ("org/ORG?/project/1", "two parts"),
        ("org//*", "two parts"),
        ("project_path:*", "two parts"),
        ("repo:acme/app ", "spaces"),
        ("repo:$${aws:username}/app:*", "spaces and"),
        ("", "subject"),
    ],
)
def test_a_subject_that_anybody_could_have_is_refused_in_one_line(tmp_path: Path, subject: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"launcher\.oidc\.subject .*{said}") as caught:
        configured(tmp_path, subject)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "subject",
    [
        "repo:acme/app:ref:refs/heads/main",
        "repo:acme/app:*",
        "repo:acme/*",
        "org/0123-4567/project/89ab/user/*",
        "org/0123-4567/*",
        "project_path:acme/*:ref_type:branch:ref:main",
        "107517467455664443765",
    ],
)
def test_a_subject_that_names_whose_it_is_is_taken(tmp_path: Path, subject: str) -> None:
    assert configured(tmp_path, subject) == subject
