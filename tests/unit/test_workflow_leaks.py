"""The leak scan over a whole target: alone and as a step, what it looks at, canaries, and what it says of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from downstage.domain.leak_outcome import DetailsSample
from downstage.domain.outcome import RefreshOutcome, Result
from downstage.errors import ConfigError, LeakFound, RunConflict
from downstage.ports import ObjectDetails
from downstage.report import render_html, render_json, render_markdown
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import COPIES, DOCUMENTS, DOMAIN, TARGET, World, plan_of
from downstage.verify.leaks import LeakScanner
from downstage.workflow import bucket_sample
from downstage.workflow.refresh import LEAK_SCAN, STEPS

ADA = "ada@court.example.org"
STRANGER = "stranger@elsewhere.example"


def scan(world: World, run_id: str = "scan-1") -> RefreshOutcome:
    """The leak scan alone."""
    world.refresh(world.begin(run_id, kind="leaks"), chosen=[LEAK_SCAN])
    return world.outcome(run_id)


def filled() -> World:
    """A target that no run of ours has filled: it holds pseudonyms, for the key is the same."""
    world = World()
    world.refresh()
    assert world.outcome().result is Result.PROVEN
    other = World()
    other.target_tables = world.target_tables
    other.target_domains = world.target_domains
    other.store = world.store
    return other


def put(world: World, text: str) -> None:
    """One more item in the target, of which no consumer makes a document."""
    world.target_tables[TARGET].put([{"pk": {"S": "note|1"}, "sk": {"S": "1"}, "email": {"S": text}}])


def places(outcome: RefreshOutcome) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(place.where, place.path, place.layers) for place in outcome.leaks.places]


# -- alone


def test_it_needs_no_copy_and_says_what_was_looked_at() -> None:
    world = filled()
    outcome = scan(world)
    leaks = outcome.leaks
    assert (leaks.scanned_items, leaks.scanned_keys, leaks.scanned_documents, leaks.scanned_indexes) == (8, 3, 5, 1)
    assert leaks.details == (DetailsSample(COPIES, 3, 3),)
    assert (leaks.found, leaks.looked_for) == (0, 0)
    (step,) = outcome.steps
    assert step.detail == (
        "no address in 8 items of 1 tables, 3 object keys, metadata and tags of 3 objects, 5 documents of 1 indexes; "
        "no canaries were looked for, as no copy of this environment under the same key and policy has kept any"
    )
    assert outcome.exit_code == 0  # as the command ends; what it claims of a copy is nothing
    assert outcome.objections[0].text == "Only the leak scan was asked for: it says nothing of what was copied."
    assert world.writes == []


@pytest.mark.parametrize("place", ["table", "key", "metadata", "tag", "id", "routing", "document", "index"])
def test_a_leak_is_found_everywhere(place: str) -> None:
    world = filled()
    index = world.target_domains.index(DOMAIN)
    if place == "table":
        put(world, STRANGER)
    elif place == "key":
        world.store.put(COPIES, f"mail/{STRANGER}.eml", b"x")
    elif place == "metadata":
        world.store.hung[COPIES, "case/1.pdf"] = ObjectDetails({"author": f"=?utf-8?Q?Eve_<{STRANGER}>?="}, {})
    elif place == "tag":
        world.store.hung[COPIES, "case/1.pdf"] = ObjectDetails({}, {STRANGER: "1"})
    elif place == "id":
        index.put("forgotten", STRANGER, {})
    elif place == "routing":
        index.put("forgotten", "1", {})
        index.routing["1"] = STRANGER
    elif place == "document":
        index.put("forgotten", "1", {"to": [STRANGER]})
    else:
        index.put(f"of-{STRANGER}", "1", {})
    wanted = {
        "table": (TARGET, "email", ()),
        "key": (COPIES, "key", ()),
        "metadata": (COPIES, "metadata.author", ()),
        "tag": (COPIES, "tags.*", ()),
        "id": ("forgotten", "_id", ()),
        "routing": ("forgotten", "_routing", ()),
        "document": ("forgotten", "to[]", ()),
        "index": ("*", "_index", ()),
    }
    with pytest.raises(LeakFound, match="findings: 1, canaries among them: 0") as caught:
        scan(world)
    outcome = world.outcome("scan-1")
    assert places(outcome) == [wanted[place]]
    assert (outcome.leaks.found, outcome.exit_code, caught.value.exit_code) == (1, 5, 5)
    for told in (str(caught.value), repr(outcome), repr(vars(world.journal)), render_json(outcome)):
        assert "stranger" not in told


def test_everything_is_looked_at_before_anything_is_said() -> None:
    world = filled()
    put(world, STRANGER)
    world.store.put(COPIES, f"mail/{STRANGER}.eml", b"x")
    world.target_domains.index(DOMAIN).put("forgotten", STRANGER, {})
    with pytest.raises(LeakFound, match="findings: 3,"):
        scan(world)
    assert world.outcome("scan-1").leaks.scanned_documents == 6


def test_it_is_resumed_and_counts_nothing_twice() -> None:
    world = filled()
    put(world, STRANGER)
    run = world.begin("scan-1", kind="leaks")
    with pytest.raises(Killed):
        world.refresh(run, trip=Trip(14), chosen=[LEAK_SCAN])
    with pytest.raises(LeakFound, match="findings: 1,"):
        world.resume("scan-1", chosen=[LEAK_SCAN])
    assert world.outcome("scan-1").leaks.scanned_items == 9


def test_a_table_that_was_made_anew_is_not_resumed_into() -> None:
    world = filled()
    run = world.begin("scan-1", kind="leaks")
    with pytest.raises(Killed):
        world.refresh(run, trip=Trip(14), chosen=[LEAK_SCAN])
    world.target_tables[TARGET].table_id = "another"
    with pytest.raises(RunConflict, match="re-created"):
        world.resume("scan-1", chosen=[LEAK_SCAN])


def test_it_is_no_step_of_a_refresh() -> None:
    world = World()
    world.refresh()
    assert LEAK_SCAN not in STEPS
    assert world.journal.step("run-1", LEAK_SCAN) is None
    assert LEAK_SCAN not in [step.name for step in world.outcome().steps]


def test_with_nothing_to_scan_it_is_no_pass() -> None:
    world = World(plan=plan_of(tables=(), buckets=(), search=None))
    with pytest.raises(ConfigError, match=r"^nothing to scan: the environment .* names no tables") as caught:
        scan(world)
    assert caught.value.exit_code == 2
    assert world.outcome("scan-1").exit_code != 0


# -- metadata and tags


def test_of_many_objects_a_sample_is_looked_at_and_its_share_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_sample, "SAMPLED_OBJECTS", 10)
    world = World()
    for number in range(40):
        world.store.put(DOCUMENTS, f"{number % 4}/{number:02}", b"x")
    asked: list[str] = []
    details = world.store.details

    def ask(target: Any, key: str) -> ObjectDetails | None:
        asked.append(key)
        return details(target, key)

    monkeypatch.setattr(world.store, "details", ask)
    world.refresh()
    outcome = world.outcome()
    assert outcome.result is Result.PROVEN
    assert outcome.leaks.details == (DetailsSample(COPIES, 10, 43),)
    said = f"Bucket {COPIES}: the leak scan looked at metadata and tags of 10 of 43 objects (23.3 %)."
    assert said in render_html(outcome)
    assert len({key[0] for key in asked}) > 3
    keys = [f"{number % 4}/{number:02}" for number in range(40)] + [f"case/{number}.pdf" for number in range(3)]
    assert sorted(asked) == sorted(
        sorted(keys, key=lambda key: hashlib.blake2b(key.encode(), digest_size=16).digest())[:10]
    )


def test_an_object_that_goes_away_meanwhile_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    world = filled()
    monkeypatch.setattr(world.store, "details", lambda target, key: None)
    assert scan(world).leaks.details == (DetailsSample(COPIES, 0, 3),)


def test_what_hangs_on_an_object_is_found_in_a_refresh_too() -> None:
    world = World()
    world.store.hung[DOCUMENTS, "case/2.pdf"] = ObjectDetails({"ContentDisposition": f"filename={STRANGER}.pdf"}, {})
    with pytest.raises(LeakFound, match="keys, metadata or tags"):
        world.refresh()
    assert places(world.outcome()) == [(COPIES, "metadata.ContentDisposition", ())]
    assert not world.consumers.enabled


# -- canaries


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scanner that misses everything, as a mistake in its matcher might."""
    for name in ("scan_item", "scan_document", "scan_text"):
        monkeypatch.setattr(LeakScanner, name, lambda *_arguments: [])


