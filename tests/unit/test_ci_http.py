"""Calls to a CI: what is asked again and what never is, what a user is told, and that the token stays secret."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from downstage.ci.http import LONGEST_WAIT, TRIES, Api, Token
from downstage.console.redaction import redact
from downstage.errors import CiError, CiUnreachable, ConfigError
from downstage.testing.simple import JumpingClock
from tests.ci_servers.server import Call, Fault, JsonServer, Reply, serving

SECRET = "CCIPAT_made-up"


class Echo(JsonServer):
    """Answers everything with what it was asked."""

    def answer(self, call: Call) -> Reply:
        if call.path == "/circle":
            return Reply(200, {"items": [1], "next_page_token": "again"})
        if call.path == "/endless":
            page = int(call.query.get("page-token", "0")) + 1
            return Reply(200, {"items": [page], "next_page_token": str(page)})
        if call.path == "/odd":
            return Reply(200, ["no listing"])
        return Reply(200, {"path": call.path, "body": call.body})


@pytest.fixture
def server() -> Iterator[Echo]:
    with serving(Echo()) as echo:
        yield echo


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def api(server: Echo, clock: JumpingClock) -> Api:
    return make(server.url, clock)


def make(url: str, clock: JumpingClock, token: bytes = SECRET.encode()) -> Api:
    return Api(url, "CircleCI", Token("env:CIRCLE_TOKEN", lambda: token, "Circle-Token"), clock=clock, redact=redact)


def test_the_token_is_sent_in_its_header_and_stands_nowhere_else(server: Echo, api: Api) -> None:
    api.get("/me", "ask")
    assert server.calls[0].headers["circle-token"] == SECRET
    assert SECRET not in repr(api.token)
    assert SECRET not in server.calls[0].path


@pytest.mark.parametrize("token", [b"", b"two words", b"line\nbroken", "tökén".encode()])
def test_what_cannot_be_a_token_is_refused_before_it_is_sent(server: Echo, clock: JumpingClock, token: bytes) -> None:
    with pytest.raises(ConfigError, match="env:CIRCLE_TOKEN holds no token") as caught:
        make(server.url, clock, token).get("/me", "ask")
    assert server.calls == []
    assert "words" not in str(caught.value)


def test_a_line_end_after_the_token_is_no_part_of_it(server: Echo, clock: JumpingClock) -> None:
    make(server.url, clock, f"{SECRET}\n".encode()).get("/me", "ask")
    assert server.calls[0].headers["circle-token"] == SECRET


def test_the_token_is_read_once_and_again_after_it_was_not_accepted(server: Echo, clock: JumpingClock) -> None:
    reads: list[int] = []

    def read() -> bytes:
        reads.append(1)
        return SECRET.encode()

    one = Api(server.url, "CircleCI", Token("ssm:x", read, "Circle-Token"), clock=clock, redact=redact)
    one.get("/me", "ask")
    one.get("/me", "ask")
    assert len(reads) == 1
    server.faults.append(Fault("GET", "/me", Reply(401)))
    with pytest.raises(CiError, match="401"):
        one.get("/me", "ask")
    one.get("/me", "ask")
    assert len(reads) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_look_is_made_again_after_a_hiccup(server: Echo, api: Api, clock: JumpingClock, status: int) -> None:
    server.faults.append(Fault("GET", "/me", Reply(status, {"message": "oops"}), times=2))
    assert api.get("/me", "ask")["path"] == "/me"
    assert len(server.calls) == 3
    assert clock.slept == [2.0, 4.0]


def test_a_hiccup_that_does_not_end_is_an_error_in_bounded_time(server: Echo, api: Api, clock: JumpingClock) -> None:
    server.faults.append(Fault("GET", "/me", Reply(503), times=99))
    with pytest.raises(CiUnreachable, match="could not ask: CircleCI answered 503"):
        api.get("/me", "ask")
    assert len(server.calls) == TRIES
    assert sum(clock.slept) < 60


def test_a_broken_connection_is_tried_again_for_looks(server: Echo, api: Api) -> None:
    server.faults.append(Fault("GET", "/me", None, times=1))
    assert api.get("/me", "ask")["path"] == "/me"


@pytest.mark.parametrize("reply", [None, Reply(500), Reply(502)])
def test_a_start_whose_answer_is_lost_is_never_sent_again(server: Echo, api: Api, reply: Reply | None) -> None:
    server.faults.append(Fault("POST", "/start", reply, lose=True, times=9))
    with pytest.raises(CiUnreachable) as caught:
        api.send("POST", "/start", "start it", {})
    assert caught.value.retryable
    assert server.count("POST") == 1


def test_a_start_that_nothing_received_is_sent_again(clock: JumpingClock) -> None:
    with serving(Echo()) as echo:
        url = echo.url
    with pytest.raises(CiUnreachable, match="does not answer, or broke off"):
        make(url, clock).send("POST", "/start", "start it", {})
    assert len(clock.slept) == TRIES - 1


def test_429_is_obeyed_even_for_starts(server: Echo, api: Api, clock: JumpingClock) -> None:
    server.faults.append(Fault("POST", "/start", Reply(429, {"message": "slow down"}, {"Retry-After": "17"})))
    assert api.send("POST", "/start", "start it", {"a": 1}).body["body"] == {"a": 1}
    assert clock.slept == [17.0]


def test_retry_after_as_a_date_and_beyond_all_bounds(server: Echo, api: Api, clock: JumpingClock) -> None:
    later = datetime.fromtimestamp(clock.now(), UTC) + timedelta(seconds=40)
    server.faults.append(Fault("GET", "/me", Reply(429, None, {"Retry-After": format_datetime(later, usegmt=True)})))
    server.faults.append(Fault("GET", "/me", Reply(429, None, {"Retry-After": "86400"})))
    server.faults.append(Fault("GET", "/me", Reply(429, None, {"Retry-After": "soon"})))
    server.faults.append(Fault("GET", "/me", Reply(429)))
    api.get("/me", "ask")
    assert clock.slept == [pytest.approx(40.0), LONGEST_WAIT, 8.0, 16.0]


def test_429_without_end_says_what_to_do(server: Echo, api: Api) -> None:
    server.faults.append(Fault("GET", "/me", Reply(429, None, {"Retry-After": "1"}), times=99))
    with pytest.raises(CiUnreachable, match="answered 429; it asks to be called less often: try again later"):
        api.get("/me", "ask")
    assert len(server.calls) == TRIES


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "it does not accept the token: renew what env:CIRCLE_TOKEN holds"),
        (403, "it denies it: give the token of env:CIRCLE_TOKEN the right to"),
        (404, "there is no such thing, or the token of env:CIRCLE_TOKEN may not see it: check the names"),
    ],
)
def test_refusals_say_what_to_do_in_one_line_and_are_not_repeated(
    server: Echo, api: Api, status: int, advice: str
) -> None:
    server.faults.append(Fault("GET", "/me", Reply(status, {"message": "no, jane.roe@mail.example.org"})))
    with pytest.raises(CiError) as caught:
        api.get("/me", "look at it")
    said = str(caught.value)
    assert said == f"could not look at it: CircleCI answered {status}, saying 'no, ‹address›'; {advice}"
    assert caught.value.status == status
    assert SECRET not in said
    assert len(server.calls) == 1


def test_the_proxy_of_the_environment_is_used_but_never_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, clock: JumpingClock
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(Echo()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        proxy.faults.append(Fault("CONNECT", "", Reply(403), times=99))
        with pytest.raises(CiUnreachable, match=r"CircleCI at ci.example.com does not answer"):
            make("https://ci.example.com", clock).get("/me", "ask")
        assert {call.method for call in proxy.calls} == {"CONNECT"}
        assert SECRET not in str(proxy.calls)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        before = len(proxy.calls)
        with serving(Echo()) as here:
            make(here.url, clock).get("/me", "ask")
        assert len(proxy.calls) == before


def test_a_certificate_that_is_not_trusted_is_said_and_nothing_is_sent(clock: JumpingClock) -> None:
    with serving(Echo()) as plain, pytest.raises(CiUnreachable) as caught:
        make(plain.url.replace("http:", "https:"), clock).get("/me", "ask")
    assert "no trusted connection to CircleCI at 127.0.0.1" in str(caught.value)
    assert plain.calls == []


def test_a_redirect_is_not_followed_for_the_token_would_go_with_it(server: Echo, api: Api) -> None:
    server.faults.append(Fault("GET", "/me", Reply(302, None, {"Location": "http://127.0.0.1:9/elsewhere"})))
    with pytest.raises(CiError, match="answered 302"):
        api.get("/me", "ask")


def test_a_listing_that_goes_round_or_on_for_ever_is_an_error_in_bounded_work(server: Echo, api: Api) -> None:
    with pytest.raises(CiError, match="goes round in a circle"):
        list(api.pages("/circle", "list"))
    assert len(server.calls) == 2
    with pytest.raises(CiError, match="more than 100 pages"):
        list(api.pages("/endless", "list"))
    assert len(server.calls) == 102
    with pytest.raises(CiError, match="something that is no listing"):
        list(api.pages("/odd", "list"))
