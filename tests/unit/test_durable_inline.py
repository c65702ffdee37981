"""Branches run together, all are waited for, and the first error in their order is raised."""

from __future__ import annotations

import threading

import pytest

from downstage.durable.inline import InlineDurable
from downstage.errors import AwsError, RunConflict


def test_branches_run_at_the_same_time() -> None:
    meet = threading.Barrier(3, timeout=10)
    InlineDurable().together(*[lambda: (meet.wait(), None)[1]] * 3)
    assert not meet.broken


def test_no_branches_are_no_work() -> None:
    InlineDurable().together()


def test_the_others_end_before_the_error_is_raised() -> None:
    failed = threading.Event()
    ended = []

    def fail() -> None:
        failed.set()
        raise AwsError("no")

    def go_on() -> None:
        assert failed.wait(10)
        ended.append(True)

    with pytest.raises(AwsError):
        InlineDurable().together(fail, go_on)
    assert ended == [True]


def test_of_two_errors_the_first_branchs_is_raised() -> None:
    later = threading.Event()

    def first() -> None:
        assert later.wait(10)
        raise RunConflict("first")

    def second() -> None:
        later.set()
        raise AwsError("second")

    with pytest.raises(RunConflict, match="first"):
        InlineDurable().together(first, second)


def test_an_error_that_is_no_exception_is_raised_too() -> None:
    def end() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        InlineDurable().together(end)
