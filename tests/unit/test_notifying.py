"""Notifications of a refresh: who is told of what, that none can fail or delay a run, and what they never say."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from downstage.app import background, notifying
from downstage.app.notifying import Herald, Place
from downstage.app.runs import Project
from downstage.cli.main import app
from downstage.config.load import load
from downstage.domain.events import Note
from downstage.domain.notice import Notice, Occasion
from downstage.errors import ApprovalWanted, ConfigError, DownstageError, LeaseLost, NotifyError, TimeBoxReached
from downstage.report.markdown import render_markdown
from downstage.testing.simple import Recorder
from downstage.workflow.outcome import outcome_of
from downstage.workflow.refresh import STEPS
from tests.ci_servers.server import Call, Fault, JsonServer, Reply, serving
from tests.unit.test_background import NOON, Queue, Silent
from tests.unit.test_carrying import Place as Carrier
from tests.unit.test_carrying import make as make

CONFIG = """
version: 1
state: state
journal: sqlite
environments:
  prod: {account: "111111111111", region: us-east-1, protected: true}
  test:
    account: "222222222222"
    region: us-east-1
    refresh: {from: prod, schedule: {via: runner, day: 1, hour: 5}}
  mig: {account: "333333333333", region: us-east-1, refresh: {from: prod}}
masking: {key: "env:KEY"}
notifications:
"""


class Hook(JsonServer):
    """Takes whatever is posted."""

    def answer(self, call: Call) -> Reply:
        return Reply(204)


@pytest.fixture
def server() -> Iterator[Hook]:
    with serving(Hook()) as hook:
        yield hook


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Hook) -> Callable[..., Path]:
    """Writes a configuration with these notifications; `URL` stands for the server's."""
    monkeypatch.setenv("KEY", hashlib.sha256(b"a key for tests").hexdigest())
    monkeypatch.setenv("HOOK", f"{server.url}/made-up")

    def write(*notifications: str) -> Path:
        path = tmp_path / "downstage.yaml"
        listed = "".join(f"  - {line.replace('URL', server.url)}\n" for line in notifications)
        path.write_text(CONFIG + listed)
        return path

    return write


class Listener:
    """Implements `ports.Notifier`: keeps what it is sent, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.notices: list[Notice] = []
        self._error = error

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def send(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.check()


EVERYTHING = frozenset(Occasion)


def herald_of(*listeners: Listener, events: Recorder | None = None, of: frozenset[Occasion] = EVERYTHING) -> Herald:
    return Herald([Place(f"place {n}", of, one) for n, one in enumerate(listeners)], events)


# ---- what a run tells


def carried(carrier: Carrier, herald: Herald, monkeypatch: pytest.MonkeyPatch) -> DownstageError | None:
    """Carries the world's run with this herald; gives the error that stopped it."""
    from downstage.app import carrying

    real = carrying.Setting
    monkeypatch.setattr(
        "tests.unit.test_carrying.Setting", lambda *args, **named: replace(real(*args, **named), herald=herald)
    )
    return carrier.carry(carrier.begin()).error


