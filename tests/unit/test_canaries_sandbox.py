"""Canaries over the sandbox's own data: none survives the masking, and in the source each is found again."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from downstage.masking.compile import ItemMasker
from downstage.masking.email import EmailPseudonyms
from downstage.sandbox.generator import generate
from downstage.testing.world import KEY
from downstage.verify.canaries import CanaryKey, CanaryProbe, CanarySample, Exempt
from tests.unit.test_masking_sandbox import on_the_wire

SINK = "u-{token}@test.example.com"
CANARY_KEY = CanaryKey(KEY.derive(CanaryKey.label("test")))


@pytest.fixture(scope="module")
def items() -> list[dict[str, Any]]:
    return [on_the_wire(item) for items in generate(100, 11).tables.values() for item in items]


@pytest.fixture(scope="module")
def sample(items: list[dict[str, Any]]) -> CanarySample:
    """Every address that can become one: more than any segment keeps."""
    chosen = CanarySample(CANARY_KEY, Exempt((), (), SINK), limit=1_000_000)
    for item in items:
        chosen.look([orjson.dumps(item)])
    return chosen


def test_no_canary_survives_the_masking(items: list[dict[str, Any]], sample: CanarySample) -> None:
    masker = ItemMasker(EmailPseudonyms(KEY, "test", SINK))
    probe = CanaryProbe(CANARY_KEY, sample.canaries)
    assert probe.looked_for > 100
    for item in items:
        assert probe.scan_item(masker(item)) == []


def test_every_canary_is_found_in_the_source(items: list[dict[str, Any]], sample: CanarySample) -> None:
    probe = CanaryProbe(CANARY_KEY, sample.canaries)
    found = {finding.fingerprint for item in items for finding in probe.scan_item(item)}
    assert found >= {canary[:16] for canary in sample.canaries}
