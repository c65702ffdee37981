"""One of everything: each DynamoDB type, each encoding of an address, each odd address, each near miss.

Why: the court's records are drawn at random, so a small sandbox might lack a case; these items never do.
Rules: entity `LegacyRecord` ("what twenty years of imports leave behind"), not indexed; the same whatever `cases` is.
Random bytes contain neither `@` nor a byte that begins an escape of it: opaque data cannot hold an address by chance.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from random import Random

from downstage.sandbox.encodings import ENCODINGS, Value
from downstage.sandbox.layout import PROD_TABLE, TTL_ATTRIBUTE
from downstage.sandbox.ledger import Draft, Ledger
from downstage.sandbox.people import ODD, TWINS, Mailbox, Person

TTL_FUTURE = 4_070_908_800
"""2099-01-01, seconds since 1970."""
TTL_ANCIENT = 1_000_000_000
"""2001-09-09: past by more than the five years after which DynamoDB leaves an item alone, so it is not expired."""
TTL_EXPIRED = int(datetime(datetime.now(UTC).year - 1, 1, 1, tzinfo=UTC).timestamp())
"""The beginning of last year. It alone follows the calendar: what DynamoDB would delete is younger than five years."""

NEAR_MISSES: tuple[str, ...] = (
    "meet @noon",
    "@noon",
    "C:\\dir\\archive",
    "§@§",
    "3 @ $5 = $15",
    "user@",
    "a @ b",
    "@@",
    "twitter: @taxcourt",
    "1e5",
    "100%40",
    '{"fee": 1.10,  "limit":1e5 , "big":12345678901234567890.0, "tiny":-0.0}',
    '[1.0,2.50,\t{"a" : null}]',
    "%7B%22fee%22%3A1.10%7D",
    "line one\r\nline two =\r\n",
    "&lt;b&gt; &amp;amp; &#8364;",
    "e\u0301 is not \u00e9",
    "",
)
"""Text that is no address and holds none."""

NUMBERS = (
    "0",
    "-1",
    "12345678901234567890123456789012345678",
    "-0.00012345",
    "3.1415926535897932384626433832795028841",
    "0." + "0" * 129 + "1",
    "99" + "0" * 124,
)
"""In the form in which DynamoDB returns them; 38 digits, and both ends of the range (1E-130, 9.9E+125)."""

_ESCAPES = b"@%&=\\"
_WITHOUT_ESCAPES = bytes(code ^ 0x80 if code in _ESCAPES else code for code in range(256))


def opaque(random: Random, size: int) -> bytes:
    """Random bytes without `@` and without the bytes that begin an escape of it."""
    return random.randbytes(size).translate(_WITHOUT_ESCAPES)


def nested(depth: int, core: Value) -> Value:
    """`core` inside `depth` alternating maps and lists."""
    value = core
    for level in range(depth):
        value = {"L": [value, {"N": str(level)}]} if level % 2 else {"M": {"next": value, "level": {"N": str(level)}}}
    return value


def record(ledger: Ledger, number: int) -> Draft:
    """The next legacy record."""
    return ledger.draft(PROD_TABLE, "LegacyRecord", "import|legacy", f"record|{number:04d}")


def plant_specimens(ledger: Ledger, random: Random, people: list[Person]) -> None:
    """Add the legacy records. `people`: at least three ordinary ones."""
    number = 0
    boxes = [person.mailbox for person in people if person.mailbox.form == "ordinary"][:3]
    odd = (*ODD, *(box for pair in TWINS for box in pair))
    for encoding in ENCODINGS:
        number += 1
        record(ledger, number).embed("imported", encoding.name, *boxes)
    plus = Mailbox("Tara Young", "tara.young+docket@mail.example", "plus")
    for name in ("percent", "mailto", "percent-twice", "free-text"):
        number += 1
        record(ledger, number).embed("imported", name, plus, *boxes)
    for box in odd:
        for encoding in ENCODINGS:
            if encoding.any_form:
                number += 1
                record(ledger, number).embed("imported", encoding.name, box, *boxes)
    number = plant_deep_addresses(ledger, number, boxes[0])
    number = plant_survivors(ledger, random, number)
    plant_expiries(ledger, number)


def plant_deep_addresses(ledger: Ledger, number: int, box: Mailbox) -> int:
    """An address under nine levels of lists and maps, and one beside every other type."""
    draft = record(ledger, number + 1)
    draft.put("imported", nested(9, {"S": box.address}))
    draft.note("imported", "plain", [box])
    mixed = record(ledger, number + 2)
    members: Value = {
        "M": {
            "address": {"S": box.address},
            "flag": {"BOOL": True},
            "nothing": {"NULL": True},
            "numbers": {"NS": ["-2.5", "1", "300"]},
            "blobs": {"BS": [b"\x00\x01", b"\xff"]},
            "empty": {"M": {}},
        }
    }
    mixed.put("imported", members)
    mixed.note("imported", "plain", [box])
    return number + 2


def plant_survivors(ledger: Ledger, random: Random, number: int) -> int:
    """Near misses, opaque bytes and every type, all without an address."""
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + opaque(random, 300)
    values: list[Value] = [{"S": text} for text in NEAR_MISSES]
    values += [{"N": digits} for digits in NUMBERS]
    values += [
        {"NS": ["-2.5", "1", "12345678901234567890123456789012345678"]},
        {"SS": ["alpha", "@noon", "§@§"]},
        {"BS": [opaque(random, 12), b"\x00"]},
        {"B": png},
        {"B": opaque(random, 700)},
        {"B": b""},
        {"B": b"\x1f\x8b\x08 not gzip after all"},
        {"S": base64.b64encode(opaque(random, 900)).decode("ascii")},
        {"S": "H4sIAAAAAAAA/not+gzip/after+all=="},
        {"NULL": True},
        {"BOOL": False},
        {"L": []},
        {"M": {}},
        nested(12, {"S": "user@"}),
        {"M": {"user@": {"S": "x"}, "@": {"NULL": True}, "with space.and.dot": {"L": [{"M": {}}]}}},
    ]
    for value in values:
        number += 1
        record(ledger, number).survivor("imported", value)
    return number


def plant_expiries(ledger: Ledger, number: int) -> None:
    """Items that expire in 2099, that expired last year, whose time is ancient, and whose time is no number."""
    numbers = [TTL_FUTURE] * 3 + [TTL_EXPIRED] * 3 + [TTL_ANCIENT] * 2
    times: list[Value] = [*({"N": str(number)} for number in numbers), *([{"S": "2001-09-09"}] * 2)]
    for offset, time in enumerate(times, start=1):
        draft = record(ledger, number + offset)
        draft.text("imported", "a record with a time to live")
        draft.put(TTL_ATTRIBUTE, time)