def test_start_and_end_are_told_in_order_with_counts_and_nothing_of_an_item(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    assert carried(make(), herald_of(listener), monkeypatch) is None
    start, end = listener.notices
    assert (start.occasion, start.run_id, start.environment) == (Occasion.START, "run-1", "test")
    assert (end.occasion, end.exit_code, end.result) == (Occasion.END, 0, "proven")
    assert end.counts["items"] > 0
    assert end.report.endswith("run-1.html")
    assert "@" not in repr(listener.notices)


def test_an_approval_names_the_step_that_waits(make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    assert isinstance(carried(make(approve=("copy",)), herald_of(listener), monkeypatch), ApprovalWanted)
    assert [(one.occasion, one.step) for one in listener.notices] == [(Occasion.START, ""), (Occasion.APPROVAL, "copy")]


@pytest.mark.parametrize(
    ("error", "occasion"),
    [
        (LeaseLost("gone"), Occasion.FAILURE),
        (ConfigError("jane.roe@mail.example.org is no key"), Occasion.FAILURE),
        (TimeBoxReached("over"), Occasion.PARKED),
    ],
)
def test_what_stops_a_run_is_told_by_its_exit_code_and_not_in_its_words(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, error: DownstageError, occasion: Occasion
) -> None:
    listener, carrier = Listener(), make()
    carrier.broken = error
    carried(carrier, herald_of(listener), monkeypatch)
    last = listener.notices[-1]
    assert (last.occasion, last.exit_code) == (occasion, error.exit_code)
    assert "jane.roe" not in repr(last) + last.summary


@pytest.mark.parametrize("error", [NotifyError("it answered 500 (3 tries)"), ValueError("https://made-up.example.com")])
def test_a_message_that_does_not_arrive_fails_nothing_and_is_said_and_kept(
    make: Callable[..., Carrier], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    events, carrier = Recorder(), make()
    whole = frozenset({Occasion.END})
    assert carried(carrier, herald_of(Listener(error), events=events, of=whole), monkeypatch) is None
    run = carrier.world.journal.run("run-1")
    assert run is not None
    assert run.state == "finished"
    outcome = outcome_of(carrier.world.journal, run, STEPS)
    assert outcome.exit_code == 0
    said = str(error) if isinstance(error, NotifyError) else "ValueError"
    line = f"notification 'end' not sent to place 0: {said}"
    assert outcome.unsent == (line,)
    assert line in render_markdown(outcome)
    assert events.events == [Note(line)]


# ---- the herald


def test_a_place_that_hangs_delays_the_end_within_bounds_and_no_other_place() -> None:
    never, events = threading.Event(), Recorder()

    class Hanging(Listener):
        def send(self, notice: Notice) -> None:
            never.wait(60)

    good = Listener()
    herald = herald_of(Hanging(), good, events=events)
    herald.tell(Notice(Occasion.END, "test", ""))
    assert herald.settle(patience=0.2) == ["notification not sent to place 0: it took too long"]
    assert len(good.notices) == 1
    never.set()


def test_a_place_hears_only_what_it_wants_to_and_tests_always() -> None:
    listener = Listener()
    herald = herald_of(listener, of=frozenset({Occasion.FAILURE}))
    for occasion in Occasion:
        herald.tell(Notice(occasion, "test", ""))
    herald.settle()
    assert [notice.occasion for notice in listener.notices] == [Occasion.FAILURE, Occasion.TEST]


# ---- from the configuration


def test_who_is_told_of_which_environment(config: Callable[..., Path]) -> None:
    loaded = load(
        config(
            'webhook: {url: "URL/a"}',
            'webhook: {url: "env:HOOK"}\n    environments: [mig]\n    name: chat',
            'apprise: "env:NOWHERE"\n    events: [start, parked]\n    environments: [test]',
        ),
        environ={},
    )
    told = {name: notifying.places_of(loaded, name) for name in ("test", "mig")}
    assert [place.name for place in told["test"]] == ["notifications[0]", "notifications[2]"]
    assert [place.name for place in told["mig"]] == ["notifications[0]", "chat"]
    assert told["test"][0].occasions == {Occasion.END, Occasion.FAILURE, Occasion.APPROVAL}
    assert told["test"][1].occasions == {Occasion.START, Occasion.PARKED}


@pytest.mark.parametrize(
    ("stanza", "said"),
    [
        ("{}", "notifications[0] must hold exactly one of 'apprise' and 'webhook'"),
        ('{apprise: "slack://made-up/token"}', "notifications[0].apprise must be a reference"),
        ('{webhook: {url: "http://hooks.example.com/made-up"}}', "must be https"),
        ('{webhook: {url: "https://hooks.example.com/?token=made-up"}}', "must not hold '?' or '#'"),
        ('{webhook: {url: "https://x.example.com/", key: "made-up"}}', "notifications[0].webhook.key must be a ref"),
        ('{webhook: {url: "https://x.example.com/"}, events: [begin]}', "notifications[0].events[0] must be"),
        ('{webhook: {url: "https://x.example.com/"}, events: []}', "notifications[0].events must not be empty"),
        ('{webhook: {url: "https://x.example.com/"}, environments: [tets]}', "'tets', which is not refreshed; did you"),
        ('{webhook: {url: "https://x.example.com/"}, environments: [prod]}', "not refreshed; these are refreshed"),
    ],
)
def test_mistakes_are_named_and_no_secret_is(config: Callable[..., Path], stanza: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config(stanza), environ={})
    assert said in str(caught.value)
    assert "made-up" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_check_lists_what_would_keep_messages_from_arriving(
    config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, server: Hook
) -> None:
    monkeypatch.setenv("BAD", "nosuch://made-up")
    path = config(
        'webhook: {url: "env:UNSET"}', 'apprise: "env:BAD"', 'webhook: {url: "URL/x", key: "file:no-such-file"}'
    )
    loaded = load(path, environ={})
    found = [str(problem) for problem in notifying.problems(loaded, "test", None)]  # type: ignore[arg-type]
    assert len(found) == 3
    assert "notifications[0].webhook.url: the environment variable UNSET is not set" in found[0]
    assert "(a URL of nosuch://)" in found[1]
    assert "no-such-file cannot be read" in found[2]
    assert "made-up" not in "".join(found)
    assert server.calls == []


# ---- the command


def invoke(*arguments: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["notify", *arguments])
    code = answer.exception.exit_code if isinstance(answer.exception, DownstageError) else answer.exit_code
    return code, answer.output


def test_a_test_message_is_sent_to_each_place(config: Callable[..., Path], server: Hook) -> None:
    path = str(config('webhook: {url: "URL/a"}\n    events: [start]', 'webhook: {url: "env:HOOK"}'))
    shown = "notifications[0]: start\nnotifications[1]: approval, end, failure\n"
    assert invoke("test", "--config", path) == (0, shown)
    assert server.calls == []
    code, said = invoke("test", "--test", "--config", path)
    assert (code, said) == (0, "✓ sent to notifications[0]\n✓ sent to notifications[1]\n")
    assert sorted(call.path for call in server.calls) == ["/a", "/made-up"]
    assert {call.body["event"] for call in server.calls} == {"test"}


def test_one_that_does_not_arrive_is_an_error(config: Callable[..., Path], server: Hook) -> None:
    path = str(config('webhook: {url: "env:HOOK"}'))
    server.faults.append(Fault("POST", "/made-up", Reply(403)))
    code, said = invoke("test", "--test", "--json", "--config", path)
    assert code == 1
    assert json.loads(said) == {
        "event": "notify",
        "place": "notifications[0]",
        "events": ["approval", "end", "failure"],
        "sent": False,
        "why": "notification 'test' not sent to notifications[0]: it answered 403",
    }


def test_where_nobody_is_told_that_is_said(config: Callable[..., Path]) -> None:
    path = config('webhook: {url: "URL/a"}\n    environments: [mig]')
    assert invoke("test", "--test", "--config", str(path))[1].startswith("nobody is told of test")


# ---- a refresh that cannot begin


def test_a_due_refresh_that_cannot_begin_is_told_once(
    config: Callable[..., Path], server: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config('webhook: {url: "URL/a"}')
    project = Project.open(path)
    run = project.enqueue("test", ("preflight",))
    monkeypatch.delenv("KEY")
    said: list[str] = []
    now = [NOON]
    runner = background.Runner(lambda: Project.open(path), Silent(), said.append, lambda: now[0])
    for _ in range(3):
        now[0] += timedelta(hours=1)
        queue = Queue()
        runner.look(queue)
        assert "not carried" in runner.carry(queue.runs[0])
    (call,) = server.calls
    assert (call.body["event"], call.body["run_id"], call.body["exit_code"]) == ("failure", run.run_id, 2)
    assert "configuration or the credentials are wrong" in call.body["summary"]


def test_a_run_that_was_given_up_is_no_failure_when_the_queue_hands_it_over_again(
    config: Callable[..., Path], server: Hook
) -> None:
    path = config('webhook: {url: "URL/a"}')
    project = Project.open(path)
    run = project.enqueue("test", ("preflight",))
    project.journal("test").end_run(run.run_id, run.epoch, "cancelled", "")
    said: list[str] = []
    runner = background.Runner(lambda: Project.open(path), Silent(), said.append, lambda: NOON)
    assert "has ended" in runner.carry(run.run_id)
    assert server.calls == []
