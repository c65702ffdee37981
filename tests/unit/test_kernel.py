"""The compiled loops: they are there where they were promised, they know every sign of every decoder, they read nothing
beyond the bytes they are given, and their canonical JSON is the one that decoding and writing gives.

That they mask as the slow walk does is shown in tests/property/test_masking_fast_path.py.
"""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from downstage.masking import kernel
from downstage.masking.escapes import GUESSED_CODECS, JSON
from downstage.masking.inline import Codec
from downstage.masking.kernel import KERNEL, PURE
from downstage.proof import digest

compiled = pytest.mark.skipif(KERNEL is None, reason="the loops are not compiled here")


def is_clean(run: bytes) -> bool:
    return False


def test_they_are_built_where_that_was_promised() -> None:
    if os.environ.get(PURE):
        assert KERNEL is None
    elif os.environ.get("CI"):
        assert KERNEL is not None
        assert digest.COMPILED


def test_a_decoder_they_do_not_know_keeps_them_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("downstage.masking._kernel")
    monkeypatch.delenv(PURE, raising=False)
    assert kernel._compiled() is not None
    of_tomorrow = Codec("tomorrow", "~~", JSON.unit, JSON.decode, JSON.encode)
    monkeypatch.setattr(kernel, "GUESSED_CODECS", (*GUESSED_CODECS, of_tomorrow))
    assert kernel._compiled() is None


def test_a_variable_leaves_them_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PURE, "1")
    assert kernel._compiled() is None
    try:
        assert not importlib.reload(digest).COMPILED
    finally:
        monkeypatch.undo()
        importlib.reload(digest)


pieces = st.sampled_from(
    [
        '{"S":"',
        '"}',
        '"',
        "\\",
        '\\"',
        "\\n",
        "\\u0040",
        "@",
        "%40",
        "&#64;",
        "=40",
        "a" * 7,
        "Abcdefgh",
        "A" * 41,
        '"B":"',
        "\x00",
        "é",
        "＠",
        "\n",
        "{",
        "}",
        "[",
        ",",
        ":",
        "true",
        '"N":"1.10"',
        '"SS":["',
        "bob@x.example",
        "2024-05-16T21",
        "_",
        "-",
    ]
)
scraps = st.lists(pieces | st.text(max_size=3), max_size=12).map("".join)


@compiled
@settings(max_examples=500, deadline=None)
@given(scraps, st.integers(0, 3))
@example("", 0)
@example('"B', 0)
@example('"B":', 0)
@example('"\\', 0)
def test_whatever_they_are_given_they_stay_within_it(text: str, cut: int) -> None:
    assert KERNEL is not None
    raw = text.encode("utf-8", "surrogatepass")
    raw = raw[: len(raw) - cut]
    seen = KERNEL.look(raw, set(), is_clean)
    if seen is not None:
        spans = [(start, end) for start, end, _ in seen[0]] + seen[1]
        assert all(
            0 < start <= end < len(raw) and raw[start - 1 : start] == b'"' == raw[end : end + 1] for start, end in spans
        )
    if text.isascii():
        KERNEL.covered(text, set(), is_clean)
        for start, end in KERNEL.apart(text) or []:
            assert text[start:end].count("@") == 1
        for start, end, found, _ in KERNEL.apart_in_view(text, set(), is_clean) or []:
            assert 0 <= start < end <= len(text)
            assert found.count("@") == 1
    for first, last, _ in seen[0] if seen else []:
        for start, end, found, _ in KERNEL.apart_in_literal(raw, first, last) or []:
            assert first <= start < end <= last
            assert found.count("@") == 1
    written = digest._canonical(raw)
    if written is not None:
        assert sorted(written) == sorted(raw)


names = st.text(st.sampled_from('abAN"\\S!z0é '), max_size=4)
contents: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        st.text(max_size=4).map(lambda text: {"S": text}),
        st.sampled_from(["0", "1.5", "-0.25", "1.10", "007", "1e3", "-0", ".", "9" * 39, "1" + "0" * 37]).map(
            lambda number: {"N": number}
        ),
        st.booleans().map(lambda value: {"BOOL": value}),
        st.just({"NULL": True}),
        st.just({"SS": ["b", "a"]}),
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda values: {"L": values})
        | st.dictionaries(names, inner, max_size=4).map(lambda values: {"M": values})
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(names, contents, max_size=5), st.booleans())
def test_canonical_json_is_what_decoding_and_writing_gives(item: dict[str, Any], spaced: bool) -> None:
    raw = json.dumps(item).encode() if spaced else orjson.dumps(item)
    written = digest._canonical(raw)
    if written is not None:
        assert written == orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)
        assert digest._ODD_NUMBER.search(raw) is None
        assert digest._SET.search(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"a"',
        b'{"a":{"S":"x"}',
        b'{"a":{"S":"x"}}}',
        b'{"a":{"S":"x"},}',
        b'{"a":{"S":"x"},"a":{"S":"y"}}',
        b'{"b":{"S":"x"},"a":{"S":"y"},"b":{"S":"z"}}',
        b'{"a":{"N":"1.10"}}',
        b'{"a":{"SS":["x"]}}',
        b'{ "a":{"S":"x"}}',
        b'{"a":{"S":"\\u0041"}}',
        b'{"a":{"S":"\\/"}}',
        b'{"a b":{"S":"x"}}',
        b'{"a":{"BOOL":tru}}',
        b'{"a":1}',
        b'{"a":' * 200 + b'{"S":"x"}' + b"}" * 200,
        b"{" + b",".join(b'"a%d":{"S":"x"}' % place for place in range(97)) + b"}",
    ],
)
def test_what_is_not_in_its_one_form_is_left_to_be_decoded(raw: bytes) -> None:
    assert digest._canonical(raw) is None


@compiled
def test_names_are_put_in_order_at_every_depth() -> None:
    inner = b'{"L":[{"M":{"z":{"N":"0"},"y":{"NULL":true}}}]}'
    raw = b'{"b":{"M":{"d":%b,"c":{"BOOL":false}}},"ab":{"S":"\\"}"},"a":{"S":""}}' % inner
    written = digest._canonical(raw)
    inner = b'{"L":[{"M":{"y":{"NULL":true},"z":{"N":"0"}}}]}'
    assert written == b'{"a":{"S":""},"ab":{"S":"\\"}"},"b":{"M":{"c":{"BOOL":false},"d":%b}}}' % inner


@compiled
@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, 99)])
def test_a_literal_lies_within_its_item(start: int, end: int) -> None:
    assert KERNEL is not None
    with pytest.raises(ValueError, match="within its item"):
        KERNEL.apart_in_literal(b'{"a":{"S":"x"}}', start, end)
