"""Items and documents: every place is scanned, paths hold no data, findings hold no value."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import pickle

from downstage.verify.leaks import Finding, LeakScanner

PSEUDONYM = "u-abcdefghijklmnopqrstuvwxyzabcdef@test.example.com"
BOB = "Bob.Secret@firma.example"


def fingerprint(address: str) -> str:
    return hmac.new(b"key", address.encode(), hashlib.sha256).hexdigest()[:16]


def scanner() -> LeakScanner:
    return LeakScanner(allowed=PSEUDONYM.__eq__, fingerprint=fingerprint)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_every_kind_of_attribute_is_scanned() -> None:
    item = {
        "pk": {"S": f"user|{BOB}"},
        "sk": {"S": "1"},
        "petitioners": {"L": [{"M": {"contact": {"M": {"email": {"S": BOB}}}}}]},
        "tags": {"SS": ["a", BOB]},
        "blob": {"B": b64(BOB)},
        "blobs": {"BS": [b64("clean"), b64(BOB)]},
        "body": {"S": json.dumps({"to": [{"address": BOB}]})},
        "count": {"N": "12"},
        "counts": {"NS": ["1", "2"]},
        "sealed": {"BOOL": False},
        "gone": {"NULL": True},
        "owner": {"S": PSEUDONYM},
    }
    findings = scanner().scan_item(item)
    assert [(finding.path, finding.layers) for finding in findings] == [
        ("pk", ()),
        ("petitioners[].contact.email", ()),
        ("tags[]", ()),
        ("blob", ()),
        ("blobs[]", ()),
        ("body.to[].address", ("json",)),
    ]
    assert {finding.fingerprint for finding in findings} == {fingerprint(BOB.lower())}


def test_names_are_scanned_at_every_level_and_shown_as_a_star() -> None:
    hidden = b64(BOB).rstrip("=")
    item = {
        "inbox": {"M": {BOB: {"S": BOB}, hidden: {"M": {"x": {"S": BOB}}}, "2024-01": {"S": BOB}}},
        "body": {"S": json.dumps({BOB: 1, hidden: {"y": BOB}})},
        BOB: {"S": "clean"},
    }
    findings = scanner().scan_item(item)
    assert [(finding.path, finding.layers) for finding in findings] == [
        ("inbox.*", ()),
        ("inbox.*", ()),
        ("inbox.*", ("base64",)),
        ("inbox.*.x", ()),
        ("inbox.*", ()),
        ("body.*", ("json",)),
        ("body.*.y", ("json",)),
        ("*", ()),
    ]


def test_a_name_is_reported_in_every_item() -> None:
    one = scanner()
    for _ in range(3):
        assert len(one.scan_item({BOB: {"S": "x"}, "plain": {"S": "y"}})) == 1


def test_a_document_of_plain_json_is_scanned() -> None:
    document = {"a": [BOB, {"b": PSEUDONYM}], "n": 1, "z": None, BOB: True, "t": {"S": BOB}}
    findings = scanner().scan_document(document, "_source")
    assert [finding.path for finding in findings] == ["_source.a[]", "_source.*", "_source.t.S"]
    assert [finding.path for finding in scanner().scan_document(BOB)] == [""]


def test_a_document_may_be_nested_deeply() -> None:
    document: object = BOB
    for _ in range(900):
        document = [document]
    assert len(scanner().scan_document(document, "d")) == 1


def test_what_is_not_typed_json_is_scanned_all_the_same() -> None:
    assert len(scanner().scan_item({"a": BOB})) == 1
    assert len(scanner().scan_item({"a": {"S": BOB, "T": "x"}})) == 1
    assert len(scanner().scan_item({"a": {"X": BOB}})) == 1
    assert len(scanner().scan_item({"a": {"N": BOB}})) == 1
    assert len(scanner().scan_item({"a": {"S": [BOB]}})) == 1
    assert len(scanner().scan_item({"a": {"L": {"x": BOB}}})) == 1
    assert len(scanner().scan_item({"a": {"B": BOB.encode()}})) == 1
    assert len(scanner().scan_item({"a": {"B": 1}, "b": {"BS": BOB}})) == 1


def test_binary_that_is_not_base64_is_scanned_as_text() -> None:
    assert len(scanner().scan_item({"a": {"B": BOB}})) == 1


def test_a_finding_never_holds_the_value() -> None:
    packed = base64.b64encode(gzip.compress(json.dumps({BOB: BOB}).encode())).decode()
    item = {
        BOB: {"S": BOB},
        "m": {"M": {f"x {BOB}": {"S": packed}}},
        "deep": {"S": b64(b64(b64(b64(b64(BOB)))))},
    }
    findings = scanner().scan_item(item) + scanner().scan_text(f"uploads/{BOB}/1.pdf", "object key")
    assert len(findings) >= 6
    for finding in findings:
        traces = [repr(finding), str(finding), repr(pickle.dumps(finding))]
        assert pickle.loads(pickle.dumps(finding)) == finding
        for trace in traces:
            for part in ("bob", "secret", "firma", b64(BOB)[:10].lower()):
                assert part not in trace.lower()


def test_a_finding_is_a_value() -> None:
    finding = Finding("a.b", ("json",), "f")
    assert finding == Finding(path="a.b", layers=("json",), fingerprint="f")
    assert hash(finding)


def test_a_clean_item_costs_no_question_but_for_its_pseudonyms() -> None:
    asked: list[str] = []

    def allowed(address: str) -> bool:
        asked.append(address)
        return True

    item = {"pk": {"S": "case|101-19"}, "caption": {"S": "Ann Lee, Petitioner"}, "email": {"S": PSEUDONYM}}
    assert LeakScanner(allowed=allowed, fingerprint=str).scan_item(item) == []
    assert asked == [PSEUDONYM]
