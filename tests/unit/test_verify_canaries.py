"""Canaries: which addresses of the source become one, what finds them again, and that nothing of them can be read."""

from __future__ import annotations

import hashlib
import pickle
import random

import orjson
import pytest

from downstage.testing.world import KEY
from downstage.verify.canaries import (
    A_SEGMENT,
    CanaryKey,
    CanaryProbe,
    CanarySample,
    Exempt,
    source_addresses,
    together,
)
from downstage.verify.layers import Finding

CANARY_KEY = CanaryKey(KEY.derive(CanaryKey.label("test")))
EXEMPT = Exempt(["ours.example", "straße.example"], ["ops@kept.example"], "u-{token}@test.example.com")
ADA = "ada.lovelace@court.example.org"


def items_of(*texts: str) -> list[bytes]:
    return [orjson.dumps({"a": {"S": text}}) for text in texts]


def sample(*texts: str) -> CanarySample:
    chosen = CanarySample(CANARY_KEY, EXEMPT)
    chosen.look(items_of(*texts))
    return chosen


def probe(*texts: str) -> CanaryProbe:
    return CanaryProbe(CANARY_KEY, sample(*texts).canaries)


@pytest.mark.parametrize(
    "text",
    [
        ADA,
        "Ada.Lovelace@Court.Example.ORG",
        f"user|{ADA}",
        f"CUSTOMER#{ADA}#1",
        f"line one\n{ADA}\ttab",
        f'"Ada" <{ADA}>, and others',
        f'{{"to":["{ADA}"]}}',
        f"mailto:{ADA}.",
        f"({ADA})",
    ],
)
def test_an_address_becomes_a_canary_and_is_found_wherever_it_stands(text: str) -> None:
    chosen = sample(text)
    assert chosen.canaries == sample(ADA).canaries
    looked = CanaryProbe(CANARY_KEY, chosen.canaries)
    (finding,) = looked.scan_item({"pk": {"S": "x"}, "deep": {"M": {"notes": {"L": [{"S": text}]}}}})
    assert (finding.path, finding.layers) == ("deep.notes[]", ("canary",))
    assert [found.path for found in looked.scan_text(text, "key")] == ["key"]
    assert [found.path for found in looked.scan_document({"notes": {"to": [text]}}, "_source")] == [
        "_source.notes.to[]"
    ]


@pytest.mark.parametrize(
    "text", [f"x={ADA};", f"?mail={ADA}&x=1", f"'{ADA}'", f"_{ADA}_", f"…{ADA}…", f"see {ADA}...", f"a!{ADA}!"]
)
def test_the_target_is_split_at_more_than_the_source_is(text: str) -> None:
    assert len(probe(ADA).scan_text(text, "key")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "bob@ours.example",
        "BOB@Ours.Example",
        "ops@kept.example",
        "bob@xn--strae-oqa.example",
        "u-abcdefghijklmnopqrstuvwxyzabcdef@test.example.com",
        "U-ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF@TEST.EXAMPLE.COM",
        "\\nops@kept.example",
        "see \\\\ops@kept.example",
        "%20ops@kept.example",
        "=3Cops@kept.example",
        "bob@ours.example_x",
        "bob@localhost",
        "node_modules/@types",
        "o'brien@ours.example.x1",
        "josé@ours.example",
        "a@b@c.example",
        "git@github",
        f"{'a' * 65}@court.example.org",
    ],
)
def test_what_is_kept_is_a_pseudonym_or_is_in_doubt_is_no_canary(text: str) -> None:
    assert sample(text, f'{{"nested":"{text}"}}').canaries == []


def test_a_subdomain_and_a_look_alike_of_what_is_kept_are_canaries() -> None:
    texts = ["a@mail.ours.example", "a@evil-ours.example", "a@ours.example.evil.io", "xops@kept.example"]
    assert len(sample(*texts).canaries) == 4


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("frame", ["{}", "https://gravatar.example/avatar/{}?s=80", "avatar_{}.png", "\n{}", '["{}"]'])
def test_plain_hashes_of_an_address_are_found(kind: str, frame: str) -> None:
    digest = hashlib.new(kind, ADA.encode()).hexdigest()
    for spelling in (digest, digest.upper()):
        (finding,) = probe(ADA).scan_item({"photo": {"S": frame.replace("{}", spelling)}})
        assert (finding.path, finding.layers) == ("photo", ("canary", kind))


