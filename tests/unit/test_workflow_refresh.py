"""A whole refresh in memory: proven when all is well, and refused or failed (consumers off) when it is not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from downstage.domain.events import Note, Progress, StepFinished, StepStarted
from downstage.domain.outcome import Result, StepState
from downstage.domain.plan import BucketPair, EnginePlan, Flag, ItemFlag, MaxDelete, RefreshPlan, Wipe
from downstage.domain.refs import SourceBucket, TargetBucket, TargetTable
from downstage.domain.table_schema import ParityTerms
from downstage.errors import (
    AwsError,
    ConfigError,
    DownstageError,
    GuardRefused,
    JournalError,
    LeakFound,
    NotFound,
    RunConflict,
    Unreachable,
    VerificationFailed,
)
from downstage.masking.keys import MaskKey
from downstage.ports import Checkpoint, Item
from downstage.testing.faults import Killed, Trip
from downstage.testing.simple import MemoryFlags
from downstage.testing.world import (
    COPIES,
    DOCUMENTS,
    DOMAIN,
    FLAGS,
    FUNCTION,
    INDEX,
    KEYS,
    PROD,
    REGION,
    SOURCE,
    TARGET,
    TEST,
    World,
    bucket_pair,
    case,
    plan_of,
    some_items,
)
from downstage.workflow.refresh import STEPS
from downstage.workflow.sums import same_items, summed, total_digest, whole

UP_TO_COPY = STEPS[: STEPS.index("sync") + 1]


def state(world: World, step: str) -> str:
    record = world.journal.step("run-1", step)
    return record.state if record is not None else "not begun"


def copied(**plan: Any) -> World:
    """A world in which everything is copied and nothing verified; a resumed run goes on from there."""
    world = World(plan=plan_of(**plan))
    world.refresh(chosen=UP_TO_COPY)
    return world


def stopped(world: World, error: type[DownstageError], said: str) -> None:
    """The rest of the run fails with `error`, and the consumers stay off."""
    with pytest.raises(error, match=said) as caught:
        world.resume()
    assert "@" not in str(caught.value)
    assert not world.consumers.enabled
    assert not world.target_domains.index(DOMAIN).count(INDEX)
    assert state(world, "consumers-on") == StepState.SKIPPED
    assert world.outcome().exit_code == caught.value.exit_code


def test_a_refresh_is_proven_and_nobody_real_is_in_the_target() -> None:
    world = World()
    world.refresh()
    outcome = world.outcome()
    assert (outcome.result, outcome.exit_code, outcome.objections) == (Result.PROVEN, 0, ())
    (table,) = outcome.tables
    assert (table.read, table.written, table.expired, table.addresses) == (9, 8, 1, 13)
    assert outcome.buckets[0].proven
    assert (outcome.search[0].expected, outcome.search[0].found) == (5, 5)
    assert outcome.consumers == "on"
    everything = [world.target_tables[TARGET].all(), *world.target_domains.index(DOMAIN).data[INDEX].values()]
    assert b"court.example.org" not in orjson.dumps(everything)
    assert [step.name for step in outcome.steps] == list(STEPS)
    assert all(step.state is StepState.DONE for step in outcome.steps)


def test_two_refreshes_give_the_same_target() -> None:
    first, second = World(), World()
    first.page_size = 1
    for world in (first, second):
        world.refresh()
    assert first.target_tables[TARGET].items == second.target_tables[TARGET].items
    assert first.outcome().tables[0].digest_written == second.outcome().tables[0].digest_written


def test_events_tell_the_steps_and_true_progress() -> None:
    world = World()
    world.refresh()
    started = [event.step for event in world.events.events if isinstance(event, StepStarted)]
    finished = [event for event in world.events.events if isinstance(event, StepFinished)]
    assert started == [event.step for event in finished] == list(STEPS)
    progress = [event for event in world.events.events if isinstance(event, Progress)]
    assert [(e.done, e.total, e.estimated) for e in progress if e.step == "copy"][-1] == (9, 9, True)
    assert [(e.done, e.total, e.estimated) for e in progress if e.step == "verify"][-1] == (8, 8, False)
    (note,) = [event.text for event in world.events.events if isinstance(event, Note)]
    assert note == "bucket documents-prod → documents-test: 3 to copy (0.0 MB), 0 unchanged, 1 to delete"


def test_the_journal_holds_no_item_data() -> None:
    world = World()
    world.refresh()
    assert "court.example.org" not in repr(vars(world.journal))


# -- proofs that do not hold


def test_a_leak_in_a_table_stops_the_run() -> None:
    world = copied()
    world.target_tables[TARGET].put([case(7, "ada@court.example.org")])
    stopped(world, LeakFound, "1 addresses")
    outcome = world.outcome()
    assert outcome.leaks.found == 1
    assert [(place.where, place.path) for place in outcome.leaks.places] == [(TARGET, "email")]


@pytest.mark.parametrize("change", ["altered", "missing", "extra"])
def test_a_target_that_is_not_what_was_written_stops_the_run(change: str) -> None:
    world = copied()
    items = world.target_tables[TARGET].items
    key, item = sorted(items.items())[0]
    if change == "altered":
        items[key] = item | {"filed": {"N": "12345"}}
    elif change == "missing":
        del items[key]
    else:
        world.target_tables[TARGET].put([{"pk": {"S": "case|9"}, "sk": {"S": "x"}}])
    stopped(world, VerificationFailed, f"table {TARGET}")


def test_an_object_that_was_not_synced_stops_the_run() -> None:
    world = copied()
    world.store.put(DOCUMENTS, "case/new.pdf", b"new")
    stopped(world, VerificationFailed, f"bucket {COPIES}")
    assert world.outcome().buckets[0].differing == 1


def test_an_address_in_a_target_key_stops_the_run_and_is_told_without_it() -> None:
    world = copied(buckets=(BucketPair(SourceBucket(PROD, DOCUMENTS), TargetBucket(TEST, COPIES)),))
    world.store.put(COPIES, "mail/ada@court.example.org.eml", b"x")
    stopped(world, LeakFound, "1 addresses stand in the target buckets' keys")
    assert "court" not in repr(world.outcome())


def test_an_index_that_does_not_fill_is_given_up_after_the_patience() -> None:
    world = World()
    world.consumers._deliver = lambda item: None
    with pytest.raises(VerificationFailed, match=r"no document arrived for 60 s \(app-case 0 of 5\)"):
        world.refresh()
    assert 60 <= sum(world.clock.slept) < 62


def test_an_index_that_fills_slowly_is_waited_for() -> None:
    world = World()
    backlog: list[Item] = []
    world.consumers._deliver = lambda item: backlog.append(item) if "entityName" in item else None

    def on_sleep() -> None:
        world.clock.time += 50  # longer than the patience in all, but something arrives each time
        if backlog:
            world.deliver(backlog.pop())

    world.clock.on_sleep = on_sleep
    world.refresh()
    assert world.outcome().result is Result.PROVEN
    assert len(world.clock.slept) >= 5


@pytest.mark.parametrize("document_id", ["stale_document", "case|0_case|0"])
def test_documents_that_must_not_be_there_fail(document_id: str) -> None:
    world = World()
    world.refresh(chosen=STEPS[: STEPS.index("index")])
    index = world.target_domains.index(DOMAIN)
    if document_id in index.data[INDEX]:  # as many as expected, but another one
        del index.data[INDEX][document_id]
        document_id = "case|0_other"
    index.put(INDEX, document_id, {})
    with pytest.raises(VerificationFailed, match=f"index {INDEX}"):
        world.resume()
    assert world.outcome().exit_code == 4


def test_an_address_in_any_index_is_found() -> None:
    world = World()
    world.refresh(chosen=STEPS[: STEPS.index("index")])
    world.target_domains.index(DOMAIN).put("forgotten", "ada@court.example.org", {"to": "ada@court.example.org"})
    with pytest.raises(LeakFound, match="2 addresses"):
        world.resume()
    assert {place.where for place in world.outcome().leaks.places} == {"forgotten"}


# -- what a resumed run relies on


@pytest.mark.parametrize("name", [SOURCE, TARGET])
def test_a_recreated_table_is_refused(name: str) -> None:
    world = World()
    with pytest.raises(Killed):
        world.refresh(trip=Trip(_first_put() + 2))
    tables = world.source_tables if name == SOURCE else world.target_tables
    old = tables[name].all()
    tables.create(name, KEYS, "expires").put(old)
    with pytest.raises(RunConflict, match=f"table {name} was re-created"):
        world.resume()
    assert not world.consumers.enabled


def test_another_mask_is_refused() -> None:
    world = World()
    with pytest.raises(Killed):
        world.refresh(trip=Trip(_first_put() + 2))
    world.key = MaskKey(bytes(range(100, 132)))
    before = len(world.writes)
    with pytest.raises(RunConflict, match="masking key, sink, keep lists or policy"):
        world.resume()
    assert f"put {TARGET}" not in world.writes[before:]


def test_the_expiry_cut_off_does_not_move_with_the_clock() -> None:
    world = World([{"pk": {"S": f"{n}"}, "sk": {"S": "x"}, "expires": {"N": str(1_800_260_000 + n)}} for n in range(9)])
    with pytest.raises(Killed):
        world.refresh(trip=Trip(_first_put() + 2))
    world.clock.time += 30 * 86400
    world.resume()
    assert world.outcome().tables[0].expired == 0


def test_a_segment_count_that_changed_does_not_matter_to_a_run_that_began() -> None:
    world = World()
    with pytest.raises(Killed):
        world.refresh(trip=Trip(_first_put() + 2))
    world.plan = replace(world.plan, engine=EnginePlan("serial", 5, 7))
    world.resume()
    assert world.outcome().result is Result.PROVEN


def _first_put() -> int:
    trip = Trip()
    World().refresh(trip=trip)
    return trip.names.index("MemoryWriter.put") + 1


# -- refusals before the first write


def refused(world: World, error: type[DownstageError], said: str) -> None:
    with pytest.raises(error, match=said):
        world.refresh()
    assert world.writes == []


def test_credentials_of_another_account_write_nothing() -> None:
    world = World()
    world.target_identity.account = PROD
    refused(world, GuardRefused, "belong to account 111111111111, which is 'prod'")


def test_a_protected_target_is_not_written() -> None:
    plan = plan_of()
    refused(World(plan=replace(plan, target=replace(plan.target, protected=True))), GuardRefused, "protected")


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"wipe": Wipe(("*",))}, GuardRefused, "fewer than 3"),
        ({"wipe": Wipe(("deploy*",))}, GuardRefused, "holds flags"),
    ],
)
def test_a_plan_that_would_hurt_writes_nothing(
    change: Mapping[str, Any], error: type[DownstageError], said: str
) -> None:
    refused(World(plan=plan_of(**change)), error, said)


@pytest.mark.parametrize("step", ["flags", "wipe", "deploy", "consumers-off", "copy", "sync", "consumers-on"])
def test_every_step_that_writes_asks_who_we_are_anew(step: str) -> None:
    world = World()
    done = STEPS[: STEPS.index(step)]
    world.refresh(chosen=done)
    world.target_identity.account = "333333333333"
    before = len(world.writes)
    with pytest.raises(GuardRefused, match="333333333333"):
        world.resume(chosen=[*done, step])
    assert world.writes[before:] == []


def test_preflight_names_every_problem_at_once() -> None:
    world = World()
    world.consumers.mappings.clear()
    del world.source_tables.tables[SOURCE]
    del world.store.buckets[COPIES]
    with pytest.raises(DownstageError) as caught:
        world.refresh()
    text = str(caught.value)
    assert text.count("\n") == 2
    assert all(part in text for part in ("streams.functions", SOURCE, COPIES))
    record = world.journal.step("run-1", "preflight")
    assert record is not None
    assert "\n" not in record.detail
    assert world.writes == []


def test_a_copy_target_that_holds_items_is_refused() -> None:
    world = World(plan=plan_of(wipe=None, deploy=None))
    with pytest.raises(RunConflict, match="holds items that this run did not write"):
        world.refresh()
    assert f"put {TARGET}" not in world.writes


def test_a_target_with_another_key_is_refused() -> None:
    world = World(plan=plan_of(wipe=None, deploy=None))
    world.target_tables.create(TARGET, ("pk",))
    with pytest.raises(ConfigError, match="has the key pk, app-prod has pk/sk"):
        world.refresh()


def test_a_target_that_is_not_ready_is_refused() -> None:
    world = World(plan=plan_of(wipe=None, deploy=None))
    world.target_tables.create(TARGET, KEYS).status = "CREATING"
    with pytest.raises(AwsError, match="is CREATING"):
        world.refresh()


def test_keys_with_addresses_in_the_source_bucket_stop_the_run_before_the_wipe() -> None:
    world = World()
    world.store.put(DOCUMENTS, "mail/ada@court.example.org.eml", b"x")
    with pytest.raises(GuardRefused, match="1 object keys of bucket documents-prod"):
        world.refresh()
    assert world.writes == []


def test_too_many_deletes_stop_the_run_before_the_wipe_unless_they_are_allowed() -> None:
    world = World(plan=plan_of(buckets=(bucket_pair(max_delete=MaxDelete()),)))
    with pytest.raises(GuardRefused, match="deleting 1 of 2 objects of bucket 'documents-test'"):
        world.refresh()
    assert world.writes == []
    world.refresh(world.begin("run-2", yes=True))
    assert world.outcome("run-2").buckets[0].deleted == 1


# -- flags, wipe, deploy, consumers


class Rewriting(MemoryFlags):
    """Writes numbers and sets as DynamoDB does, or something else altogether."""

    honest = True

    def read(self, flag: Flag) -> Mapping[str, Any] | str | None:
        if not isinstance(flag, ItemFlag):
            return super().read(flag)
        return {"n": {"N": "1"}, "s": {"SS": ["a", "b"]}} if self.honest else {"n": {"N": "2"}, "s": {"SS": ["a", "b"]}}


@pytest.mark.parametrize("honest", [True, False])
def test_flags_are_compared_by_value(honest: bool) -> None:
    flag = ItemFlag(TargetTable(TEST, REGION, FLAGS), {"pk": {"S": "x"}}, {"n": {"N": "1.0"}, "s": {"SS": ["b", "a"]}})
    world = World(plan=plan_of(flags=(flag,)))
    flags = Rewriting(world.writes)
    flags.honest = honest
    world.flags = flags
    if honest:
        world.refresh()
        return
    with pytest.raises(VerificationFailed, match=r"flag deploy-test\[n, s\] was written but reads otherwise"):
        world.refresh()
    assert "delete table" not in " ".join(world.writes)


def test_a_parameter_that_reads_otherwise_stops_the_run() -> None:
    world = World()
    world.flags.read = lambda flag: None  # type: ignore[method-assign]
    with pytest.raises(VerificationFailed, match="reads otherwise"):
        world.refresh()


def test_a_domain_that_is_on_its_way_out_is_not_emptied() -> None:
    world = World()
    described = world.target_domains.description

    def description(domain: str) -> Mapping[str, Any] | None:
        found = described(domain)
        return found if found is None or "deploy" in world.writes else {**found, "Deleted": True}

    world.target_domains.description = description  # type: ignore[method-assign]
    world.target_domains.index = _gone_until_deployed(world)  # type: ignore[method-assign]
    world.refresh()
    assert "delete index app-case" not in world.writes
    assert f"delete domain {DOMAIN}" in world.writes


def _gone_until_deployed(world: World) -> Any:
    real = world.target_domains.index

    def index(domain: str) -> Any:
        if "deploy" not in world.writes:
            raise Unreachable("a domain that is being deleted does not answer")
        return real(domain)

    return index


def test_a_table_that_the_deploy_did_not_make_is_missed() -> None:
    world = World()
    world.deployer.deploy = lambda intent: "nothing"  # type: ignore[method-assign]
    with pytest.raises(NotFound, match=TARGET):
        world.refresh()


def test_a_consumer_on_a_stream_that_is_gone_is_refused() -> None:
    world = copied()
    world.consumers.add("streams_other", TARGET, "arn:old", enabled=False)
    with pytest.raises(AwsError, match="streams_other listens to a stream of table app-test that is gone"):
        world.resume()
    assert not world.consumers.enabled


def test_a_consumer_of_a_replica_in_another_region_is_switched_with_the_rest() -> None:
    world = copied()
    replica = world.consumers.add("streams_west", TARGET, "arn:aws:dynamodb:us-west-1:…", enabled=False)
    world.consumers.mappings[replica.uuid] = replace(replica, region="us-west-1")
    world.resume()
    assert world.consumers.enabled == [FUNCTION, "streams_west"]


def test_without_anything_optional_a_refresh_is_a_copy() -> None:
    world = World(plan=plan_of(flags=(), wipe=None, deploy=None, streams=None, search=None, buckets=()))
    world.target_tables.create(TARGET, KEYS, "expires")
    world.refresh()
    assert world.outcome().result is Result.PROVEN
    assert set(world.writes) == {f"put {TARGET}"}
    assert world.outcome().consumers == "none configured"


# -- how steps are run


def test_steps_that_were_not_chosen_are_entered_as_skipped() -> None:
    world = World()
    world.refresh(chosen=[name for name in STEPS if name != "verify-index"])
    assert state(world, "verify-index") == StepState.SKIPPED
    assert (world.outcome().result, world.outcome().exit_code) == (Result.INCOMPLETE, 6)


@pytest.mark.parametrize("proof", ["verify-tables", "verify-buckets"])
def test_consumers_are_not_switched_on_over_what_is_not_verified(proof: str) -> None:
    world = World()
    with pytest.raises(GuardRefused, match=f"--skip {proof}"):
        world.refresh(chosen=[name for name in STEPS if name != proof])


def test_a_single_step_leaves_the_others_alone() -> None:
    world = World()
    world.refresh(world.begin(kind="flags"), chosen=["flags"])
    assert [step.name for step in world.journal.steps("run-1")] == ["flags"]


def test_an_error_that_is_not_ours_is_told_by_name_only() -> None:
    world = World()

    def quote(name: str, regions: Collection[str] = ()) -> bool:
        raise ValueError("could not convert 'ada@court.example.org'")

    world.target_tables.delete = quote  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="court"):
        world.refresh()
    record = world.journal.step("run-1", "wipe")
    assert record is not None
    assert (record.state, record.detail) == (StepState.FAILED, "unexpected ValueError")
    assert "court" not in repr(world.events.events)


def test_the_failed_step_of_two_does_not_stop_the_other() -> None:
    world = World()
    world.store.put(DOCUMENTS, "mail/ada@court.example.org.eml", b"x")
    with pytest.raises(GuardRefused):
        world.refresh(chosen=STEPS[1:])
    assert (state(world, "copy"), state(world, "sync")) == (StepState.DONE, StepState.FAILED)


def test_verify_alone_goes_by_an_earlier_copy() -> None:
    world = World()
    world.refresh()
    world.refresh(world.begin("run-2", copy_run="run-1"), chosen=["verify-tables"])
    record = world.journal.step("run-2", "verify-tables")
    assert record is not None
    assert record.state == StepState.DONE
    with pytest.raises(JournalError, match="copied no tables"):
        world.refresh(world.begin("run-3"), chosen=["verify-tables"])


def test_index_alone_goes_by_earlier_verified_tables() -> None:
    world = World()
    world.refresh()
    world.refresh(world.begin("run-2", verified_run="run-1"), chosen=["verify-index"])
    with pytest.raises(JournalError, match="verify-tables"):
        world.refresh(world.begin("run-3"), chosen=["index"])


def test_production_is_only_read() -> None:
    world = World()
    world.refresh()
    assert world.source_tables[SOURCE].items == World().source_tables[SOURCE].items
    assert world.store.buckets[DOCUMENTS] == World().store.buckets[DOCUMENTS]
    assert not [write for write in world.writes if "prod" in write]


def test_sums_over_segments() -> None:
    largest = (1 << 128) - 1
    done = [Checkpoint(0, 2, None, True, largest, {"written": 2}), Checkpoint(1, 2, None, True, 3, {"written": 1})]
    found = [Checkpoint(0, 1, None, True, 2, {"items": 3})]
    assert summed(done) == {"written": 3}
    assert total_digest(done) == f"{2:032x}"
    assert same_items(done, found)
    assert not same_items(done, [replace(found[0], counters={"items": 2})])
    assert not whole([])
    assert not whole(done[:1])
    assert total_digest([done[0], replace(done[1], done=False)]) == ""
    assert not same_items([], [])


def test_the_items_of_the_world_are_what_the_tests_think() -> None:
    plan: RefreshPlan = plan_of()
    assert len(some_items()) == 9
    assert plan.flags_tables == {FLAGS}


def test_items_expire_only_after_the_target_is_verified() -> None:
    world = World()
    world.refresh()
    steps = [record.name for record in world.journal.steps("run-1")]
    assert steps.index("verify-tables") < steps.index("expiry") < steps.index("consumers-on")
    assert world.target_tables[TARGET].ttl_attribute == "expires"
    assert world.writes.count(f"expire items of {TARGET}") == 1


def test_a_target_that_is_not_proven_expires_nothing() -> None:
    world = copied()
    world.target_tables[TARGET].put([{"pk": {"S": "case|9"}, "sk": {"S": "x"}}])
    stopped(world, VerificationFailed, f"table {TARGET}")
    assert world.target_tables[TARGET].ttl_attribute is None


def test_expiry_that_the_configuration_accepts_as_it_is_is_left_alone() -> None:
    pair = plan_of().tables[0]
    world = World(plan=plan_of(tables=(replace(pair, terms=ParityTerms(accept=("ttl",))),)))
    world.refresh()
    assert world.target_tables[TARGET].ttl_attribute is None


@pytest.mark.parametrize("left_out", [("copy", "verify-tables"), ("verify-tables",)])
def test_without_a_copy_that_is_verified_expiry_is_left_as_it_is(left_out: tuple[str, ...]) -> None:
    world = World()
    chosen = [name for name in STEPS if name not in (*left_out, "consumers-on", "index", "verify-index")]
    world.refresh(chosen=chosen)
    record = world.journal.step("run-1", "expiry")
    assert record is not None
    assert (record.state, record.detail) == ("done", "left as it is: no table was copied and verified")
    assert world.target_tables[TARGET].ttl_attribute is None
