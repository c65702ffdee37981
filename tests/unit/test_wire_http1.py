"""Answers are taken whole however they are cut into pieces, and what is no answer is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.wire.http1 import LARGEST_BODY, Answer, AnswerParser, ProtocolError, request_bytes

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Amz-Crc32: 17\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello world"


def fed(raw: bytes, cuts: list[int], *, bodyless: bool = False) -> Answer:
    parser = AnswerParser(bodyless=bodyless)
    bounds = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    answer = None
    for start, end in itertools.pairwise(bounds):
        piece = raw[start:end]
        while piece:
            assert answer is None
            space = parser.space()
            taken = min(len(space), len(piece))
            space[:taken] = piece[:taken]
            piece = piece[taken:]
            answer = parser.received(taken)  # asyncio holds `space` meanwhile
    return answer or parser.ended()


@pytest.mark.parametrize("raw", [SIZED, CHUNKED, INTERIM, TO_THE_END])
@given(cuts=st.lists(st.integers(0, 10_000), max_size=12))
def test_an_answer_is_the_same_however_it_is_cut(raw: bytes, cuts: list[int]) -> None:
    answer = fed(raw, cuts)
    assert (answer.status, answer.body) == (200, b"hello world")
    assert answer.reusable is (raw != TO_THE_END)


def test_every_byte_alone() -> None:
    assert fed(CHUNKED, list(range(len(CHUNKED)))).body == b"hello world"


def test_headers_are_in_lower_case() -> None:
    assert fed(SIZED, []).headers == {"content-length": "11", "x-amz-crc32": "17"}


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status: int) -> None:
    assert fed(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status, []).body == b""


def test_an_answer_to_head_has_no_body() -> None:
    assert fed(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", [], bodyless=True).body == b""


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
def test_a_server_that_closes_is_believed(head: bytes) -> None:
    assert fed(head + b"Content-Length: 1\r\n\r\nx", []).reusable is False


def test_bytes_behind_an_answer_spoil_the_connection() -> None:
    assert fed(SIZED + b"x", []).reusable is False


def test_a_large_body_comes_whole() -> None:
    body = bytes(range(256)) * 8192
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert fed(raw, [100, 20_000, 1_000_000]).body == body


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LARGEST_BODY + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (LARGEST_BODY + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
        b"H" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        fed(raw, [])


@pytest.mark.parametrize("raw", [SIZED[:-1], CHUNKED[:-3], SIZED[:20], b""])
def test_what_breaks_off_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError, match="broke off"):
        fed(raw, [])


def test_a_request_tells_its_length() -> None:
    assert (
        request_bytes("POST", "/", {"host": "h"}, b"{}") == b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"
    )
