"""Flags by name are sealed in one way wherever they are kept: nobody reads them, and none stand in for another's."""

from __future__ import annotations

import pytest

from downstage.errors import JournalError
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.planning.sealed_flags import opened, sealed

SEALER = KeySealer(MaskKey(bytes(range(32))))


def test_they_come_out_as_they_went_in_and_are_not_to_be_read() -> None:
    kept = sealed({"colour": "azure-secret"}, SEALER, "run-1/deploy")
    assert "colour" not in kept
    assert "azure" not in kept
    assert opened(kept, SEALER, "run-1/deploy") == {"colour": "azure-secret"}


@pytest.mark.parametrize("context", ["run-2/deploy", "run-1/backfill/flags"])
def test_those_of_another_run_or_purpose_are_refused(context: str) -> None:
    with pytest.raises(JournalError):
        opened(sealed({"colour": "blue"}, SEALER, "run-1/deploy"), SEALER, context)
