"""The webhook: what it posts and how that is signed, what is tried again, and that no secret stands in any message."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from downstage.ci.http import pool_for
from downstage.domain.notice import MEANINGS, Notice, Occasion
from downstage.errors import ConfigError, DownstageError, NotifyError
from downstage.notify.attempts import LONGEST_WAIT, TRIES
from downstage.notify.documents import text_of, title_of
from downstage.notify.webhook import SHORTEST_KEY, Webhook
from downstage.testing.simple import JumpingClock
from tests.ci_servers.server import Call, Fault, JsonServer, Reply, serving

KEY = b"a made-up key for signing"
NOTICE = Notice(
    Occasion.FAILURE,
    "test",
    "2027-01-15T08:00:00Z",
    "test-20270115-050000-1a2b",
    step="verify-tables",
    result="failed",
    exit_code=5,
    seconds=3725.4,
    counts={"items": 1200, "addresses": 30, "quarantined": 0},
    report="/var/lib/downstage/reports/test-20270115-050000-1a2b.html",
)


class Hook(JsonServer):
    """Takes whatever is posted to /hook; /elsewhere is where a redirect would lead."""

    def answer(self, call: Call) -> Reply:
        return Reply(204) if call.path in ("/hook", "/elsewhere") else Reply(404, {"message": "no such hook"})


@pytest.fixture
def server() -> Iterator[Hook]:
    with serving(Hook()) as hook:
        yield hook


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


def webhook(url: str, clock: JumpingClock, key: bytes | None = KEY) -> Webhook:
    return Webhook("notifications[0].webhook", lambda: url, None if key is None else lambda: key, pool_for, clock)


def test_the_body_is_the_documented_one_and_its_signature_can_be_checked(server: Hook, clock: JumpingClock) -> None:
    webhook(f"{server.url}/hook?token=made-up", clock).send(NOTICE)
    (call,) = server.calls
    assert call.query == {"token": "made-up"}
    assert call.body == {
        "version": 1,
        "event": "failure",
        "environment": "test",
        "run_id": "test-20270115-050000-1a2b",
        "step": "verify-tables",
        "result": "failed",
        "exit_code": 5,
        "summary": "The refresh of test failed in step verify-tables: personal data was found in the target "
        "(exit code 5).",
        "seconds": 3725.4,
        "counts": {"items": 1200, "addresses": 30, "quarantined": 0},
        "report": "/var/lib/downstage/reports/test-20270115-050000-1a2b.html",
        "time": "2027-01-15T08:00:00Z",
    }
    assert call.headers["content-type"] == "application/json"
    assert call.headers["downstage-event"] == "failure"
    at, signed = call.headers["downstage-signature"].split(",")
    assert at == f"t={int(clock.now())}"
    body = json.dumps(call.body, separators=(",", ":")).encode()
    expected = hmac.new(KEY, at.removeprefix("t=").encode() + b"." + body, hashlib.sha256).hexdigest()
    assert signed == f"v1={expected}"


def test_without_a_key_nothing_is_signed(server: Hook, clock: JumpingClock) -> None:
    webhook(f"{server.url}/hook", clock, None).send(NOTICE)
    assert "downstage-signature" not in server.calls[0].headers


@pytest.mark.parametrize("reply", [None, Reply(500), Reply(503), Reply(429), Reply(408)])
def test_what_may_pass_is_tried_again_as_the_same_delivery(
    server: Hook, clock: JumpingClock, reply: Reply | None
) -> None:
    server.faults.append(Fault("POST", "/hook", reply, times=2))
    webhook(f"{server.url}/hook", clock).send(NOTICE)
    assert len(server.calls) == 3
    assert len({call.headers["downstage-delivery"] for call in server.calls}) == 1
    assert clock.slept == [2.0, 4.0]


def test_it_gives_up_after_a_few_tries_and_waits_no_longer_than_it_wants(server: Hook, clock: JumpingClock) -> None:
    server.faults.append(Fault("POST", "/hook", Reply(503, headers={"Retry-After": "3600"}), times=99))
    with pytest.raises(NotifyError, match=r"it answered 503 \(3 tries\)"):
        webhook(f"{server.url}/hook", clock).send(NOTICE)
    assert len(server.calls) == TRIES
    assert clock.slept == [LONGEST_WAIT, LONGEST_WAIT]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_will_not_pass_is_not_tried_again(server: Hook, clock: JumpingClock, status: int) -> None:
    server.faults.append(Fault("POST", "/hook", Reply(status, {"message": "the secret is made-up"})))
    with pytest.raises(NotifyError) as caught:
        webhook(f"{server.url}/hook", clock).send(NOTICE)
    assert str(caught.value) == f"it answered {status}"
    assert len(server.calls) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server: Hook, clock: JumpingClock, status: int) -> None:
    server.faults.append(Fault("POST", "/hook", Reply(status, headers={"Location": f"{server.url}/elsewhere"})))
    with pytest.raises(NotifyError, match="redirects are not followed"):
        webhook(f"{server.url}/hook", clock).send(NOTICE)
    assert [call.path for call in server.calls] == ["/hook"]


def test_nobody_there(clock: JumpingClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NotifyError, match=r"it does not answer \(3 tries\)"):
        webhook(f"http://127.0.0.1:{port}/made-up-secret", clock).send(NOTICE)
    assert clock.slept == [2.0, 4.0]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example.com/made-up", "https is needed"),
        ("https://made-up:secret@hooks.example.com/", "user name or password"),
        ("ftp://hooks.example.com/made-up", "holds no https:// URL"),
        ("made-up", "holds no https:// URL"),
        ("https://[made-up/", "holds no URL"),
        ("https://hooks.example.com/made-up\nX-Header: 1", "holds no https:// URL"),
        ("", "holds no https:// URL"),
    ],
)
def test_a_url_that_will_not_do_is_said_without_being_told(clock: JumpingClock, url: str, why: str) -> None:
    for tried in (Webhook.check, lambda hook: hook.send(NOTICE)):
        with pytest.raises(ConfigError, match=why) as caught:
            tried(webhook(url, clock))
        assert "made-up" not in str(caught.value)
        assert str(caught.value).startswith("notifications[0].webhook.url ")


def test_a_short_key_is_refused(clock: JumpingClock) -> None:
    with pytest.raises(ConfigError, match=f"holds 9 bytes: a key has {SHORTEST_KEY} at least"):
        webhook("https://hooks.example.com/", clock, b"too short\n").check()


def test_no_secret_stands_in_a_repr_or_an_error(server: Hook, clock: JumpingClock) -> None:
    server.faults.append(Fault("POST", "/made-up", Reply(403)))
    hook = webhook(f"{server.url}/made-up", clock)
    with pytest.raises(DownstageError) as caught:
        hook.send(NOTICE)
    for text in (repr(hook), str(caught.value), repr(caught.value)):
        assert "made-up" not in text


_OUTCOMES: list[tuple[dict[str, Any], str, str]] = [
    ({"occasion": Occasion.START}, "begun", "has begun"),
    ({"occasion": Occasion.END, "exit_code": 0}, "proven", "everything is copied and proven"),
    ({"exit_code": 6}, "not proven", "is not proven"),
    ({"exit_code": 4}, "failed", "the target does not hold what was written"),
    ({"exit_code": 2, "run_id": ""}, "failed", "could not begin"),
    ({"occasion": Occasion.APPROVAL, "step": "wipe"}, "approval wanted", "'downstage approve run-1'"),
    ({"occasion": Occasion.PARKED, "step": "copy"}, "parked", "parked in step copy"),
    ({"occasion": Occasion.TEST}, "a test", "arrive here"),
]


@pytest.mark.parametrize(("changes", "heading", "words"), _OUTCOMES)
def test_a_person_reads_what_happened(changes: dict[str, Any], heading: str, words: str) -> None:
    notice = Notice(**{"occasion": Occasion.FAILURE, "environment": "test", "at": "", "run_id": "run-1", **changes})
    assert title_of(notice) == f"Downstage test: {heading}"
    assert words in text_of(notice).splitlines()[0]


def test_every_exit_code_has_plain_words() -> None:
    from downstage import errors

    raised = {one.exit_code for one in vars(errors).values() if isinstance(one, type) and hasattr(one, "exit_code")}
    assert raised <= set(MEANINGS)
    assert "So far: 1,200 items, 30 addresses\nTime: 1 h 2 min 5 s\nReport: /var" in text_of(NOTICE)
