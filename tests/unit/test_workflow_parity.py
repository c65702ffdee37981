"""After the copy the schemas are compared: what differs, or was not seen, stands in the report and fails nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jsonschema

from downstage.domain.outcome import Result
from downstage.errors import AwsError
from downstage.report.markdown import render_markdown
from downstage.report.model import as_document, schema
from downstage.report.wording import limits
from downstage.testing.world import SOURCE, TARGET, World
from downstage.workflow.refresh import STEPS


def compared(*facts: tuple[str, str, str]) -> dict[str, Any]:
    """One pair as the comparison has it: (fact, place, verdict)."""
    differences = [
        {
            "fact": fact,
            "place": place,
            "source": "on",
            "target": "off",
            "verdict": verdict,
            "remedy": "change",
            "note": "",
        }
        for fact, place, verdict in facts
    ]
    same = all(verdict == "accepted" for _, _, verdict in facts)
    return {"source": SOURCE, "target": TARGET, "exists": True, "same": same, "differences": differences}


def refreshed(found: Sequence[dict[str, Any]]) -> World:
    world = World()
    world.schemas = list(found)
    world.refresh()
    return world


def detail(world: World) -> str:
    record = world.journal.step("run-1", "parity")
    assert record is not None
    return record.detail


def test_it_is_looked_at_after_the_proof_and_before_anybody_reads_the_target() -> None:
    assert STEPS.index("verify-tables") < STEPS.index("expiry") < STEPS.index("parity") < STEPS.index("consumers-on")


def test_twins_need_no_line() -> None:
    world = refreshed([compared(("warm_throughput", "", "accepted"))])
    outcome = world.outcome()
    assert detail(world) == "the table is its source's twin"
    assert not any("twin" in line for line in limits(outcome))
    assert outcome.result is Result.PROVEN


def test_what_differs_and_is_not_accepted_is_told_and_the_items_stay_proven() -> None:
    world = refreshed(
        [
            compared(
                ("global_indexes", "by-case", "differs"),
                ("tags", "team", "accepted"),
                ("encryption", "", "unknown"),
            )
        ]
    )
    outcome = world.outcome()
    assert detail(world) == f"not their sources' twins: {TARGET} in 2 facts; see 'downstage tables diff test'"
    line = (
        f"Table {TARGET} is not its source's twin in global_indexes:by-case, encryption: see "
        "'downstage tables diff test', then clone, or accept it under 'parity'."
    )
    assert line in limits(outcome)
    assert "not its source's twin" in render_markdown(outcome)
    assert (outcome.result, outcome.exit_code) == (Result.PROVEN, 0)
    document = as_document(outcome)
    assert [one["fact"] for one in document["parity"]["differences"]] == ["global_indexes", "tags", "encryption"]
    parity = {**schema(), "required": [], "additionalProperties": True, "properties": {"parity": _parity_schema()}}
    jsonschema.validate({"parity": document["parity"]}, parity)


def test_what_could_not_be_seen_is_told() -> None:
    world = World()

    def denied() -> Sequence[dict[str, Any]]:
        raise AwsError("environment prod: could not read the tags: AWS denies it", "AccessDeniedException")

    parts = world.parts
    world.parts = lambda run, trip=None: _with_schemas(parts(run, trip), denied)  # type: ignore[method-assign]
    world.refresh()
    outcome = world.outcome()
    said = "environment prod: could not read the tags: AWS denies it"
    assert detail(world) == f"the tables' schemas could not be compared: {said}"
    assert f"Whether the tables are their sources' twins was not seen: {said}" in limits(outcome)
    assert outcome.exit_code == 0


def test_without_tables_there_is_nothing_to_say() -> None:
    world = World()
    world.refresh(chosen=["flags"])
    assert world.outcome().parity is None


def _parity_schema() -> Any:
    return schema()["properties"]["parity"]


def _with_schemas(parts: Any, schemas: Any) -> Any:
    from dataclasses import replace

    return replace(parts, schemas=schemas)