def copied() -> World:
    world = World()
    world.refresh(chosen=STEPS[: STEPS.index("sync") + 1])
    return world


def test_a_copy_keeps_canaries_and_a_proof_looks_for_them() -> None:
    world = World()
    world.refresh()
    outcome = world.outcome()
    assert outcome.result is Result.PROVEN
    assert outcome.leaks.looked_for == 7  # five of cases, ada and grace; Ada is ada
    assert "7 addresses of the source, known by keyed digests alone, were looked for there" in render_markdown(outcome)
    assert set(world.journal.canaries("run-1")) <= {(f"copy/{TARGET}", 0), (f"copy/{TARGET}", 1)}


@pytest.mark.parametrize("place", ["table", "key", "document", "hash"])
def test_a_canary_is_found_though_the_scanner_is_blind(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = copied()
    if place == "table":
        put(world, ADA)
    elif place == "hash":
        put(world, hashlib.md5(ADA.encode()).hexdigest())
    elif place == "key":
        world.store.put(COPIES, f"mail/{ADA}/1.eml", b"x")
    else:
        world.target_domains.index(DOMAIN).put("forgotten", "1", {"to": [f"<{ADA}>"]})
    blind(monkeypatch)
    with pytest.raises(LeakFound):
        scan(world)
    outcome = world.outcome("scan-1")
    wanted = {
        "table": (TARGET, "email", ("canary",)),
        "hash": (TARGET, "email", ("canary", "md5")),
        "key": (COPIES, "key", ("canary",)),
        "document": ("forgotten", "to[]", ("canary",)),
    }
    assert places(outcome) == [wanted[place]]
    assert (outcome.leaks.found, outcome.leaks.canaries_found, outcome.exit_code) == (1, 1, 5)
    assert outcome.objections[0].text == (
        "1 canary found in the target: a real address of the source, or its plain hash, stands there."
    )
    assert "court" not in render_json(outcome) + render_html(outcome) + repr(vars(world.journal))


def test_without_canaries_the_blind_scanner_would_have_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = filled()
    put(world, ADA)
    blind(monkeypatch)
    assert scan(world).leaks.found == 0


def test_a_plain_hash_stops_a_refresh() -> None:
    world = copied()
    put(world, hashlib.sha256(ADA.encode()).hexdigest())
    with pytest.raises(LeakFound):
        world.resume()
    assert not world.consumers.enabled


def test_each_step_says_how_many_canaries_it_looked_for() -> None:
    world = World()
    world.refresh()
    scan(world)
    results = {name: world.journal.step("run-1", name) for name in ("verify-buckets", "verify-index")}
    results["scan"] = world.journal.step("scan-1", "scan")
    for name, record in results.items():
        assert record is not None
        assert record.result["looked_for"] == 7, name
        assert record.detail.endswith("; none of 7 canaries"), name
    assert json.loads(render_json(world.outcome("scan-1")))["leaks"]["looked_for"] == 7


def test_a_scan_without_canaries_says_that_it_proves_less() -> None:
    world = filled()
    outcome = scan(world)
    assert outcome.leaks.looked_for == 0
    said = "No known address of the source was looked for: no copy of this environment under the same key and policy"
    for report in (render_markdown(outcome), render_html(outcome), render_json(outcome)):
        assert said in report
    assert said not in render_markdown(copied_and_scanned())


def copied_and_scanned() -> RefreshOutcome:
    world = World()
    world.refresh()
    return scan(world)


def test_what_a_step_looked_for_stays_true_when_a_later_copy_keeps_more() -> None:
    world = filled()
    scan(world)
    world.journal.save_canaries("scan-1", world.journal.runs()[0].epoch, "copy/t", 0, ["ab" * 64])
    assert world.outcome("scan-1").leaks.looked_for == 0


def test_canaries_of_another_masking_are_not_looked_for() -> None:
    world = copied()
    put(world, ADA)
    world.begin("scan-2", kind="leaks", mask="another")
    assert world.outcome("scan-2").leaks.looked_for == 0


@pytest.mark.parametrize("at", range(1, 30, 3))
def test_a_resumed_copy_keeps_the_same_canaries(at: int) -> None:
    whole = copied().journal.canaries("run-1")
    world = World()
    chosen = STEPS[: STEPS.index("copy") + 1]
    world.refresh(chosen=STEPS[: STEPS.index("copy")])
    with pytest.raises(Killed):
        world.resume(trip=Trip(at), chosen=chosen)
    world.resume(chosen=chosen)
    assert world.journal.canaries("run-1") == whole