def test_other_hashes_and_longer_words_are_not_found() -> None:
    digest = hashlib.md5(ADA.encode()).hexdigest()
    looked = probe(ADA)
    for text in (digest + "0", f"x{digest}", digest[:-1], hashlib.md5(b"bob@x.example").hexdigest(), digest[::-1]):
        assert looked.scan_text(text, "key") == []
    assert probe("bob@other.example").scan_text(f"{ADA} {digest}", "key") == []


def test_the_sample_does_not_depend_on_order_or_on_what_is_read_twice() -> None:
    texts = [f"person{number}@court.example.org" for number in range(1000)]
    whole = sample(*texts).canaries
    assert len(whole) == A_SEGMENT
    shuffled = random.Random(7).sample(texts, len(texts))
    assert sample(*shuffled).canaries == whole
    resumed = CanarySample(CANARY_KEY, EXEMPT, sample(*texts[:300]).canaries)
    for start in range(200, 1000, 100):
        resumed.look(items_of(*texts[start : start + 100]))
    assert resumed.canaries == whole
    assert not resumed.look(items_of(*texts))


def test_it_says_whether_the_sample_changed() -> None:
    chosen = CanarySample(CANARY_KEY, EXEMPT)
    assert not chosen.look(items_of("nothing here", "ops@kept.example"))
    assert chosen.look(items_of(ADA))
    assert not chosen.look(items_of(ADA.upper()))


def test_every_kind_of_attribute_is_sampled() -> None:
    chosen = CanarySample(CANARY_KEY, EXEMPT)
    chosen.look([b'{"one@a.example":{"SS":["two@a.example"]},"m":{"M":{"three@a.example":{"S":"four@a.example"}}}}'])
    assert len(chosen.canaries) == 4


def test_another_key_finds_nothing_and_no_key_or_canary_is_free() -> None:
    other = CanaryKey(KEY.derive(CanaryKey.label("staging")))
    assert CanaryProbe(other, sample(ADA).canaries).scan_text(ADA, "key") == []
    assert CanaryProbe().scan_item({"a": {"S": ADA}}) == []
    assert (CanaryProbe().looked_for, probe(ADA, "bob@x.example").looked_for) == (0, 2)


def test_nothing_of_an_address_or_the_key_can_be_read() -> None:
    (canary,) = sample(ADA).canaries
    plain = {hashlib.new(kind, ADA.encode()).hexdigest() for kind in ("md5", "sha1", "sha256")}
    plain.add(hashlib.blake2b(ADA.encode(), digest_size=16).hexdigest())
    assert len(canary) == 128
    assert set(canary) <= set("0123456789abcdef")
    assert not any(digest[:32] in canary for digest in plain)
    assert repr(CANARY_KEY) == "CanaryKey(…)"
    with pytest.raises(TypeError):
        pickle.dumps(CANARY_KEY)
    finding = probe(ADA).scan_item({ADA: {"S": ADA}})
    assert {found.path for found in finding} == {"*"}
    assert "lovelace" not in repr(finding)


def test_a_place_that_the_scanner_has_found_is_told_once() -> None:
    found = [Finding("a", (), "f")]
    canaries = [Finding("a", ("canary",), "c"), Finding("b", ("canary",), "c")]
    assert together(found, canaries) == [*found, canaries[1]]
    assert together(found, []) == found


def test_lone_surrogates_and_deep_nesting_do_not_hide_a_canary() -> None:
    deep: object = ADA
    for _ in range(600):
        deep = [deep]
    assert len(probe(ADA).scan_document({"a": "\ud800", "b": ADA})) == 1
    assert len(probe(ADA).scan_document(deep)) == 1
    assert len(probe(ADA).scan_text(f"\ud800 {ADA}", "key")) == 1


class Counted(CanaryKey):
    """A key that counts digests."""

    calls = 0

    def digest(self, word: bytes) -> bytes:
        Counted.calls += 1
        return super().digest(word)


@pytest.mark.parametrize("text", ["@" * 100_000, "a@" * 50_000, "a" * 400_000, "0f" * 200_000, "a@b.c" * 80_000])
def test_the_work_is_linear(text: str) -> None:
    Counted.calls = 0
    counted = Counted(bytes(32))
    CanarySample(counted, EXEMPT).look(items_of(text))
    CanaryProbe(counted, ["00" * 64]).scan_text(text, "key")
    assert Counted.calls <= 3 * text.count("@") + 1
    assert sum(map(len, source_addresses(text.encode()))) <= 320 * (text.count("@") + 1)
