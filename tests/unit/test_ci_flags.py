"""What flags are called, and how their values reach commands and pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from downstage.domain.flags import as_environment, read_values, substituted
from downstage.domain.plan import Flag, ItemFlag, ParameterFlag
from downstage.domain.refs import TargetTable
from downstage.errors import ConfigError

TABLE = TargetTable("222222222222", "us-east-1", "deploy-test")


def item(key: str, values: dict[str, Any], name: str | None = None) -> ItemFlag:
    return ItemFlag(TABLE, {"pk": {"S": key}, "sk": {"S": key}}, values, name)


def stored(flag: Flag) -> Mapping[str, Any] | str | None:
    return flag.values if isinstance(flag, ItemFlag) else flag.value


def test_names_and_values() -> None:
    flags = (
        item("source-table-version", {"current": {"S": "alpha"}}),
        item("migrate", {"current": {"BOOL": False}}),
        item("limits", {"most": {"N": "12"}, "kinds": {"SS": ["a", "b"]}, "none": {"NULL": True}}),
        item("x", {"current": {"S": "beta"}}, "other"),
        ParameterFlag("/app/test/destination-table-version", "alpha"),
        ParameterFlag("plain", "text"),
        ParameterFlag("/app/colour", "blue", "shade"),
    )
    assert read_values(flags, stored) == {
        "source-table-version": "alpha",
        "migrate": "false",
        "limits.most": "12",
        "limits.kinds": '["a", "b"]',
        "limits.none": "",
        "other": "beta",
        "destination-table-version": "alpha",
        "plain": "text",
        "shade": "blue",
    }


def test_the_values_are_those_read_back() -> None:
    flag = item("colour", {"current": {"S": "alpha"}})
    assert read_values((flag,), lambda _flag: {"current": {"S": "somebody-changed-it"}}) == {
        "colour": "somebody-changed-it"
    }


@pytest.mark.parametrize("found", [None, {}])
def test_a_flag_that_is_not_set_is_said(found: Mapping[str, Any] | None) -> None:
    with pytest.raises(ConfigError, match=r"the flag deploy-test\[current\] is not set"):
        read_values((item("colour", {"current": {"S": "alpha"}}),), lambda _flag: found)


def test_two_of_one_name_must_agree() -> None:
    one, other = ParameterFlag("/a/colour", "alpha"), ParameterFlag("/b/colour", "alpha")
    assert read_values((one, other), stored) == {"colour": "alpha"}
    with pytest.raises(ConfigError, match="two flags with different values are named 'colour'"):
        read_values((one, ParameterFlag("/b/colour", "beta")), stored)


def test_values_are_put_into_every_text_however_deep() -> None:
    flags = {"v": "alpha", "m.current": "true"}
    given = {"a": "${flags.v}/${flags.m.current}", "b": [1, True, "x${flags.v}"], "c": {"d": "${other}"}}
    assert substituted(given, flags) == {"a": "alpha/true", "b": [1, True, "xalpha"], "c": {"d": "${other}"}}
    assert substituted("${flags.v}", {"v": "${flags.v}"}) == "${flags.v}"
    with pytest.raises(ConfigError, match=r"\$\{flags.w\} names no flag; known: m.current, v"):
        substituted("${flags.w}", flags)
    with pytest.raises(ConfigError, match="no flags are configured"):
        substituted("${flags.w}", {})


def test_as_environment_variables() -> None:
    assert as_environment({"table-version": "a", "m.current": "b"}) == {
        "DOWNSTAGE_FLAG_TABLE_VERSION": "a",
        "DOWNSTAGE_FLAG_M_CURRENT": "b",
    }
