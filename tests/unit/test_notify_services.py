"""Services through apprise: a message arrives, its URL stands nowhere, and nothing in the URL loosens our rules."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import pytest

from downstage.domain.notice import Notice, Occasion
from downstage.errors import ConfigError, NotifyError
from downstage.notify.services import Service
from downstage.testing.simple import JumpingClock
from tests.ci_servers.server import Call, Fault, JsonServer, Reply, serving

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what apprise imports

NOTICE = Notice(Occasion.FAILURE, "test", "2027-01-15T08:00:00Z", "run-1", step="copy", result="failed", exit_code=4)


class Chat(JsonServer):
    """Takes whatever is posted."""

    def answer(self, call: Call) -> Reply:
        return Reply(200, {})


@pytest.fixture
def server() -> Iterator[Chat]:
    with serving(Chat()) as chat:
        yield chat


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


def service(server: Chat, clock: JumpingClock, more: str = "") -> Service:
    url = server.url.replace("http://", "json://user:made-up@")
    return Service("notifications[0]", lambda: f"{url}/room{more}\n", clock)


def test_a_message_arrives_with_title_text_and_kind(server: Chat, clock: JumpingClock) -> None:
    one = service(server, clock)
    one.check()
    assert server.calls == []
    one.send(NOTICE)
    (call,) = server.calls
    assert (call.method, call.path) == ("POST", "/room")
    assert call.body["title"] == "Downstage test: failed"
    assert call.body["message"].startswith("The refresh of test failed in step copy: the target does not hold")
    assert call.body["type"] == "failure"


def test_a_service_that_does_not_take_it_is_tried_a_few_times(
    server: Chat, clock: JumpingClock, capfd: pytest.CaptureFixture[str]
) -> None:
    server.faults.append(Fault("POST", "/room", Reply(500, {"message": "made-up"}), times=99))
    with pytest.raises(NotifyError, match=r"does not answer, or refuses the message \(3 tries\)") as caught:
        service(server, clock).send(NOTICE)
    assert len(server.calls) == 3
    assert "made-up" not in str(caught.value) + repr(service(server, clock))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("more", ["", "?redirect=yes"])
def test_a_redirect_is_not_followed_whatever_the_url_says(server: Chat, clock: JumpingClock, more: str) -> None:
    away = Reply(307, headers={"Location": f"{server.url}/elsewhere"})
    server.faults.append(Fault("POST", "/room", away, times=99))
    with pytest.raises(NotifyError):
        service(server, clock, more).send(NOTICE)
    assert {call.path for call in server.calls} == {"/room"}


def test_time_outs_and_certificates_are_ours(server: Chat, clock: JumpingClock) -> None:
    opened: Any = service(server, clock, "?rto=900&cto=900&verify=no")._open()
    assert (opened.socket_read_timeout, opened.socket_connect_timeout, opened.verify_certificate) == (10.0, 10.0, True)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("nosuch://made-up/secret", " (a URL of nosuch://)"),
        ("slack://made-up", " (a URL of slack://)"),
        ("made-up secret", ""),
        ("made-up-secret://x", ""),
    ],
)
def test_a_url_that_apprise_does_not_understand(clock: JumpingClock, url: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Service("notifications[0]", lambda: url, clock).check()
    assert str(caught.value) == f"notifications[0].apprise holds no URL that apprise understands{named}"


def test_the_extra_is_missing(server: Chat, clock: JumpingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"needs an extra: pip install 'downstage\[notify\]'"):
        service(server, clock).check()
