"""What counts as an address in plain text, where it begins and ends, and what clears it."""

from __future__ import annotations

import unicodedata

import pytest

from downstage.verify.leaks import LeakScanner

PSEUDONYM = "u-abcdefghijklmnopqrstuvwxyzabcdef@test.example.com"
SIMULATOR = "success+abcdefghijklmnopqrstuvwxyzabcdef@simulator.amazonses.com"
KEPT = "o'hara+x@ourco.com"
ALLOWED = {PSEUDONYM, SIMULATOR, KEPT, "u-AbCdefghijklmnopqrstuvwxyzabcdef@test.example.com"}


def found(text: str) -> list[str]:
    """The canonical spellings that the scanner reports for `text`, in order."""
    scanner = LeakScanner(allowed=ALLOWED.__contains__, fingerprint=lambda address: address)
    return [finding.fingerprint for finding in scanner.scan_text(text, "key")]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("bob@x.example", "bob@x.example"),
        ("write to Bob.Smith@Example.COM, please", "bob.smith@example.com"),
        ("<bob@x.example>", "bob@x.example"),
        ('"Ann Lee" <ann@x.example>', "ann@x.example"),
        ("mailto:bob@x.example?subject=hi", "bob@x.example"),
        ("a+b_c-d.e@x.example", "a+b_c-d.e@x.example"),
        ("!#$%&'*+-/=?^_`{|}~a@x.example", "a@x.example"),
        ("root@mainframe", "root@mainframe"),
        ("svc@my_host", "svc@my"),
        ("bob@[192.0.2.7]", "bob@[192.0.2.7]"),
        ("bob@[IPv6:2001:db8::1]", "bob@[ipv6:2001:db8::1]"),
        ("bob@192.0.2.7", "bob@192.0.2.7"),
        ('"john doe"@x.example', '"john doe"@x.example'),
        ('to: "john.doe"@x.example', "john.doe@x.example"),
        ('"john \\"jd\\" doe"@x.example', '"john \\"jd\\" doe"@x.example'),
        ('{to: \\"john doe\\"@x.example', '"john doe"@x.example'),
        ('<a href="%22john.doe%22%40x.example">', "john.doe@x.example"),
        ('{"a":"%22john.doe%22%40x.example"}', "john.doe@x.example"),
        ('a,""john doe""@x.example', '"john doe"@x.example'),
        ('a,"my ""john doe""@x.example",b', '"john doe"@x.example'),
        ('"""john doe""@x.example"', '"john doe"@x.example'),
        ('""john.doe"@x.example"', "john.doe@x.example"),
        ('"a""john"@x.example"', "john@x.example"),
        ('\\"\\"john doe\\"@x.example\\"', '"john doe"@x.example'),
        ("jörg.müller@firma.example", "jörg.müller@firma.example"),
        ("Ω@ουτοπία.δπθ.gr", "ω@ουτοπία.δπθ.gr"),
        ("用户@例え。テスト", "用户@例え.テスト"),
        ("bob@xn--strae-oqa.example", "bob@xn--strae-oqa.example"),
        ("bob＠x.example", "bob@x.example"),
        ("bob﹫x.example", "bob@x.example"),
        ("bob@x.example.", "bob@x.example"),
        ("bob@x.example...", "bob@x.example"),
        ("...bob@x.example", "bob@x.example"),
        ("bob.@x.example", "bob.@x.example"),
        ("bob@x.example/inbox", "bob@x.example"),
        ("bob@x.example|2", "bob@x.example"),
        ("bob@x.example_2024.pdf", "bob@x.example"),
        ("(bob@x.example)", "bob@x.example"),
        ("'bob@x.example'", "bob@x.example"),
        ("`bob@x.example`", "bob@x.example"),
        ("“bob@x.example”", "bob@x.example"),
        ("\u200bbob@x.example", "bob@x.example"),
        ("user-email|bob@x.example", "bob@x.example"),
        ("CUSTOMER#bob@x", "bob@x"),
        ("?a=1&mail=bob@x", "bob@x"),
        ("uploads/2024/bob@x.example/photo.png", "bob@x.example"),
        ("bob%corp.example@relay", "corp.example@relay"),
        ("noreply@ourco.com.evil.example", "noreply@ourco.com.evil.example"),
        ("x" * 64 + "@x.example", "x" * 64 + "@x.example"),
        ("x" * 200 + "@x.example", "x" * 64 + "@x.example"),
        ("long-" * 40 + "key#bob@x.example", "bob@x.example"),
        ("#@x.example", "#@x.example"),
        ("?mail=ed@x.example", "ed@x.example"),
        ("?mail=abe@mainframe&x=%20", "abe@mainframe"),
        ("bob.@mainframe", "bob.@mainframe"),
        ("jose\u0301@mainframe", "josé@mainframe"),
    ],
)
def test_an_address_is_found_and_named_canonically(text: str, address: str) -> None:
    assert found(text) == [address]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "@noon",
        "user@",
        "3 @ $5",
        "a @ b",
        "a@ b",
        "a @b",
        "'@noon'",
        "(@noon)",
        ".@someone said",
        "node_modules/@types/node",
        "bob@-x",
        "bob@.x",
        "bob@…",
        "a@[0]",
        'a="x" b="@noon"',
        '{"a": "x", "b": "@noon"}',
        '["", "@noon"]',
        '{"a":"","@x.example":"y"',
        '["bob","@x.example"',
        'a="" b="@x.example"',
        'class="a" id="" "@click"',
        '""@x.example',
        'a,"","b""@x.example"',
        '"x","""@noon"""',
        '{\\"a\\":\\"\\",\\"@x.example\\":1',
        "say \"hi\"@ 'ho'@",
        "@@@@",
        "bob\u00a0@\u00a0x",
    ],
)
def test_what_is_no_address_is_not_reported(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("address", [PSEUDONYM, SIMULATOR, KEPT, "u-AbCdefghijklmnopqrstuvwxyzabcdef@test.example.com"])
@pytest.mark.parametrize(
    "frame",
    [
        "{}", "user-email|{}", "CUSTOMER#{}", "CUSTOMER#{}#ORDER#1", "?mail={}&x=1", "a/{}/b.pdf", "<{}>",
        '"{}"', "'{}'",
        "{}.", "{}, {}", "({})", "{}_2024.pdf", "see...{}", "{}|{}", "{}:{}", "mailto:{}?subject=a", "**{}**",
        "{}\n{}",
        '{{\\"to\\": \\"{}\\"}}', "Hi\\n{}\\nbye", "\u200b{}\u200b", "{}谢谢", "{}@2024-01-01", "x" * 90 + "|{}",
        "x" * 90 + "{}",
        '"Ann" <{}>;', "=?utf-8?Q?{}?=", "50%20{}%3E", "&lt;{}&gt;", "=3C{}=3E", "C:\\{}",
    ],
)  # fmt: skip
def test_an_allowed_address_is_cleared_wherever_it_stands(frame: str, address: str) -> None:
    assert found(frame.replace("{{", "{").replace("}}", "}").replace("{}", address)) == []


@pytest.mark.parametrize(
    "text",
    [
        "x" + PSEUDONYM,
        "jörg." + PSEUDONYM,
        "bob+" + PSEUDONYM,
        PSEUDONYM + ".evil.example",
        PSEUDONYM.replace("test.", "test2."),
        PSEUDONYM[:-1],
        "u-" + PSEUDONYM,
    ],
)
def test_a_pseudonym_with_something_glued_to_it_is_a_finding(text: str) -> None:
    assert len(found(text)) == 1


def test_an_allowed_neighbour_clears_nothing_else() -> None:
    assert found(f"{PSEUDONYM},bob@x.example,{SIMULATOR}|ann@y.example") == ["bob@x.example", "ann@y.example"]
    assert found(f"bob@x.example|{PSEUDONYM}") == ["bob@x.example"]
    assert found(f'"bob@x.example","{PSEUDONYM}"') == ["bob@x.example"]


def test_one_address_is_one_finding_and_has_one_name_everywhere() -> None:
    spellings = [
        "Zoé.B@Firma.example",
        unicodedata.normalize("NFD", "Zoé.B@Firma.example"),
        "k#ZOÉ.b@firma.example",
        "zoé.b＠firma．example",
    ]
    assert found(" ".join(spellings)) == ["zoé.b@firma.example"]


def test_allowed_is_asked_about_the_exact_spelling() -> None:
    asked: list[str] = []

    def allowed(address: str) -> bool:
        asked.append(address)
        return False

    LeakScanner(allowed=allowed, fingerprint=str).scan_text("K#Bob＠X.example. ", "key")
    assert "K#Bob＠X.example" in asked
    assert "Bob＠X.example" in asked


# -- somebody else in the local part


def kept(address: str) -> bool:
    """As a keep list with the domain ourco.com and one address of a partner says."""
    local, _, host = address.lower().rpartition("@")
    return ("@" not in local and host == "ourco.com") or address in (PSEUDONYM, "list+ann=x.example@partner.example")


def found_with_kept(text: str) -> list[str]:
    scanner = LeakScanner(allowed=kept, fingerprint=lambda address: address)
    return [finding.fingerprint for finding in scanner.scan_text(text, "key")]


@pytest.mark.parametrize(
    "local",
    [
        "bounce+bob=gmail.com",
        "list-bob=gmail.com",
        "list-bob=gmx.at",
        "bounces+bob=fast.app",
        "bounce+jörg=firma.de",
        "bob=163.com",
        "gmail.com=bob",
        "SRS0=HHH=TT=gmail.com=bob",
        "srs0+HHH=TT=fast.app=bob",
        "SRS1=HHH=relay.com==HHH=TT=gmail.com=bob",
        "bob%gmail.com",
        "bob%facebook.com",
        "gmail.com!bob",
        "uunet!gmail.com!bob",
        "bob_gmail.com#EXT#",
        '"bob%gmail.com"',
    ],
)
def test_a_kept_domain_hides_nobody_in_the_local_part(local: str) -> None:
    address = f"{local}@ourco.com"
    for text in (address, f"<{address}>", f"K|{address}|2", f"to {address}, please", f"{PSEUDONYM};{address}"):
        (found,) = found_with_kept(text)
        assert found.endswith(
            ("bob@gmail.com", "bob@fast.app", "bob@163.com", "bob@gmx.at", "bob@facebook.com", "jörg@firma.de")
        )


def test_somebody_in_the_local_part_is_found_under_escapes() -> None:
    for text in (
        "bounce%2Bbob%3Dgmail.com%40ourco.com",
        '{"a": "bob%gmail.com@ourco.com"}',
        "bob%25gmail.com@ourco.com",
    ):
        assert found_with_kept(text) == ["bob@gmail.com"]


@pytest.mark.parametrize(
    "text",
    [
        "ann.lee@ourco.com",
        "?mail=ann.lee@ourco.com",
        "?a=1&mail=jo.li@ourco.com",
        "mail=jo.li@ourco.com",
        "x=jo.li@ourco.com",
        "?next=shop.com&mail=ann@ourco.com",
        "prvs=0123abcdef=jo.li@ourco.com",
        "x%20ann.co@ourco.com",
        "Andr%C3%A9nn.co@ourco.com",
        "=20ann.co@ourco.com",
        "100%ann@ourco.com",
        "CUSTOMER#ann@ourco.com",
        "wow!ann.lee@ourco.com",
        "file.pdf#ann@ourco.com",
        "ann+v=1.2@ourco.com",
        "list+ann=x.example@partner.example",
        f"bounce+bob={PSEUDONYM}",
        f"gmail.com!{PSEUDONYM}",
    ],
)
def test_a_kept_domain_keeps_its_own_addresses(text: str) -> None:
    assert found_with_kept(text) == []


def test_a_long_local_part_costs_little() -> None:
    for unit in ("a.", "+a=", "a=b.", "%a.", "!a.com", "SRS0=", "=a.de=", "a_b."):
        local = unit * 2000
        asked: list[str] = []

        def allowed(address: str, asked: list[str] = asked) -> bool:
            asked.append(address)
            return address.endswith("@ourco.com")

        LeakScanner(allowed=allowed, fingerprint=str).scan_text(f"{local}@ourco.com", "key")
        assert len(asked) < 400
