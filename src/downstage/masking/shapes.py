"""What personal data looks like in a text: phones, social security numbers, cards, IP addresses, dates, postcodes.

A finder yields (start, end) in order, without overlap; it judges form only. Where a form is ambiguous it is taken: a
mistake costs a wrong pseudonym in a text that a policy chose, or a question to the reader of a draft policy. Every
repetition is bounded or cannot be taken back, so the work is linear in the text whatever the text is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]

_GAPS = r" .\-/\u00a0\u2010-\u2015"
_GAP = f"[{_GAPS}]"
_EXTENSION = r"(?:[ ,]{0,2}(?:extension|ext\.?|x)[ :]{0,2}[0-9]{1,6})?"
_PHONE = re.compile(
    r"(?i)(?:"
    rf"(?:\+|(?<![0-9A-Za-z_.,])00)[1-9](?:[(){_GAPS}]{{0,3}}[0-9]){{6,14}}"  # international
    rf"|(?<![0-9])(?:1{_GAP}?)?(?:\([0-9]{{3}}\){_GAP}{{0,2}}|[0-9]{{3}}{_GAP})[0-9]{{3}}{_GAP}?[0-9]{{4}}"
    r"|(?<![0-9A-Za-z_.])1?[2-9][0-9]{2}[2-9][0-9]{6}(?![A-Za-z_])"  # ten or eleven digits in one
    rf"|(?<![0-9A-Za-z_])(?:\(0[0-9]{{1,4}}\)|0[0-9]{{1,4}}){_GAP}[0-9]{{3,4}}{_GAP}?[0-9]{{3,4}}"  # a national one
    r"|(?<![0-9A-Za-z_.-])(?:[2-9][0-9]{2}|000)[-.\u2010-\u2015][0-9]{4}(?!-)"  # a local one
    rf")(?![0-9]){_EXTENSION}"
)
_SSN = re.compile(
    r"(?<![0-9])[0-9]{3}(?P<gap>[ .\-\u00a0\u2010-\u2015])[0-9]{2}(?P=gap)[0-9]{4}(?![0-9])"
    r"|(?i:(?:ssn|social security(?: number| no\.?)?)[ :#=]{0,3})(?P<bare>[0-9]{9})(?![0-9])"
)
_CARD_RUN = re.compile(r"[0-9](?:[ -]?[0-9])*+")
_CARD_GROUP = re.compile(r"[0-9]+")
_CARD_LENGTHS = (16, 15, 14, 13, 19, 18, 17)
_IPV4 = re.compile(r"(?<![0-9])(?<![0-9]\.)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9]|\.[0-9])")
_IPV6_RUN = re.compile(r"[0-9A-Fa-f:.]++")
_LONGEST_IPV6 = 45
_DATE = re.compile(
    r"(?<![0-9])(?:(?:1[89]|20|21)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12][0-9]|3[01])/(?:1[89]|20|21)[0-9]{2})(?![0-9])"
)
_POSTCODE = re.compile(
    r"(?<![0-9A-Za-z-])(?:[0-9]{5}(?:-[0-9]{4})?"
    r"|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]|[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2})(?![0-9A-Za-z-])"
)


def phones(text: str) -> Iterator[Span]:
    """Phone numbers: North American, `+` and country code, national with a leading 0, local with a dash."""
    for found in _PHONE.finditer(text):
        yield found.span()


def ssns(text: str) -> Iterator[Span]:
    """Social security numbers: 3-2-4 digits, or nine after the word."""
    for found in _SSN.finditer(text):
        yield found.span("bare") if found["bare"] else found.span()


def cards(text: str) -> Iterator[Span]:
    """Payment card numbers: 13 to 19 digits, also in groups, that pass the Luhn check."""
    for run in _CARD_RUN.finditer(text):
        if run.end() - run.start() >= _CARD_LENGTHS[3]:
            yield from _cards_in(run[0], run.start())


def ips(text: str) -> Iterator[Span]:
    """IP addresses of both versions."""
    six = list(_ipv6(text))
    inside = set().union(*(range(*span) for span in six))
    four = (found.span() for found in _IPV4.finditer(text) if found.start() not in inside and _is_ip(found[0]))
    yield from sorted([*four, *six])


def dates(text: str) -> Iterator[Span]:
    """Dates, ISO or US, of the years 1800 to 2199."""
    for found in _DATE.finditer(text):
        yield found.span()


def postcodes(text: str) -> Iterator[Span]:
    """Postcodes of the US, Canada and the UK; five digits may be anything, so ask where they stand."""
    for found in _POSTCODE.finditer(text):
        yield found.span()


def luhn_digit(digits: str) -> str:
    """The check digit that belongs behind `digits`."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def _cards_in(run: str, offset: int) -> Iterator[Span]:
    """Whole groups of digits that make a card, from left to right; at most 19 digits are looked at from each group."""
    groups = [group.span() for group in _CARD_GROUP.finditer(run)]
    at = 0
    while at < len(groups):
        length = _groups_of_card(run, groups, at)
        if length:
            yield offset + groups[at][0], offset + groups[at + length - 1][1]
        at += length or 1


def _groups_of_card(run: str, groups: list[Span], first: int) -> int:
    """How many groups from `first` on make a card number; 0 if none do."""
    if run[groups[first][0]] not in "3456" and not run.startswith("2", groups[first][0]):
        return 0
    ends: dict[int, int] = {}
    digits = 0
    for place in range(first, len(groups)):
        digits += groups[place][1] - groups[place][0]
        if digits > _CARD_LENGTHS[4]:
            break
        ends[digits] = place
    for length in _CARD_LENGTHS:
        if length in ends:
            number = run[groups[first][0] : groups[ends[length]][1]].replace(" ", "").replace("-", "")
            if luhn_digit(number[:-1]) == number[-1]:
                return ends[length] - first + 1
    return 0


def _ipv6(text: str) -> Iterator[Span]:
    for run in _IPV6_RUN.finditer(text):
        start, end = run.span()
        if run[0].count(":") < 2 or end - start > _LONGEST_IPV6 + 2:
            continue
        if text[start] == ":" and text[start + 1] != ":":
            start += 1
        while end > start and (text[end - 1] == "." or (text[end - 1] == ":" and text[end - 2] != ":")):
            end -= 1
        beside = text[max(0, start - 1) : start] + text[end : end + 1]
        if not any(map(str.isalnum, beside)) and any(map(str.isalnum, text[start:end])) and _is_ip(text[start:end]):
            yield start, end


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
