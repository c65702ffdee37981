"""What the configuration says of a bucket, and what becomes of it in the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from downstage.config.buckets import BucketPair
from downstage.domain.plan import MaxDelete, SyncOptions
from downstage.planning.build import _sync_options
from downstage.testing.world import bucket_pair


def options(**settings: Any) -> SyncOptions:
    return _sync_options(BucketPair.model_validate({"from": "documents-prod", "to": "documents-test", **settings}))


def test_without_settings_the_defaults_of_the_plan_hold() -> None:
    assert options() == SyncOptions()


@pytest.mark.parametrize(
    ("written", "limits", "of_a_thousand"),
    [
        ("10%", MaxDelete(None, 0.10), 100),
        ("0.5%", MaxDelete(None, 0.005), 5),
        (500, MaxDelete(500, 1.0), 500),
        (0, MaxDelete(0, 1.0), 0),
        ({"objects": 50}, MaxDelete(50, 0.10), 50),
        ({"objects": 50, "percent": 2}, MaxDelete(50, 0.02), 20),
    ],
)
def test_how_many_objects_may_be_deleted(written: Any, limits: MaxDelete, of_a_thousand: int) -> None:
    found = options(max_delete=written).max_delete
    assert found == limits
    assert found.of(1000) == of_a_thousand


@pytest.mark.parametrize("written", ["101%", "-1%", "ten", -1, True, {"percent": 101}, {"objects": -1}, {"share": 1}])
def test_what_is_no_limit_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        options(max_delete=written)


def test_the_targets_prefix_is_the_sources_unless_it_is_said() -> None:
    assert options(from_prefix="a/").target_prefix == "a/"
    both = options(from_prefix="a/", to_prefix="b/")
    assert (both.source_prefix, both.target_prefix) == ("a/", "b/")


def test_max_delete_decides_about_stopping_and_not_about_what_a_sync_is() -> None:

    pair = bucket_pair()
    assert replace(pair, options=replace(pair.options, max_delete=MaxDelete())).terms == pair.terms
    assert replace(pair, options=replace(pair.options, compare="size")).terms != pair.terms
    assert replace(pair, delete=False).terms != pair.terms
