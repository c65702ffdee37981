"""Hostile input costs linear work. Work is counted (questions asked, characters decoded), never timed."""

from __future__ import annotations

import base64
import gzip

import pytest

from downstage.verify import base64_tokens
from downstage.verify.base64_tokens import unbase64
from downstage.verify.layers import Search
from downstage.verify.leaks import LeakScanner

SIZE = 400_000
MAX_INFLATED = 1 << 20


class Counter:
    """An `allowed` that counts the questions and their characters."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.questions = 0
        self.characters = 0

    def __call__(self, address: str) -> bool:
        self.questions += 1
        self.characters += len(address)
        return self.answer


@pytest.mark.parametrize("answer", [False, True])
@pytest.mark.parametrize(
    ("unit", "questions_per_sign"),
    [
        ("a", 0), ("A", 0), ("aA1-", 0), ("#", 0), ("%41", 0), ("&", 0), ("&#", 0), ("\\", 0), ("=?", 0),
        ("é", 0), ("[", 0),
        ("@", 0), ('"@', 0), ('"', 0), ("=", 0), ("A" * 76 + "\n", 0), ("=?utf-8?q?", 0),
        ("a@", 1), ("a@b ", 2), ("a@b.c,", 2), ("#a@", 2), ("a#" * 40 + "@b", 10), ("a" * 90 + "@b ", 66),
        ("a@" + "b." * 100, 66),
        ('"a"@x ', 3), ("a@é_é", 4), ("a@b_c_d_e_f ", 3),
    ],
)  # fmt: skip
def test_the_questions_are_bounded_for_each_at_sign(unit: str, questions_per_sign: int, answer: bool) -> None:
    text = unit * (SIZE // len(unit))
    counter = Counter(answer)
    LeakScanner(allowed=counter, fingerprint=str, max_inflated=MAX_INFLATED).scan_text(text, "key")
    assert counter.questions <= questions_per_sign * text.count("@")
    assert counter.characters <= counter.questions * 320


@pytest.mark.parametrize("prefix", ["", "@x", "a@"])
@pytest.mark.parametrize("unit", ["a", "a.", "é", "a#", ".", "-", '"', "\\", "="])
def test_one_at_sign_in_a_long_run_is_a_few_questions(unit: str, prefix: str) -> None:
    counter = Counter(answer=False)
    text = prefix + unit * (SIZE // len(unit)) + "@host.example"
    LeakScanner(allowed=counter, fingerprint=str).scan_text(text, "key")
    assert counter.questions <= 150


@pytest.mark.parametrize(
    "unit",
    [
        "%2525252525253D", "&amp;amp;amp;#64;", "\\\\\\\\\\\\u0040", "=3D3D3D40", "%26amp;\\x5c=3D%25a@b ",
        "=?utf-8?q?=3D40?= ",
        "aGVsbG8gd29ybGQgYWdhaW4/", "-AAAAAAAA", "\x00a@b",
    ],
)  # fmt: skip
def test_what_the_decoders_make_is_bounded_by_the_input(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    search = Search(Counter(answer=False), str, max_layers=4, max_inflated=1 << 30)
    budget = search.budget()
    before = budget.left
    search.look(text, "key", budget)
    assert before - budget.left <= 64 * len(text)


def test_nested_bombs_stay_within_the_budget() -> None:
    bomb = b"\0" * 10_000_000
    for _ in range(3):
        bomb = gzip.compress(bomb) * 3
    text = " ".join([base64.b64encode(bomb).decode()] * 10)
    search = Search(Counter(answer=False), str, max_layers=4, max_inflated=MAX_INFLATED)
    budget = search.budget()
    findings = search.look(text, "key", budget)
    assert [finding.layers[-1] for finding in findings] == ["inflate-limit"]
    assert budget.left >= -MAX_INFLATED


def test_a_file_of_endless_members_is_given_up() -> None:
    members = base64.b64encode(gzip.compress(b"") * 5000).decode()
    scanner = LeakScanner(allowed=Counter(answer=False), fingerprint=str)
    assert [finding.layers for finding in scanner.scan_item({"b": {"B": members}})] == [("gzip", "inflate-limit")]


def test_one_address_many_times_is_one_finding() -> None:
    fingerprints = Counter(answer=False)
    scanner = LeakScanner(
        allowed=lambda _address: False,
        fingerprint=lambda address: str(fingerprints(address)),
        max_inflated=MAX_INFLATED,
    )
    assert len(scanner.scan_text("bob@x.example " * 30_000, "key")) == 1
    assert fingerprints.questions <= 10_000


@pytest.mark.parametrize("escape", ["%2B", "&#43;", "%252B", "%20", "\\u002b", "%"])
def test_tokens_that_escapes_cut_are_decoded_a_bounded_number_of_times(
    escape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = 0

    def counted(token: str) -> bytes | None:
        nonlocal decoded
        decoded += len(token)
        return unbase64(token)

    monkeypatch.setattr(base64_tokens, "unbase64", counted)
    tokens = (base64.b64encode(b"hello %06d bob@x.example!!" % number).decode() for number in range(SIZE // 40))
    text = escape.join(token.rstrip("=") for token in tokens)
    assert LeakScanner(allowed=Counter(answer=False), fingerprint=str).scan_text(text, "key")
    assert decoded <= 20 * len(text)
