"""Pseudonyms: who is the same person, what is ours, what is kept."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import pytest

from downstage.domain.plan import MaskingPlan
from downstage.errors import ConfigError
from downstage.masking.compile import compile_pseudonyms, fingerprint
from downstage.masking.email import EmailPseudonyms, canonical
from downstage.masking.keys import MaskKey
from downstage.masking.tokens import LENGTH, Tokens

KEY = MaskKey(bytes(range(64)))
SINK = "u-{token}@test.example.com"


def pseudonyms(
    key: MaskKey = KEY,
    environment: str = "test",
    sink: str = SINK,
    domains: Iterable[str] = (),
    kept: Iterable[str] = (),
) -> EmailPseudonyms:
    return EmailPseudonyms(key, environment, sink, domains, kept)


def test_the_same_everywhere_and_frozen() -> None:
    assert pseudonyms().replace("bob@x.example") == pseudonyms().replace("bob@x.example")
    assert pseudonyms().replace("bob@x.example") == "u-ytstixypwridiqafayjhvgrcjhfsbdqy@test.example.com"
    assert pseudonyms().replace("Bob@x.example") == "u-ytstIxypWridIQAfAyjHvgRCJhfSBdqY@test.example.com"


TWINS = [
    ("bob@x.example", "Bob@X.Example"),
    ("bob@x.example", "BOB@X.EXAMPLE"),
    ("bob@x.example", "bob＠x.example"),
    ("bob@x.example", '"bob"@x.example'),
    ("jörg@x.example", "JÖRG@x.example"),
    (unicodedata.normalize("NFC", "josé@x.example"), unicodedata.normalize("NFD", "josé@x.example")),
    ("bob@bücher.example", "bob@xn--bcher-kva.example"),
    ("bob@BÜCHER.example", "bob@XN--BCHER-KVA.EXAMPLE"),
    ("bob@a_b.bücher.example", "bob@a_b.xn--bcher-kva.example"),
    ("bob@例子。广告", "bob@例子.广告"),
    ("bob@faß.example", "bob@xn--fa-hia.example"),
]


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_twins_have_the_same_letters_and_are_distinct(one: str, other: str) -> None:
    first, second = pseudonyms().replace(one), pseudonyms().replace(other)
    assert first.lower() == second.lower()
    assert first != second
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize("spelling", sorted({spelling for pair in TWINS for spelling in pair}))
def test_the_canonical_spelling_alone_is_all_lower_case(spelling: str) -> None:
    assert pseudonyms().replace(canonical(spelling)).islower()
    assert pseudonyms().replace(spelling).islower() == (spelling == canonical(spelling))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@x.example", "a+tag@x.example"),
        ("a.b@x.example", "ab@x.example"),
        ("bob@fass.example", "bob@faß.example"),
        ("bob@x.example", "bob@x.example.org"),
        ('"john doe"@x.example', "johndoe@x.example"),
        ("ﬁ@x.example", "fi@x.example"),
    ],
)
def test_others_have_other_letters(one: str, other: str) -> None:
    assert pseudonyms().replace(one).lower() != pseudonyms().replace(other).lower()


def test_key_environment_and_context_make_another_pseudonym() -> None:
    made = {
        pseudonyms().replace("a@x.example").partition("@")[0],
        pseudonyms(environment="staging").replace("a@x.example").partition("@")[0],
        pseudonyms(key=MaskKey(bytes(range(1, 65)))).replace("a@x.example").partition("@")[0],
        "u-" + Tokens(KEY, "test", "username/v1").token("a@x.example", "a@x.example"),
    }
    assert len(made) == 4


def test_a_pseudonym_is_its_own_pseudonym_in_any_case() -> None:
    ours = pseudonyms()
    made = ours.replace("Bob@x.example")
    for spelling in (made, made.lower(), made.upper(), f"n{made}", f"foo%20{made}"):
        assert ours.replace(spelling) == spelling
        assert ours.is_pseudonym(spelling)
        assert ours.allowed(spelling)


def test_a_stranger_at_the_sink_is_masked() -> None:
    ours = pseudonyms()
    made = ours.replace("bob@x.example")
    with_k = next(
        name for name in map(ours.replace, ("bob@x.example", "ann@x.example", "eve@x.example")) if "k" in name
    )
    rotated = pseudonyms(key=MaskKey(bytes(range(1, 65)))).replace("bob@x.example")
    for stranger in (
        f"u-{'a' * LENGTH}@test.example.com",
        "bob@test.example.com",
        rotated,
        made + ".evil.example",
        made.replace("test.", "prod."),
        f"victim@mail.example-{made}",
        f"victim@{made}",
        made.replace("@", "x@"),
        with_k.replace("k", "\u212a"),
    ):
        assert ours.is_pseudonym(ours.replace(stranger))
        assert ours.replace(stranger) != stranger
        assert not ours.allowed(stranger)


def test_keep_lists_are_exact() -> None:
    ours = pseudonyms(domains=["ourco.com", "Bücher.example"], kept=["Ops@Shared.example"])
    for kept in ("a@ourco.com", "A@OurCo.COM", "ops@shared.example", "a@xn--bcher-kva.example", "a@bücher.example"):
        assert ours.replace(kept) == kept
    for masked in (
        "a@evil-ourco.com",
        "a@ourco.com.evil.io",
        "a@sub.ourco.com",
        "a@ourco.co",
        "ops2@shared.example",
        "ourco.com@gmail.example",
        "victim@gmail.example@ourco.com",
        '"victim@gmail.example"@ourco.com',
        "victim＠gmail.example@ourco.com",
    ):
        assert ours.replace(masked) != masked


@pytest.mark.parametrize(
    "sink",
    [
        "", "u-@test.example.com", "{token}", "u-{token}-{token}@x.example", "u-{token}" + "x" * 31 + "@x.example",
        "u-{token}@" + "x" * 220 + ".example", "U-{token}@x.example", "u-{token}@X.example", "ü{token}@x.example",
        "u#{token}@x.example", "a b{token}@x.example", "{token}@x@y", "{token}@", "{token}@x.example.",
    ],
)  # fmt: skip
def test_a_sink_that_cannot_hold_a_token_is_refused(sink: str) -> None:
    with pytest.raises(ConfigError, match=r"masking\.sink"):
        pseudonyms(sink=sink)


@pytest.mark.parametrize("sink", [SINK, "success+{token}@simulator.amazonses.com", "{token}" + "x" * 32 + "@x.example"])
def test_a_sink_with_room_is_taken(sink: str) -> None:
    ours = pseudonyms(sink=sink)
    made = ours.replace("a@x.example")
    assert len(made.partition("@")[0]) <= 64
    assert ours.replace(made) == made


def test_the_fingerprint_of_a_plan_changes_with_all_that_decides_a_value() -> None:
    plan = MaskingPlan("env:K", SINK, "test", ("a.example", "b.example"), ("x@y.example",))
    seen = {
        fingerprint(plan, KEY),
        fingerprint(plan, MaskKey(bytes(range(1, 65)))),
        fingerprint(MaskingPlan("env:K", "v-{token}@test.example.com", "test", plan.keep_domains), KEY),
        fingerprint(MaskingPlan("env:K", SINK, "prod", plan.keep_domains, plan.keep_addresses), KEY),
        fingerprint(MaskingPlan("env:K", SINK, "test", ("a.example",), plan.keep_addresses), KEY),
        fingerprint(MaskingPlan("env:K", SINK, "test", plan.keep_domains), KEY),
    }
    assert len(seen) == 6
    reordered = MaskingPlan("file:other", SINK, "test", ("b.example", "a.example"), ("x@y.example",))
    assert fingerprint(reordered, KEY) == fingerprint(plan, KEY)
    assert compile_pseudonyms(plan, KEY).replace("c@a.example") == "c@a.example"


def test_report_fingerprints_are_keyed_and_join_twins() -> None:
    assert pseudonyms().fingerprint("Bob@x.example") == pseudonyms().fingerprint("bob@X.example")
    assert pseudonyms().fingerprint("a") != pseudonyms(environment="b").fingerprint("a")
    assert pseudonyms().fingerprint("a@x.example")[:8] not in pseudonyms().replace("a@x.example")
