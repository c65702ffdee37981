"""The traps of e-mail pseudonymisation, one named test each: what cost others a leak, a lost row or a broken join.

The numbers are those of the list in docs/masking-traps.md. Where a trap is a whole subject, its own test module goes
deeper; here each is shown once, through the same callable that the copy uses.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from downstage.domain import paths
from downstage.domain.plan import MaskingPlan
from downstage.domain.policy import FieldRule, Policy, StrategySpec, TablePolicy
from downstage.errors import ConfigError, MaskingError
from downstage.masking.compile import ItemMasker, TableShape, compile_masker, compile_pseudonyms
from downstage.masking.keys import MaskKey

KEY = MaskKey(bytes(range(32)))
PLAN = MaskingPlan(
    "env:X", "u-{token}@test.example.com", "test", keep_domains=("ourco.com",), keep_addresses=("ops@partner.org",)
)
PSEUDONYMS = compile_pseudonyms(PLAN, KEY)
SHAPE = TableShape("app-prod", ("pk", "sk"))
ANN = "ann.lee@mail-host.org"


def masked(item: dict[str, Any], plan: MaskingPlan = PLAN) -> dict[str, Any]:
    return compile_masker(plan, KEY, SHAPE)(item)


def text(value: str, plan: MaskingPlan = PLAN) -> str:
    return str(masked({"v": {"S": value}}, plan)["v"]["S"])


def ruled(strategy: str, path: str = "v", **options: Any) -> MaskingPlan:
    rule = FieldRule(path, paths.parse(path), StrategySpec(strategy, options, "masking.yaml:3:5"), "masking.yaml:3:5")
    return replace(PLAN, policy=Policy((TablePolicy("*", fields=(rule,)),)))


def test_01_case_joins_twins_without_merging_them() -> None:
    one, other = text("Bob@Example-Mail.org"), text("bob@example-mail.org")
    assert one != other
    assert one.lower() == other.lower()
    assert text("STRASSE@x.org").lower() != text("straße@x.org").lower()


def test_02_plus_tags_and_dots_are_not_folded() -> None:
    assert len({text(address).lower() for address in ("a+x@x.org", "a@x.org", "ab@x.org", "a.b@x.org")}) == 4


def test_03_unicode_twins_join_and_idna_2008_is_used() -> None:
    composed, decomposed = (unicodedata.normalize(form, "jörg@x.org") for form in ("NFC", "NFD"))
    assert text(composed).lower() == text(decomposed).lower()
    assert text("a@straße.de").lower() == text("a@xn--strae-oqa.de").lower()
    assert text("a@straße.de").lower() != text("a@strasse.de").lower()
    assert "用户" not in text("用户@例子.公司")


@pytest.mark.parametrize(
    "address", ['"john doe"@x.org', "bob@[192.0.2.1]", "bob@localhost", "bob@corp.local", "bob@app.internal", "x@y"]
)
def test_04_odd_forms_are_personal_too(address: str) -> None:
    assert PSEUDONYMS.is_pseudonym(text(address))


def test_05_delimiters_that_are_legal_in_addresses_do_not_swallow_keys() -> None:
    assert text(f"USER#{ANN}#ORDER#1") == f"USER#{PSEUDONYMS.replace(ANN)}#ORDER#1"
    assert text(f"name={ANN}|x") == f"name={PSEUDONYMS.replace(ANN)}|x"


@pytest.mark.parametrize(
    "encode",
    [
        lambda address: json.dumps({"to": f"\n{address}", "n": 1.50}).replace("1.5", "1.50"),
        lambda address: '{"to": "' + address.replace("@", "\\u0040") + '"}',
        lambda address: "https://x.example/?m=" + quote(address, safe="") + "&a=b+c",
        lambda address: "https://x.example/?m=" + quote(quote(address, safe=""), safe=""),
        lambda address: html.escape(f"<{address}>").replace("@", "&#64;"),
        lambda address: "Content: =3D=3D " + address.replace("@", "=40"),
    ],
)
def test_06_escapes_are_seen_through_and_written_again(encode: Callable[[str], str]) -> None:
    assert text(encode(ANN)) == encode(PSEUDONYMS.replace(ANN))


def test_07_keys_and_fields_get_the_same_pseudonym() -> None:
    item = masked({"pk": {"S": f"USER#{ANN}"}, "gsi1pk": {"S": ANN}, "email": {"S": ANN}})
    pseudonym = item["email"]["S"]
    assert item == {"pk": {"S": f"USER#{pseudonym}"}, "gsi1pk": {"S": pseudonym}, "email": {"S": pseudonym}}


def test_08_keys_do_not_collide() -> None:
    addresses = [f"user{number}@x.org" for number in range(20_000)]
    assert len({PSEUDONYMS.replace(address).lower() for address in addresses}) == len(addresses)


def test_09_two_spellings_in_one_table_stay_two_items() -> None:
    spellings = ["Bob@x.org", "bob@x.org", "BOB@X.ORG", "bOb@x.org"]
    assert len({masked({"pk": {"S": spelling}})["pk"]["S"] for spelling in spellings}) == len(spellings)


def test_10_sets_keep_their_size_and_type() -> None:
    item = masked({"s": {"SS": ["Bob@x.org", "bob@x.org", "plain"]}, "n": {"NS": ["1", "1.0"]}})
    assert len(set(item["s"]["SS"])) == 3
    assert item["n"] == {"NS": ["1", "1.0"]}


def test_11_names_of_maps_are_masked_and_none_is_lost() -> None:
    item = masked({"byEmail": {"M": {"Bob@x.org": {"N": "1"}, "bob@x.org": {"N": "2"}}}})
    assert sorted(value["N"] for value in item["byEmail"]["M"].values()) == ["1", "2"]
    assert all(map(PSEUDONYMS.is_pseudonym, item["byEmail"]["M"]))


def test_12_types_survive_to_the_last_digit() -> None:
    item = {
        "n": {"N": "1.2345678901234567890123456789012345678E+5"},
        "z": {"N": "0.00001"},
        "e": {"S": ""},
        "b": {"B": ""},
        "t": {"BOOL": True},
        "u": {"NULL": True},
        "m": {"M": {}},
        "l": {"L": []},
    }
    assert masked(item) is item


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_13_compressed_values_are_opened_and_closed_the_same_way_each_time(compress: Callable[[bytes], bytes]) -> None:
    value = {"v": {"B": base64.b64encode(compress(ANN.encode())).decode()}}
    assert masked(value) == masked(value) != value
    assert ANN.encode() not in zlib.decompress(base64.b64decode(masked(value)["v"]["B"]), wbits=47)


def test_13_an_opaque_binary_that_shows_an_address_is_refused_and_another_is_counted() -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256)) * 4
    mask = compile_masker(PLAN, KEY, SHAPE)
    item = {"v": {"B": base64.b64encode(picture).decode()}}
    assert mask(item) is item
    assert mask.opaque == 1
    with pytest.raises(MaskingError, match="opaque"):
        mask({"v": {"B": base64.b64encode(picture + ANN.encode() + picture).decode()}})


def test_15_the_host_is_masked_with_the_local_part() -> None:
    assert "mail-host" not in text(ANN)
    assert text("a@one.org").partition("@")[2] == text("a@two.org").partition("@")[2]


def test_15_a_display_name_goes_with_the_address_where_the_policy_says_email() -> None:
    assert text(f'"Ann Lee" <{ANN}>', ruled("email")).count("Lee") == 0


def test_16_lengths_hold_or_the_sink_is_refused() -> None:
    local, _, host = PSEUDONYMS.replace("a" * 64 + "@" + "b" * 60 + ".org").partition("@")
    assert len(local) <= 64
    assert len(f"{local}@{host}") <= 254
    with pytest.raises(ConfigError, match="64"):
        compile_pseudonyms(replace(PLAN, sink="u" * 40 + "{token}@test.example.com"), KEY)


def test_17_masking_twice_is_masking_once_and_a_stranger_at_the_sink_is_masked() -> None:
    once = text(f"to {ANN}")
    assert text(once) == once
    stranger = "u-" + "a" * 32 + "@test.example.com"
    assert text(stranger) != stranger
    assert text("real.person@test.example.com") != "real.person@test.example.com"


def test_17_after_a_rotation_old_pseudonyms_are_not_masked_again() -> None:
    old = MaskKey(bytes(range(7, 39)))
    before = compile_pseudonyms(PLAN, old).replace(ANN)
    item = {"v": {"S": before}}
    assert compile_masker(PLAN, KEY, SHAPE, [old])(item) is item
    assert compile_masker(PLAN, KEY, SHAPE)(item) != item


def test_18_keep_lists_are_exact() -> None:
    assert text("a@ourco.com, OPS@partner.org") == "a@ourco.com, OPS@partner.org"
    for address in (
        "a@evil-ourco.com",
        "a@ourco.com.evil.io",
        "a@sub.ourco.com",
        "dev@partner.org",
        "v@x.org@ourco.com",
    ):
        assert text(address) != address


def test_20_the_simulator_of_ses_can_be_the_sink() -> None:
    plan = replace(PLAN, sink="success+{token}@simulator.amazonses.com")
    address = text(ANN, plan)
    assert address.startswith("success+")
    assert address.endswith("@simulator.amazonses.com")
    assert text(address, plan) == address


def test_21_another_key_or_environment_gives_another_pseudonym_and_a_username_is_no_address() -> None:
    others = [
        compile_pseudonyms(PLAN, MaskKey(bytes(range(1, 33)))).replace(ANN),
        compile_pseudonyms(replace(PLAN, environment="staging"), KEY).replace(ANN),
    ]
    assert PSEUDONYMS.replace(ANN) not in others
    assert text(ANN, ruled("hash")) not in PSEUDONYMS.replace(ANN)


def test_22_order_and_company_change_nothing() -> None:
    items = [{"pk": {"S": f"user{number}@x.org"}} for number in range(200)]
    forwards, backwards = compile_masker(PLAN, KEY, SHAPE), compile_masker(PLAN, KEY, SHAPE)
    there = [forwards(item) for item in items]
    assert there == [backwards(item) for item in reversed(items)][::-1]
    assert there == [ItemMasker(PSEUDONYMS)(item) for item in items]


@pytest.mark.parametrize(
    "item",
    [
        {"v": {"B": base64.b64encode(b"\x00\x01\x02" * 9 + ANN.encode() + b"\x00\x81" * 9).decode()}},
        {ANN: {"S": 17}},
        {"v": {"XX": ANN}},
        {"v": ANN},
    ],
)
def test_23_no_refusal_tells_what_it_refused(item: dict[str, Any]) -> None:
    with pytest.raises(MaskingError) as caught:
        masked(item)
    assert "ann.lee" not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize("strategy", ["phone", "name", "ssn", "postcode", "city", "address"])
def test_24_what_may_collide_cannot_stand_on_a_key(strategy: str) -> None:
    with pytest.raises(ConfigError, match=f"{strategy} may make two values one"):
        masked({}, ruled(strategy, "pk"))


@pytest.mark.parametrize(
    "value",
    [
        '{"a":"%22john.doe%22%40x.com"}',
        '{"a":"&quot;john doe&quot;@x.com"}',
        '<a href="%22john.doe%22%40gmail.com">',
        'a,""john doe""@x.com',
        '""john.doe"@gmail.com"',
        '"a""john"@x.com',
        'john"@gmail.com',
    ],
)
def test_04_quotes_within_quotes_hide_nobody(value: str) -> None:
    assert "john" not in text(value)


@pytest.mark.parametrize("value", ['{"a":"","@x.com":"y"}', '["bob","@gmail.com"]', 'a="" b="@x.com"', '""@x.com'])
def test_04_quotes_that_only_stand_beside_an_at_sign_are_no_address(value: str) -> None:
    assert text(value) == value


@pytest.mark.parametrize(
    "address",
    [
        "bounce+bob=gmail.com@ourco.com",
        "SRS0=HHH=TT=gmail.com=bob@ourco.com",
        "bob%gmail.com@ourco.com",
        "gmail.com!bob@ourco.com",
        "bounces+1-ab-bob=gmail.com@em.other.com",
        "bounces+bob=fast.app@ourco.com",
        "gmail.com=bob@ourco.com",
        "bob_gmail.com#EXT#@ourco.com",
    ],
)
def test_18_somebody_in_the_local_part_of_another_address_is_masked(address: str) -> None:
    assert "bob" not in text(address)


@pytest.mark.parametrize("address", ["john.smith@ourco.com", "a+b@ourco.com", "x#y@ourco.com"])
def test_18_a_kept_domain_keeps_its_own(address: str) -> None:
    assert text(address) == address


def test_05_a_name_before_an_equals_sign_is_not_swallowed() -> None:
    assert text("email=john.smith@mail-host.org").startswith("email=u-")


@pytest.mark.parametrize(
    "address", [b"(a@gmail.com)", b"mailto:j@acme.org ", b"bob@gmail.com_", b"bob@x.com-", b"j@x.com", b"bob@x.de"]
)
def test_13_short_addresses_in_opaque_binaries_are_seen_too(address: bytes) -> None:
    page = b"%PDF\x00\xff" * 9
    with pytest.raises(MaskingError, match="opaque"):
        masked({"v": {"B": base64.b64encode(page + address + page).decode()}})
