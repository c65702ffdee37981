"""Where an address begins and ends: the forms of RFC 5321, 5322 and 6531 as data, and what is none."""

from __future__ import annotations

import base64
import random

import pytest

from downstage.masking.address import find


def found(text: str) -> list[str]:
    return [text[start:end] for start, end in find(text)]


WHOLE = [
    "bob@x.example",
    "b@x",
    "Bob.Lee+court@mail.agency.example",
    "pat.o'brien@lawfirm.test",
    "first-last_1%x@x.example",
    "1234567890@x.example",
    "_______@x.example",
    "root@mainframe",
    "root@db-1",
    "x@123.456",
    "bob@xn--bcher-kva.example",
    "jörg@bücher.example",
    "jo\u0308rg@bu\u0308cher.example",
    "用户@例子.广告",
    "अजय@डाटा.भारत",
    "θσερ@εχαμπλε.ψομ",
    "Dörte@Sörensen.example.com",
    "коля@пример.рф",
    "bob@例子。广告",
    "bob＠x.example",
    "bob﹫x.example",
    "relay@[192.0.2.7]",
    "relay@[IPv6:2001:db8::1]",
    "relay@[x-tag:content]",
    '"john doe"@x.example',
    '"john@doe"@x.example',
    '"a\\"b"@x.example',
    '"ab\\\\"@x.example',
    "a@b@c",
    "victim@mail.example@ours.example",
    "bob@.x.example",
    "#!$%&'*+-/=?^_`{}|~@x.example",
    "§@x.example",
    "!@[192.0.2.7]",
    "a" * 64 + "@" + "b" * 60 + ".example",
]


@pytest.mark.parametrize("address", WHOLE)
@pytest.mark.parametrize("frame", ["{}", "<{}>", "mail {} now", "({})", "[{}]", "to: {}; cc", "a,{},b", "{}."])
def test_an_address_is_found_whole(address: str, frame: str) -> None:
    if frame == "[{}]" and "[" in address:
        frame = "{}"
    assert found(frame.replace("{}", address)) == [address]


@pytest.mark.parametrize(
    "frame",
    [
        "user-email|{}", "CUSTOMER#{}#ORDER#1", "a/{}/b", "email={}&x=1", "?q={}", "{}|x", "mailto:{}?subject=x",
        "{{}}", "`{}`", "*{}*", "~{}", "^{}$", "!{}!", "'{}'", "’{}’", "“{}”", "«{}»", "📧{}", "€{}", "\u200b{}",
        "\ufeff{}", "x\u00a0{}", "{}…", "{}—x", '"Ann Lee" <{}>', "Ann <{}>", '{"a":"{}"}', "a: {}\r\nb", "{}_user|1",
        "\x00{}\x00", "...{}...",
    ],
)  # fmt: skip
def test_delimiters_are_no_part_of_it(frame: str) -> None:
    assert found(frame.replace("{}", "bob@x.example")) == ["bob@x.example"]


NONE = [
    "", "@", "@@", "@noon", "meet @noon", "user@", "user@ x", "a @ b", "3 @ $5 = $15", "§@§", "x@§", "x@€5", "§@noon",
    "bob@❤", "see ❤@noon", "'@noon'", ".@someone", "node_modules/@types/node", "/@types", "#@noon", '{"@type":"x"}',
    '{"a":"say ","@type":"x"}', '["a ","@b"]', '["a", 1, "@b"]', 'a="x" b="@noon"', 'a="x ",b="@noon"',
    '<a t="" h="@x">',
    "C:\\dir", "?width=40px", "\\@\\", "bob@\n x", "bob@...", "bob@-", 'bob"@x', "a@[", "a@[]", "a@[zz]", "\u200b@x",
    "( @x.example)", "bob @x.example",
]  # fmt: skip


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_address_is_not_found(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@x.example, b@y.example;c@z", ["a@x.example", "b@y.example", "c@z"]),
        ("a@x.example_b@y.example", ["a@x.example", "_b@y.example"]),
        ("bob@my_host", ["bob@my_host"]),
        ("a@b@@c", ["a@b"]),
        ("a@b.c..d", ["a@b.c..d"]),
        ("bob@i❤.ws", ["bob@i"]),
        ("@a@b", ["a@b"]),
        ("#bob#@x.example", ["#bob#@x.example"]),
        ("bob#@mainframe", []),
        ('log {\\"to\\":\\"\\\\\\"john doe\\\\\\"@x.example\\"}', ['\\\\\\"john doe\\\\\\"@x.example']),
        ("メールはbob@x.exampleです", ["メールはbob@x.exampleです"]),
    ],
)
def test_where_the_rules_must_choose(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_opaque_text_holds_none() -> None:
    noise = random.Random(1).randbytes(4000)
    assert found(base64.b64encode(noise).decode()) == []
    assert found("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR") == []
