"""The ways an address is written down inside a DynamoDB value.

Why: data leaks where nobody looks: in JSON inside a string, in a gzip inside a binary, in a URL that was encoded twice.
Rules: one named function an encoding, from mailboxes to one typed value (boto3 shape: B is `bytes`). It embeds the
first `uses` mailboxes given, and it is written independently of any code that looks for addresses.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from downstage.sandbox.people import Mailbox

Value = dict[str, Any]


@dataclass(frozen=True)
class Encoding:
    """`embed(mailboxes)` writes the first `uses` of them. `any_form`: also sensible for quoted, IDN, IP … addresses."""

    name: str
    uses: int
    any_form: bool
    embed: Callable[[Sequence[Mailbox]], Value]


def served_on(mailbox: Mailbox) -> str:
    """A line of a service record."""
    return f"Served on {mailbox.address} by electronic mail."


def json_event(mailbox: Mailbox) -> str:
    """A JSON text as an old system wrote it: odd spacing, and numbers that a JSON round trip would alter."""
    return f'{{ "to":{json.dumps(mailbox.address)},  "fee": 60.10, "limit":1e5 }}'


def free_text(boxes: Sequence[Mailbox]) -> Value:
    a, b, c = (box.address for box in boxes[:3])
    return {"S": f"The parties agree; please mail {a}, and <{b}>; cc: {c}. Nothing else is due @noon."}


def list_of_maps(boxes: Sequence[Mailbox]) -> Value:
    return {"L": [{"M": {"name": {"S": box.name}, "email": {"S": box.address}}} for box in boxes[:2]]}


def redirect_url(boxes: Sequence[Mailbox]) -> Value:
    inner = f"https://courts.example/confirm?email={quote(boxes[0].address, safe='')}"
    return {"S": f"https://login.example/?next={quote(inner, safe='')}"}


def html_paragraph(boxes: Sequence[Mailbox]) -> Value:
    return {"S": f"<p>{html.escape(boxes[0].name)}: {boxes[0].address.replace('@', '&#64;')}</p>"}


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def gzipped(text: str) -> bytes:
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def quoted_printable(boxes: Sequence[Mailbox]) -> Value:
    local, _, host = boxes[0].address.rpartition("@")
    return {"S": f"Content-Transfer-Encoding: quoted-printable\r\n\r\nReply to {local}=40{host} =E2=80=94 the clerk"}


ENCODINGS: tuple[Encoding, ...] = (
    Encoding("plain", 1, True, lambda boxes: {"S": boxes[0].address}),
    Encoding("display-name", 1, False, lambda boxes: {"S": f'"{boxes[0].name}" <{boxes[0].address}>'}),
    Encoding("free-text", 3, True, free_text),
    Encoding("list-of-maps", 2, True, list_of_maps),
    Encoding("string-set", 2, True, lambda boxes: {"SS": sorted([boxes[0].address, boxes[1].address, "paper"])}),
    Encoding("map-name", 1, True, lambda boxes: {"M": {boxes[0].address: {"S": "notified"}, "paper": {"BOOL": False}}}),
    Encoding("json", 1, True, lambda boxes: {"S": json_event(boxes[0])}),
    Encoding("json-in-json", 1, True, lambda boxes: {"S": json.dumps({"v": 2, "event": json_event(boxes[0])})}),
    Encoding("json-u0040", 1, False, lambda boxes: {"S": json_event(boxes[0]).replace("@", "\\u0040")}),
    Encoding(
        "percent",
        1,
        False,
        lambda boxes: {"S": f"https://courts.example/confirm?email={quote(boxes[0].address, safe='')}&x=1"},
    ),
    Encoding("percent-twice", 1, False, redirect_url),
    Encoding("mailto", 1, False, lambda boxes: {"S": f"mailto:{quote(boxes[0].address, safe='@')}?subject=Hearing"}),
    Encoding("html-entity", 1, False, html_paragraph),
    Encoding("quoted-printable", 1, False, quoted_printable),
    Encoding("base64-text", 1, True, lambda boxes: {"S": base64_text(served_on(boxes[0]).encode())}),
    Encoding("base64-gzip-json", 1, False, lambda boxes: {"S": base64_text(gzipped(json_event(boxes[0])))}),
    Encoding("binary-text", 1, True, lambda boxes: {"B": served_on(boxes[0]).encode()}),
    Encoding("binary-base64", 1, False, lambda boxes: {"B": base64.b64encode(served_on(boxes[0]).encode())}),
    Encoding("binary-gzip-text", 1, False, lambda boxes: {"B": gzipped(served_on(boxes[0]))}),
    Encoding("binary-gzip-json", 1, False, lambda boxes: {"B": gzipped(json_event(boxes[0]))}),
    Encoding("binary-zlib", 1, False, lambda boxes: {"B": zlib.compress(served_on(boxes[0]).encode(), 6)}),
)
BY_NAME = {encoding.name: encoding for encoding in ENCODINGS}
KEY_ENCODINGS = ("partition-key", "sort-key", "gsi-key")
"""Encodings that the court's records make themselves: an address inside a key."""
