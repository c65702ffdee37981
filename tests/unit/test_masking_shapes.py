"""The finders: what they take for a phone, a number, a card, an address, a date; what they leave; how far they look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from downstage.masking import shapes
from downstage.masking.shapes import Finder, Span

PHONES = [
    "555-123-4567",
    "(555) 123-4567",
    "(555)123-4567",
    "1 555 123 4567",
    "555.123.4567",
    "555\u2011123\u20114567",
    "5552234567",
    "15552234567",
    "+15551234567",
    "+1 (555) 123-4567",
    "+44 20 7946 0123",
    "+44 (0)20 7946 0123",
    "+4712345678",
    "0044 20 7946 0123",
    "020 7946 0123",
    "(0161) 496 0000",
    "555-1234",
    "555-123-4567 x12",
    "555-123-4567 ext. 12",
]
SSNS = ["123-45-6789", "123 45 6789", "123\u201345\u20136789"]
CARDS = [
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111111111111111",
    "378282246310005",
    "3782 822463 10005",
    "5555555555554444",
]
IPS = ["10.1.2.3", "255.255.255.255", "fe80::1", "2001:db8:0:0:0:0:0:1", "::ffff:10.0.0.1", "::1"]
DATES = ["2024-02-29", "1950-01-01", "2/9/2024", "02/09/2024"]
POSTCODES = ["62701", "62701-1234", "K1A 0B1", "SW1A 2AA", "M1 1AE"]

FOUND = [
    *((shapes.phones, text) for text in PHONES),
    *((shapes.ssns, text) for text in SSNS),
    *((shapes.cards, text) for text in CARDS),
    *((shapes.ips, text) for text in IPS),
    *((shapes.dates, text) for text in DATES),
    *((shapes.postcodes, text) for text in POSTCODES),
]


@pytest.mark.parametrize(("finder", "text"), FOUND)
@pytest.mark.parametrize("around", ["{}", "see {}, please", "({})", "a: {}\n", "\u201c{}\u201d"])
def test_found_whole_wherever_it_stands(finder: Finder, text: str, around: str) -> None:
    before = around.index("{")
    assert list(finder(around.format(text))) == [(before, before + len(text))]


@pytest.mark.parametrize(
    ("finder", "text"),
    [
        (shapes.phones, "docket 123-20, case 12345-19 of 2024-01-05 at 1700000000"),
        (shapes.phones, "3f2b1c4d-1234-4abc-9def-0123456789ab 1.0012345678"),
        (shapes.ssns, "1234-56-7890 123-456-789 2024-01-05 123456789"),
        (shapes.cards, "4111 1111 1111 1112 1700000000000 12345678901234567890123456789012"),
        (shapes.ips, "1.2.3 1.2.3.4.5 256.1.1.1 12:30:45 std::string :: a:b 1,234.56"),
        (shapes.dates, "2024-13-01 2024-02-32 1/2/24 1234-12-12 112/11/2024"),
        (shapes.postcodes, "123456 1234 abc 12-62701-1"),
    ],
)
def test_left_alone(finder: Finder, text: str) -> None:
    assert list(finder(text)) == []


def test_nine_digits_count_after_the_word() -> None:
    assert list(shapes.ssns("SSN: 123456789, social security number 123456789")) == [(5, 14), (39, 48)]


def test_a_card_is_found_behind_another_number() -> None:
    assert list(shapes.cards("order 1 4111 1111 1111 1111 7")) == [(8, 27)]


def test_luhn() -> None:
    assert shapes.luhn_digit("411111111111111") == "1"
    assert shapes.luhn_digit("37828224631000") == "5"


@pytest.mark.parametrize("text", ["1 " * 5000, "4" * 10_000, "4-" * 5000, "4111 1111 1111 1112 " * 500])
def test_a_card_check_costs_a_bounded_number_of_digits(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0
    check = shapes.luhn_digit

    def counted(digits: str) -> str:
        nonlocal looked_at
        looked_at += len(digits)
        return check(digits)

    monkeypatch.setattr(shapes, "luhn_digit", counted)
    spans: list[Span] = list(shapes.cards(text))
    assert looked_at <= 120 * len(text)
    assert len(spans) <= len(text) / 13


ALL: list[Finder] = [shapes.phones, shapes.ssns, shapes.cards, shapes.ips, shapes.dates, shapes.postcodes]


@pytest.mark.parametrize("finder", ALL)
def test_spans_are_in_order_and_apart(finder: Finder) -> None:
    text = " ".join([*PHONES, *SSNS, *CARDS, *IPS, *DATES, *POSTCODES])
    spans: Iterator[Span] = finder(text)
    last = 0
    for start, end in spans:
        assert last <= start < end
        last = end
    assert last > 0
