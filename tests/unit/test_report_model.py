"""The JSON document: it is valid against the published schema, and the schema describes every field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from downstage.domain.outcome import MaskingOutcome, RefreshOutcome
from downstage.report import as_document, render_json, schema
from downstage.report.wording import kept
from tests.unit.test_report_outcomes import ALL, FAILED, INCOMPLETE, PROVEN, STARTED


@pytest.mark.parametrize("name", ALL)
def test_document_is_valid_and_plain_json(name: str) -> None:
    document = as_document(ALL[name])
    Draft202012Validator(schema()).validate(document)
    assert json.loads(render_json(ALL[name])) == document


def test_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


def _objects(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "properties" in node:
            yield path, node
        for key, value in node.items():
            yield from _objects(value, f"{path}/{key}")


def test_every_field_is_described_required_and_nothing_else_is_allowed() -> None:
    found = dict(_objects(schema()))
    assert len(found) == 19
    for path, node in found.items():
        assert node["additionalProperties"] is False, path
        assert set(node["required"]) == set(node["properties"]), path
        for name, value in node["properties"].items():
            assert value.get("description"), f"{path}/{name}"


def test_every_field_of_an_outcome_is_in_the_document() -> None:
    assert {field.name for field in fields(RefreshOutcome)} <= set(as_document(PROVEN))


def test_totals() -> None:
    assert as_document(INCOMPLETE)["totals"] == {
        "items": 2_804_212,
        "addresses": 776_428,
        "quarantined": 14,
        "objects": 1_204,
        "skipped": 3,
        "bytes_copied": 81_234_567_890,
        "documents": 118_204,
    }


def test_proven_says_what_was_proven_and_what_not() -> None:
    said = as_document(PROVEN)["statements"]
    assert said == [
        "Proven for all 2 tables: every item that was read was written or had expired, and a fresh read of the "
        "target found exactly the 2,804,212 items that were written, with the same digest.",
        "Proven for the bucket: a fresh comparison of the listings of source and target found nothing left to do.",
        "Proven for the search index: exactly the expected ids are there, 118,204 documents in all.",
        "The leak scan looked at 2,804,212 items, 1,204 object keys and 118,204 search documents of 3 search indexes "
        "and found no address that is neither kept by the policy nor a pseudonym.",
        "512 addresses of the source, known by keyed digests alone, were looked for there, and their plain MD5, SHA-1 "
        "and SHA-256 too: none was found.",
        "The source was read from 1 Mar 2026, 05:20:00 to 06:13:02 UTC; this is not a point in time.",
        "24 items past the time to live: not copied.",
        "Objects were copied as they are: their listings were compared, what is in them was neither masked nor "
        "scanned.",
        "The leak scan looks for e-mail addresses; it recognises no other personal data.",
        "Bucket docs-test: the leak scan looked at metadata and tags of 1,000 of 1,204 objects (83.1 %).",
        "7 binary values could not be looked into and passed as they are: no address shows in them.",
        "Kept: 2 domains (ourco.com, partner.example), 1 address; 42 addresses in the data were kept by them.",
        "The data are pseudonymised, not anonymous: they stay personal data, for whoever holds the key can "
        "re-identify.",
    ]


def test_what_the_lock_does_not_know_is_told_with_what_to_do() -> None:
    table = replace(PROVEN.tables[0], unknown=3)
    said = as_document(replace(PROVEN, tables=(table,)))["statements"]
    assert (
        "3 values stood at paths or had types that masking.lock does not know: run 'downstage discover' and look at "
        "what is new." in said
    )


def test_canaries_that_were_found_have_their_own_words() -> None:
    for found, canaries, wanted in ((1, 1, 1), (3, 2, 2)):
        outcome = replace(PROVEN, leaks=replace(PROVEN.leaks, found=found, canaries_found=canaries))
        said = as_document(outcome)["statements"]
        assert len([text for text in said if "found in the target" in text]) == wanted
        assert any("a real address of the source, or its plain hash, stands there" in text for text in said)
        assert outcome.exit_code == 5


def test_kept_domains_are_named_up_to_a_number_and_addresses_never() -> None:
    masking = MaskingOutcome("s", "a", "k", 25, 2, tuple(f"d{number}.example" for number in range(25)))
    text = kept(replace(PROVEN, masking=masking))
    assert text.startswith("Kept: 25 domains (d0.example, d1.example, ")
    assert "d19.example, …), 2 addresses;" in text
    assert kept(replace(PROVEN, masking=None)) == ""
    without_names = replace(masking, keep_domains=1, kept_domains=())
    assert kept(replace(PROVEN, masking=without_names)).startswith("Kept: 1 domain, 2 addresses;")


def test_failed_starts_with_the_gravest_and_claims_only_what_holds() -> None:
    document = as_document(FAILED)
    said = document["statements"]
    assert document["why"] == said[0] == "41 addresses found in the target: neither kept nor a pseudonym of ours."
    assert said[1] == "Table cases-test does not hold what was written to it."
    assert any(text.startswith("Proven for 1 of 2 tables") for text in said)
    assert not any("found no address" in text for text in said)


def test_incomplete_names_what_was_left_out() -> None:
    said = as_document(INCOMPLETE)["statements"]
    assert "14 items of cases-prod quarantined: not in the target." in said
    assert "2 objects of docs-prod skipped: archived." in said
    assert "Step flags was skipped." in said


def test_unfinished_run_claims_nothing() -> None:
    document = as_document(STARTED)
    assert document["seconds"] is None
    assert document["why"] == "The run has not finished; to do: copy."
    assert not any(text.startswith("Proven") for text in document["statements"])
