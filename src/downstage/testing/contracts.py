"""What every implementation of a port must do, as suites to inherit from. Needs pytest.

class TestMyJournal(JournalContract):
    @pytest.fixture
    def journal(self, tmp_path): return MyJournal(tmp_path)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from downstage.errors import AwsError, JournalError, RunConflict, SegmentEnded
from downstage.ports import Checkpoint, Engine, Journal, Lane, RunRecord, StepRecord
from downstage.testing.lanework import FailAt, Mark, noted

RUN = RunRecord("run-1", "test", "refresh", "running", 1, "2027-01-15T08:00:00Z", "", {"buckets": [["a", "b"]], "n": 1})


class JournalContract:
    """Give a fixture `journal`: an empty one."""

    def test_a_run_comes_back_as_it_was_entered(self, journal: Journal) -> None:
        journal.create_run(RUN)
        assert journal.run("run-1") == RUN
        assert journal.run("run-2") is None

    def test_a_run_id_is_taken_once(self, journal: Journal) -> None:
        journal.create_run(RUN)
        with pytest.raises(RunConflict):
            journal.create_run(replace(RUN, environment="other"))
        assert journal.run("run-1") == RUN

    def test_runs_come_oldest_first(self, journal: Journal) -> None:
        for run_id, started in (("b", "2027-03"), ("c", "2027-01"), ("a", "2027-03")):
            journal.create_run(replace(RUN, run_id=run_id, started=started))
        assert [run.run_id for run in journal.runs()] == ["c", "a", "b"]

    def test_whoever_takes_over_fences_the_others(self, journal: Journal) -> None:
        journal.create_run(RUN)
        journal.end_run("run-1", 1, "failed", "2027-02")
        taken = journal.take_over("run-1")
        assert (taken.epoch, taken.state, taken.ended) == (2, "running", "")
        old: list[Callable[[], None]] = [
            lambda: journal.end_run("run-1", 1, "finished", ""),
            lambda: journal.save_step("run-1", 1, StepRecord("copy", "done", 1.0, "")),
            lambda: journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(0, 1)),
            lambda: journal.quarantine("run-1", 1, "copy/t", "abc", "reason"),
            lambda: journal.add_finding("run-1", 1, "verify/t", {"where": "t"}),
            lambda: journal.save_canaries("run-1", 1, "copy/t", 0, ["ab"]),
        ]
        for write in old:
            with pytest.raises(RunConflict):
                write()
        assert journal.run("run-1") == taken
        assert not journal.steps("run-1")
        assert not journal.checkpoints("run-1", "copy/t")
        assert not journal.quarantined("run-1", "copy/t")
        assert not journal.findings("run-1")
        assert not journal.canaries("run-1")
        journal.save_step("run-1", 2, StepRecord("copy", "done", 1.0, ""))
        assert len(journal.steps("run-1")) == 1

    def test_two_successors_never_get_the_same_epoch(self, journal: Journal) -> None:
        journal.create_run(RUN)
        epochs: list[int] = []
        ready = threading.Barrier(4)

        def take() -> None:
            ready.wait()
            epochs.extend([journal.take_over("run-1").epoch for _ in range(5)])

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(epochs) == list(range(2, 22))

    def test_an_unknown_run_cannot_be_taken_or_written(self, journal: Journal) -> None:
        with pytest.raises(JournalError):
            journal.take_over("nothing")
        with pytest.raises(RunConflict):
            journal.save_checkpoint("nothing", 1, "copy/t", Checkpoint(0, 1))

    def test_steps_keep_their_place(self, journal: Journal) -> None:
        journal.create_run(RUN)
        for name, state in (("wipe", "running"), ("copy", "running"), ("wipe", "done")):
            journal.save_step("run-1", 1, StepRecord(name, state, 1.5, f"{name} é", {"tables": ["t"]}, {"ended": 2.5}))
        assert [(step.name, step.state) for step in journal.steps("run-1")] == [("wipe", "done"), ("copy", "running")]
        assert journal.step("run-1", "wipe") == StepRecord(
            "wipe", "done", 1.5, "wipe é", {"tables": ["t"]}, {"ended": 2.5}
        )
        assert journal.step("run-1", "deploy") is None

    def test_a_checkpoint_replaces_the_last_one(self, journal: Journal) -> None:
        journal.create_run(RUN)
        journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(1, 2, "sealed", False, 5, {"read": 3}))
        journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(0, 2, "other", False, 7, {"read": 1}))
        journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(1, 2, None, True, 9, {"read": 6}))
        journal.save_checkpoint("run-1", 1, "copy/other", Checkpoint(0, 1))
        assert list(journal.checkpoints("run-1", "copy/t")) == [
            Checkpoint(0, 2, "other", False, 7, {"read": 1}),
            Checkpoint(1, 2, None, True, 9, {"read": 6}),
        ]
        assert not journal.checkpoints("run-2", "copy/t")
        assert journal.checkpoint("run-1", "copy/t", 1) == Checkpoint(1, 2, None, True, 9, {"read": 6})
        assert journal.checkpoint("run-1", "copy/t", 2) is None
        assert journal.checkpoint("run-2", "copy/t", 0) is None

    def test_what_is_done_is_not_taken_back_by_an_attempt_that_was_given_up(self, journal: Journal) -> None:
        journal.create_run(RUN)
        done = Checkpoint(1, 2, None, True, 9, {"read": 6})
        again = replace(done, cursor="sealed", digest=8)
        beginning = Checkpoint(1, 2)
        older = [
            Checkpoint(1, 2, "sealed", False, 5, {"read": 3}),
            Checkpoint(1, 2, None, False, 0, {"read": 0}),
            Checkpoint(1, 2, None, False, 5),
            Checkpoint(1, 2, "sealed"),
        ]
        journal.save_checkpoint("run-1", 1, "copy/t", done)
        for late in older:
            with pytest.raises(SegmentEnded, match="segment 1 of copy/t was ended by another attempt"):
                journal.save_checkpoint("run-1", 1, "copy/t", late)
        journal.save_checkpoint("run-1", 1, "copy/t", replace(older[0], segment=0))
        journal.save_checkpoint("run-1", 1, "copy/u", older[0])
        assert list(journal.checkpoints("run-1", "copy/t")) == [replace(older[0], segment=0), done]
        journal.save_checkpoint("run-1", 1, "copy/t", again)  # two that have both read all of it
        assert journal.checkpoint("run-1", "copy/t", 1) == again
        with pytest.raises(SegmentEnded):
            journal.save_checkpoint("run-1", 1, "copy/t", older[0])
        journal.save_checkpoint("run-1", 1, "copy/t", beginning)  # a step that has it done anew
        assert journal.checkpoint("run-1", "copy/t", 1) == beginning
        for point in older:
            journal.save_checkpoint("run-1", 1, "copy/t", point)
            assert journal.checkpoint("run-1", "copy/t", 1) == point
        journal.save_checkpoint("run-1", 1, "copy/t", done)
        taken = journal.take_over("run-1")
        with pytest.raises(RunConflict):  # a predecessor is told that, whatever else stands in its way
            journal.save_checkpoint("run-1", 1, "copy/t", older[0])
        with pytest.raises(SegmentEnded):
            journal.save_checkpoint("run-1", taken.epoch, "copy/t", older[0])
        journal.forget_step("run-1", taken.epoch, None, ["copy/"])
        journal.save_checkpoint("run-1", taken.epoch, "copy/t", older[0])
        assert list(journal.checkpoints("run-1", "copy/t")) == [older[0]]

    def test_digests_of_128_bits_and_counters_of_62_survive(self, journal: Journal) -> None:
        journal.create_run(RUN)
        largest = Checkpoint(0, 1, None, True, (1 << 128) - 1, {"ids:i": (1 << 62) - 1})
        journal.save_checkpoint("run-1", 1, "verify/t", largest)
        assert list(journal.checkpoints("run-1", "verify/t")) == [largest]

    def test_what_is_entered_twice_is_there_once(self, journal: Journal) -> None:
        journal.create_run(RUN)
        for _ in range(2):
            journal.quarantine("run-1", 1, "copy/t", "bb", "too large")
            journal.quarantine("run-1", 1, "copy/t", "aa", "empty key")
            journal.add_finding("run-1", 1, "verify/t", {"where": "t", "layers": ("base64", "json")})
        journal.quarantine("run-1", 1, "copy/u", "aa", "empty key")
        assert list(journal.quarantined("run-1", "copy/t")) == [("aa", "empty key"), ("bb", "too large")]
        assert list(journal.findings("run-1")) == [{"where": "t", "layers": ["base64", "json"]}]

    def test_canaries_of_a_segment_replace_its_last_ones(self, journal: Journal) -> None:
        journal.create_run(RUN)
        journal.save_canaries("run-1", 1, "copy/t", 0, ["aa", "bb"])
        journal.save_canaries("run-1", 1, "copy/t", 1, ["cc"])
        journal.save_canaries("run-1", 1, "copy/u", 0, [])
        journal.save_canaries("run-1", 1, "copy/t", 0, ["bb", "dd"])
        found = {place: list(canaries) for place, canaries in journal.canaries("run-1").items()}
        assert found == {("copy/t", 0): ["bb", "dd"], ("copy/t", 1): ["cc"], ("copy/u", 0): []}
        assert not journal.canaries("run-2")
        assert list(journal.segment_canaries("run-1", "copy/t", 0)) == ["bb", "dd"]
        assert list(journal.segment_canaries("run-1", "copy/t", 7)) == []

    def test_a_step_that_is_taken_back_never_began(self, journal: Journal) -> None:
        journal.create_run(RUN)
        for name in ("wipe", "copy", "sync", "verify-tables"):
            journal.save_step("run-1", 1, StepRecord(name, "done", 1.0, ""))
        for task in ("copy/t", "copy/u", "sync/b"):
            journal.save_checkpoint("run-1", 1, task, Checkpoint(0, 1))
            journal.save_canaries("run-1", 1, task, 0, ["aa"])
            journal.quarantine("run-1", 1, task, "aa", "too large")
        journal.forget_step("run-1", 1, "copy", ["copy/"])
        journal.save_step("run-1", 1, StepRecord("copy", "running", 0.0, ""))
        assert [step.name for step in journal.steps("run-1")] == ["wipe", "sync", "verify-tables", "copy"]
        for task, left in (("copy/t", 0), ("copy/u", 0), ("sync/b", 1)):
            assert len(journal.checkpoints("run-1", task)) == left
            assert len(journal.quarantined("run-1", task)) == left
        assert list(journal.canaries("run-1")) == [("sync/b", 0)]
        journal.save_checkpoint("run-1", 1, "survey/b", Checkpoint(0, 1))
        journal.forget_step("run-1", 1, None, ["survey/"])
        assert not journal.checkpoints("run-1", "survey/b")
        assert [step.name for step in journal.steps("run-1")] == ["wipe", "sync", "verify-tables", "copy"]
        journal.take_over("run-1")
        with pytest.raises(RunConflict):
            journal.forget_step("run-1", 1, "sync", ["sync/"])
        assert len(journal.checkpoints("run-1", "sync/b")) == 1

    def test_a_large_intent_survives(self, journal: Journal) -> None:
        journal.create_run(RUN)
        tables = [{"source": f"app-prod-{n}", "target": f"app-test-{n}", "segments": n} for n in range(6000)]
        large = StepRecord("copy", "running", 0.0, "", {"tables": tables}, {})
        journal.save_step("run-1", 1, large)
        assert journal.step("run-1", "copy") == large

    def test_threads_share_it(self, journal: Journal) -> None:
        journal.create_run(RUN)
        errors: list[BaseException] = []

        def save(segment: int) -> None:
            try:
                for count in range(5):
                    journal.save_checkpoint("run-1", 1, "copy/t", Checkpoint(segment, 4, None, False, count))
            except BaseException as error:  # noqa: BLE001  asserted below
                errors.append(error)

        threads = [threading.Thread(target=save, args=(segment,)) for segment in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert [checkpoint.digest for checkpoint in journal.checkpoints("run-1", "copy/t")] == [4, 4, 4, 4]


class EngineContract:
    """Give a fixture `engine`."""

    def test_every_lane_is_run_and_yielded_once(self, engine: Engine, tmp_path: Path) -> None:
        lanes = [Lane("copy/t", (segment,)) for segment in range(5)]
        done = list(engine.run(Mark(tmp_path), lanes))
        assert sorted(done, key=lambda lane: lane.segments) == lanes
        assert all(len(noted(tmp_path, f"lane-{segment}")) == 1 for segment in range(5))

    def test_no_lanes_are_no_work(self, engine: Engine, tmp_path: Path) -> None:
        assert list(engine.run(Mark(tmp_path), [])) == []

    def test_the_error_of_a_lane_is_raised_as_it_was(self, engine: Engine, tmp_path: Path) -> None:
        lanes = [Lane("copy/t", (segment,)) for segment in range(4)]
        with pytest.raises(AwsError, match="lane 1 failed") as caught:
            list(engine.run(FailAt(tmp_path, 1), lanes))
        assert caught.value.code == "Boom"
