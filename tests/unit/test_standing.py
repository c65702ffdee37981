"""What is said of an environment that a run has left on the way is true: wherever it was cut off or failed, whatever is
configured, and with two consumers of which one may be on and the other off; and it is said of each state in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from downstage.domain.plan import RefreshPlan, Streams, Wipe
from downstage.errors import AwsError, LeakFound, VerificationFailed
from downstage.ports import RunRecord, StepRecord
from downstage.testing.faults import Killed, Trip
from downstage.testing.world import COPIES, DOMAIN, FUNCTION, INDEX, TARGET, World, case, plan_of
from downstage.workflow.bucket_plans import BUCKET_PLANS
from downstage.workflow.how_far import how_far
from downstage.workflow.put_back import put_back
from downstage.workflow.refresh import forget_from
from downstage.workflow.standing import standing
from downstage.workflow.were_on import BY_THE_RUN, SWITCHING
from tests.unit.proven_world import LEAK, ended
from tests.unit.search_world import up_to

SECOND = "streams_test_2"
BOTH = Streams((FUNCTION, SECOND))
ELSEWHERE = Wipe(("old-*",), ())

KINDS: Mapping[str, Mapping[str, Any]] = {
    "everything": {},
    "no wipe": {"wipe": None},
    "no deploy": {"wipe": ELSEWHERE, "deploy": None},
    "neither": {"wipe": None, "deploy": None},
    "domains only": {"wipe": Wipe((), ("search-test*",))},
    "no flags": {"flags": ()},
    "no buckets": {"buckets": ()},
    "no search": {"search": None, "wipe": Wipe(("app-test*",), ())},
    "no streams": {"streams": None, "search": None},
    "buckets only": {
        "tables": (), "search": None, "streams": None, "wipe": None, "deploy": None, "flags": ()
    },
}  # fmt: skip


def world_of(kind: str) -> World:
    """Two consumers that are on, and a target that holds what it held before."""
    world = World(plan=plan_of(**{"streams": BOTH, **KINDS[kind]}))
    world.consumers.add(SECOND, TARGET, world.target_tables[TARGET].stream_arn)
    if world.plan.wipe is None or TARGET not in wiped_by(world.plan):
        world.target_tables[TARGET].items.clear()
        world.target_tables[TARGET].records.clear()
        world.target_domains.index(DOMAIN).data.clear()
    world.writes.clear()
    return world


def wiped_by(plan: RefreshPlan) -> str:
    return TARGET if plan.wipe is not None and "app-test*" in plan.wipe.tables else ""


def said(world: World, state: str = "interrupted") -> str:
    run = world.journal.run("run-1")
    assert run is not None
    found = world.outcome().standing if ended(world, state) else ""
    assert "\n" not in found
    return found


def refute(world: World, told: str) -> str:
    """What is told that is not so; nothing if all is true."""
    on = world.consumers.enabled
    writes = world.writes
    copied = f"put {TARGET}" in writes
    synced = any(COPIES in write for write in writes)
    deployed, deleted = "deploy" in writes, any(write.startswith("delete ") for write in writes)
    steps = {record.name: record.state for record in world.journal.steps("run-1")}
    untrue = {
        "The consumers are off": bool(on),
        "The consumers are on again": len(on) != 2,
        "has not switched the consumers off": len(on) != 2 and not deployed,
        "Nothing was written yet": bool(writes),
        "The data are as they were": copied or synced or deployed or deleted,
        "the old data are still there": copied or deployed or deleted,
        "nothing was copied yet": copied,
        "' names are deleted": not deleted,
        "were deleted": not deleted,
        "The deployment has": deployed is False and world.plan.deploy is None,
        "The tables are loaded": not copied or steps.get("copy") != "done",
        "The buckets are loaded": steps.get("sync") != "done",
        "The tables and buckets are loaded": steps.get("copy") != "done" or steps.get("sync") != "done",
        "tables are loaded and verified": steps.get("verify-tables") != "done",
        "buckets are loaded and verified": steps.get("verify-buckets") != "done",
        "The buckets are as they were": synced,
        "The search indexes are verified": steps.get("verify-index") != "done",
        "The flags are set": not any(write.startswith("flag ") for write in writes),
    }
    wrong = [words for words, false in untrue.items() if false and words in told]
    must = {
        "consumers": len(on) == 1 and "some may be on" not in told,
        "tables": copied and "tables" not in told,
        "unverified": copied and steps.get("verify-tables") != "done" and "use nothing of them" not in told,
        "buckets": synced and "buckets" not in told,
    }
    return ", ".join([*wrong, *(f"silent of {name}" for name, missing in must.items() if missing)])


TELLING = ("save_step", "switch", "write", "delete", "deploy", "put", "create", "restore")


@pytest.mark.parametrize(
    ("kind", "fails"), [*((kind, False) for kind in KINDS), ("everything", True), ("neither", True)]
)
def test_wherever_a_run_is_cut_off_or_fails_what_is_said_is_true(kind: str, fails: bool) -> None:
    """Killed after a call has had its effect, or failed by a call that had none: at every call that changes anything,
    and every record."""
    quiet, trip = world_of(kind), Trip()
    quiet.refresh(trip=trip)
    assert said(quiet, "finished") == ""
    places = [at for at, name in enumerate(trip.names, 1) if name.rpartition(".")[2] in TELLING]
    assert len(places) > 20
    for at in places:
        world = world_of(kind)
        error: Callable[[], BaseException] = (lambda: AwsError("no")) if fails else Killed
        with pytest.raises((AwsError, Killed)):
            world.refresh(trip=Trip(at, after=not fails, error=error, lasting=not fails))
        told = said(world)
        assert refute(world, told) == "", (at, trip.names[at - 1], told, world.writes, world.consumers.enabled)


# ---- each state in words

RUN = RunRecord("run-1", "test", "refresh", "failed", 1, "2027-01-15T08:00:00Z", "", {"streams": True})
DONE, FAILED, RUNNING, SKIPPED = "done", "failed", "running", "skipped"
COPY = {"tables": [{"target": TARGET}]}
SYNC = {BUCKET_PLANS: [{"target": COPIES}]}
STARTED = {"began": 1.0, "started": 2.0}
WIPED = {"tables": [TARGET], "domains": ["search-test"]}
LEAKED = {"exit_code": LeakFound.exit_code}
WRONG = {"exit_code": VerificationFailed.exit_code}


def step(name: str, state: str, intent: Any = None, result: Any = None) -> StepRecord:
    return StepRecord(name, state, 1.0, "", intent or {}, result or {})


def records(*steps: StepRecord) -> dict[str, StepRecord]:
    return {one.name: one for one in steps}


NOTHING_DONE = (step("wipe", DONE), step("deploy", DONE))
"""What is entered where neither is configured."""


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ((), "Nothing was written yet."),
        ((step("wipe", DONE), step("deploy", DONE)), "Nothing was written yet."),
        ((*NOTHING_DONE, step("consumers-off", FAILED, {"enabled": []})), "The data are as they were."),
        ((step("flags", DONE, {"flags": []}), *NOTHING_DONE), "Nothing was written yet."),
        (
            (step("flags", FAILED, {"flags": ["a", "b"]}),),
            "Some or all of the flags are set for the new data; the old data are still there.",
        ),
        (
            (step("flags", DONE, {"flags": ["a"]}), *NOTHING_DONE, step("restore-search", FAILED, {"domain": "d"})),
            "The flags are set for the new data; the old data are still there.",
        ),
        ((step("wipe", FAILED),), "Nothing was written yet."),
        ((step("wipe", DONE, {"tables": [], "domains": []}),), "Nothing was written yet."),
        (
            (step("wipe", RUNNING, WIPED),),
            "The wipe has begun: of the tables and search domains that it names some or all may be deleted.",
        ),
        ((step("wipe", DONE, WIPED),), "The tables and search domains that 'wipe' names are deleted."),
        (
            (step("wipe", DONE, {"tables": [], "domains": ["d"]}), step("deploy", DONE)),
            "The search domains that 'wipe' names are deleted.",
        ),
        (
            (step("wipe", DONE, {"tables": [], "domains": [], "further": {"us-west-1": {"tables": ["t"]}}}),),
            "The tables that 'wipe' names are deleted.",
        ),
        (
            (step("wipe", DONE, WIPED), step("deploy", FAILED, {"id": "1"})),
            "The tables and search domains were deleted and the deployment has begun; nothing was copied yet.",
        ),
        (
            (step("wipe", DONE), step("deploy", DONE, {"id": "1"})),
            "The deployment has ended; nothing was copied yet.",
        ),
        ((*NOTHING_DONE, step("copy", FAILED)), "Nothing was written yet."),  # it was refused
        (
            (step("copy", RUNNING, COPY), step("sync", RUNNING, SYNC, STARTED)),
            "The tables and buckets hold a part of the new data, and nothing of it is verified: use nothing of them.",
        ),
        (
            (step("copy", DONE, COPY), step("sync", FAILED, SYNC, {"began": 1.0})),
            "The tables are loaded and not verified: use nothing of them. The buckets are as they were.",
        ),
        (
            (
                step("copy", DONE, COPY), step("sync", DONE, SYNC, STARTED),
                step("verify-tables", DONE), step("verify-buckets", FAILED, None, WRONG),
            ),
            "The tables are loaded and verified. The buckets are loaded, and verifying them failed: use nothing of "
            "them.",
        ),
        (
            (
                step("copy", DONE, COPY), step("sync", DONE, SYNC, STARTED),
                step("verify-tables", DONE), step("verify-buckets", SKIPPED),
            ),
            "The tables are loaded and verified. The buckets are loaded and not verified: use nothing of them.",
        ),
        (
            (
                step("copy", DONE, COPY), step("sync", DONE, {BUCKET_PLANS: []}),
                step("verify-tables", FAILED, {}, WRONG),
            ),
            "The tables are loaded, and verifying them failed: use nothing of them.",
        ),
        (
            (step("copy", DONE, COPY), step("verify-tables", FAILED, {}, LEAKED)),
            "The tables are loaded, and personal data was found in them: let nobody use them, and refresh again.",
        ),
        (
            (step("copy", DONE, COPY), step("verify-tables", RUNNING, {}, LEAKED)),  # looked at again, and not yet done
            "The tables are loaded, and personal data was found in them: let nobody use them, and refresh again.",
        ),
        (
            (step("copy", DONE, COPY), step("verify-tables", DONE, {}, LEAKED)),  # and found gone
            "The tables are loaded and verified.",
        ),
        (
            (step("copy", DONE, {"tables": []}), step("sync", RUNNING, SYNC, STARTED)),
            "The buckets hold a part of the new data, and nothing of it is verified: use nothing of them.",
        ),
        (
            (
                step("copy", DONE, COPY), step("sync", DONE, SYNC, STARTED), step("verify-tables", DONE),
                step("verify-buckets", DONE), step("index", FAILED, {INDEX: 3}),
            ),
            "The tables and buckets are loaded and verified. The search indexes are not filled yet, and not verified.",
        ),
        (
            (step("copy", DONE, COPY), step("verify-tables", DONE), step("index", DONE, {INDEX: 3})),
            "The tables are loaded and verified. The search indexes are filled and not verified.",
        ),
        (
            (
                step("copy", DONE, COPY), step("verify-tables", DONE),
                step("verify-index", FAILED, {"domain": "d"}, WRONG),
            ),
            "The tables are loaded and verified. Verifying the search indexes failed: do not rely on them.",
        ),
        (
            (
                step("copy", DONE, COPY), step("verify-tables", DONE),
                step("verify-index", FAILED, {"domain": "d"}, LEAKED),
            ),
            "The tables are loaded and verified. Personal data was found in the search indexes: let nobody use them, "
            "and refresh again.",
        ),
    ],
)  # fmt: skip
def test_how_far_the_data_are_is_told_of_tables_buckets_and_indexes_each_for_themselves(
    found: tuple[StepRecord, ...], told: str
) -> None:
    assert how_far(records(*found)) == told


ON = {"consumers": [FUNCTION, SECOND]}
WERE_ON = [[FUNCTION, TARGET, "us-east-1"], [SECOND, TARGET, "us-east-1"]]
OFF = {"enabled": WERE_ON}
SOME = "some may be on and some off; 'downstage streams status test' shows them"
GOES_ON = "The run settles them when it goes on, and 'downstage cancel run-1' when it is given up."
ARE_OFF = "The consumers are off (streams_test of app-test in us-east-1, streams_test_2 of app-test in us-east-1)"


@pytest.mark.parametrize("state", ["failed", "cut off", "interrupted", "parked"])
@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((step("consumers-off", RUNNING, OFF),), SOME),
        ((step("consumers-off", FAILED, OFF),), SOME),
        ((step("consumers-off", FAILED),), ""),
        ((step("consumers-off", DONE),), ""),  # none configured
        ((step("consumers-off", DONE, OFF),), ARE_OFF),
        ((step("consumers-off", DONE, OFF, {SWITCHING: True}),), SOME),
        ((step("consumers-off", DONE, OFF, {BY_THE_RUN: [FUNCTION]}),), SOME),
        ((step("consumers-off", DONE, OFF), step("consumers-on", RUNNING)), ARE_OFF),  # refused, or not begun
        ((step("consumers-off", DONE, OFF), step("consumers-on", FAILED)), ARE_OFF),
        ((step("consumers-off", DONE, OFF), step("consumers-on", SKIPPED)), ARE_OFF),
        ((step("consumers-off", DONE, OFF), step("consumers-on", RUNNING, ON)), SOME),
        ((step("consumers-off", DONE, OFF), step("consumers-on", FAILED, ON)), SOME),
        ((step("consumers-off", DONE, OFF), step("consumers-on", DONE, ON)), "The consumers are on again."),
        ((step("consumers-off", DONE, OFF), step("consumers-on", DONE, {"consumers": []})), ""),
        (
            (
                step("consumers-off", DONE, OFF), step("consumers-on", DONE, ON),
                step("verify-index", FAILED, {"domain": "d"}, LEAKED),
            ),
            "The consumers are on again, and go on delivering: switch them off with 'downstage streams off test'.",
        ),
    ],
)  # fmt: skip
def test_how_two_consumers_stand(found: tuple[StepRecord, ...], words: str, state: str) -> None:
    told = standing(replace(RUN, state=state), records(*found))
    if words:
        assert words in told
    else:
        assert "onsumers" not in told
    assert (GOES_ON in told) is (words == SOME)


def test_of_a_run_that_was_given_up_no_way_on_is_told() -> None:
    half = records(step("consumers-off", RUNNING, OFF))
    for state in ("cancelled", "superseded"):
        told = standing(replace(RUN, state=state), half)
        assert SOME in told
        assert "downstage cancel" not in told
    off = records(step("consumers-off", DONE, OFF))
    told = standing(replace(RUN, state="superseded"), off)
    assert "what it left is told as it was then" in told
    assert "The consumers were off" in told
    assert "downstage streams on" not in told
    assert "'downstage streams on test'" in standing(replace(RUN, state="cancelled"), off)


# ---- a run begun again from a step, and a cancel that was cut off


def test_a_run_that_is_begun_again_says_that_its_consumers_may_be_on_until_it_has_them_off() -> None:
    world = world_of("everything")
    world.refresh(chosen=up_to("index"))
    taken = world.journal.take_over("run-1")
    forget_from(world.journal, taken, "verify-tables")  # and no process is behind it any more
    told = said(world)
    assert len(world.consumers.enabled) == 2
    assert SOME in told
    world.resume(chosen=up_to("verify-tables"))
    assert not world.consumers.enabled
    assert "The consumers are off" in said(world)


def test_a_cancel_that_was_cut_off_is_not_what_is_told_once_the_run_has_gone_on() -> None:
    world = world_of("everything")
    world.refresh(chosen=up_to("copy"))
    taken = world.journal.take_over("run-1")
    parts = world.parts(taken)
    put_back(world.journal, taken, parts.consumers, world.plan, parts.guard, lambda _one: True, world.journal, "")
    assert len(world.consumers.enabled) == 2
    assert "on again, as before" in said(world)
    world.resume(chosen=up_to("verify-tables"))
    assert not world.consumers.enabled
    assert "The consumers are off" in said(world)


def test_a_leak_in_the_indexes_is_told_with_the_consumers_that_are_on() -> None:
    world = world_of("everything")
    world.refresh(chosen=up_to("index"))
    world.target_domains.index(DOMAIN).put(INDEX, "7", case(7, LEAK))
    with pytest.raises(LeakFound):
        world.resume()
    told = said(world, "failed")
    assert "Personal data was found in the search indexes" in told
    assert "switch them off with 'downstage streams off test'" in told
    assert LEAK not in told
