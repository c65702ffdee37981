"""The fake-data lists: plain words only, read only when needed, and known by their contents."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from downstage.domain.policy import StrategySpec
from downstage.errors import ConfigError
from downstage.masking.strategies import KNOWN, list_versions, lists

LEAST = {"given": 2000, "family": 500, "city": 1000, "street": 1000, "suffix": 30}


@pytest.fixture(autouse=True)
def _forget() -> None:
    lists.fake_list.cache_clear()
    lists._data.cache_clear()


@pytest.mark.parametrize("name", sorted(LEAST))
def test_each_list_is_plain_words_sorted_and_long(name: str) -> None:
    words = lists.fake_list(name)
    assert len(words) >= LEAST[name]
    assert list(words) == sorted(set(words))
    form = "[A-Z][a-z]+" if name in ("given", "family") else "[A-Z][a-z]+( [A-Z][a-z]+)*"
    assert all(re.fullmatch(form, word) for word in words)


def test_the_version_is_of_the_lists_that_are_used() -> None:
    versions = {name: list_versions([StrategySpec(name)]) for name in KNOWN}
    users = {"name", "given_name", "family_name", "city", "address"}
    assert {name for name, version in versions.items() if version} == users
    assert len({versions[name] for name in users}) == len(users)
    assert list_versions([StrategySpec("given_name"), StrategySpec("family_name")]) == versions["name"]
    assert list_versions([]) == ""


def test_the_version_changes_with_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list_versions([StrategySpec("city")])
    words = lists.fake_list("city")
    monkeypatch.setattr(lists, "fake_list", lambda name: (*words[:-1], "Elsewhere"))
    assert list_versions([StrategySpec("city")]) != before


@pytest.mark.parametrize("content", [None, "not json", "{}", '{"city": 5}', '{"city": ["Reno"]}', "[]"])
def test_lists_that_are_not_what_they_were_are_a_plain_error(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "mimesis" / "datasets" / "en"
    data.mkdir(parents=True)
    (tmp_path / "mimesis" / "__init__.py").write_text("")
    if content is not None:
        (data / "address.json").write_text(content)
    monkeypatch.delitem(sys.modules, "mimesis", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="the fake-data lists cannot be read"):
        lists.fake_list("city")


def test_nothing_is_read_before_it_is_needed() -> None:
    code = (
        "import sys; from downstage.masking.strategies import lists\n"
        "assert lists._data.cache_info().currsize == 0\n"
        "lists.fake_list('given')\n"
        "assert 'mimesis' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
