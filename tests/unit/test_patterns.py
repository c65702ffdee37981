"""Inclusion of shell patterns: the cases by name, and against brute force over all short patterns."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.domain.patterns import covers

PATTERNS = st.text("ab*?", max_size=6)


def brute_force(wide: str, narrow: str) -> bool:
    """By the texts of `narrow` with so few or so many strange characters for each `*` that no others tell more."""
    expression = re.compile("".join({"*": ".*", "?": "."}.get(symbol, symbol) for symbol in wide))
    pieces = narrow.replace("?", "~").split("*")
    fillings = product(("", *("~" * size for size in range(1, len(wide) + 2))), repeat=len(pieces) - 1)
    return all(
        expression.fullmatch(pieces[0] + "".join(map("".join, zip(filling, pieces[1:], strict=True)))) is not None
        for filling in fillings
    )


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("*-alpha", "prod-alpha"),
        ("a*b", "a*b"),
        ("*", ""),
        ("*", "anything*?"),
        ("?*", "*?"),
        ("*?a", "*aa"),
        ("??*", "a*b"),
        ("*a*a*", "*aa*"),
        ("user|*", "user|*|x"),
        ("a?c", "abc"),
        ("", ""),
        ("efcms-*-users*", "efcms-prod-*-users-?"),
    ],
)
def test_a_wide_pattern_covers_a_narrow_one(wide: str, narrow: str) -> None:
    assert covers(wide, narrow)
    assert brute_force(wide, narrow)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("prod-alpha", "*-alpha"),
        ("a?c", "a*c"),
        ("", "*"),
        ("??*", "a*"),
        ("*c?*d*", "c*d"),
        ("*ef?*d*", "e*fgef*d"),
        ("*ab*", "a*b"),
        ("a*a", "a"),
        ("a", "?"),
    ],
)
def test_a_pattern_does_not_cover_what_it_does_not_match(wide: str, narrow: str) -> None:
    assert not covers(wide, narrow)
    assert not brute_force(wide, narrow)


@given(PATTERNS, PATTERNS)
def test_it_is_what_brute_force_says(wide: str, narrow: str) -> None:
    if narrow.count("*") <= 4:
        assert covers(wide, narrow) == brute_force(wide, narrow)


@given(st.text("ab", max_size=8), PATTERNS)
def test_of_a_plain_text_it_says_whether_it_matches(text: str, pattern: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(symbol, symbol) for symbol in pattern)
    assert covers(pattern, text) == (re.fullmatch(expression, text) is not None)


@given(PATTERNS)
def test_a_pattern_covers_itself(pattern: str) -> None:
    assert covers(pattern, pattern)
    assert covers("*", pattern)


@pytest.mark.parametrize("unit", ["*a", "*a?", "a*", "?*", "*ab?a", "*a?b"])
def test_long_patterns_are_judged_in_one_pass(unit: str) -> None:
    long = unit * 300
    assert covers(long, long)
    assert not covers(f"{long}c*d", long)
