"""The document buckets: what stands in production, what stands in test before a refresh, and what a sync must do.

Why: a sync is only tested if some objects are equal, some differ, some are missing, some are too many, and some keys
are hard to spell.
Rules: deterministic; no address in an object key; the expected numbers are counted while the objects are laid out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

AWKWARD_KEYS: tuple[str, ...] = (
    "with space.pdf",
    "a+b.pdf",
    "%41.pdf",
    "100%.pdf",
    "ünïcode/ø.pdf",
    "e\u0301 decomposed.pdf",
    "emoji\U0001f4c4.pdf",
    "folder/",
    "folder/inside.txt",
    "./z",
    "a//b",
    "a/../b",
    "/leading",
    "trailing ",
    "quote\"s and 'apostrophes'.txt",
    "ampersand&<angle>.txt",
    "tab\tstop.txt",
    "question?mark#hash.txt",
    "back\\slash.txt",
    "k" * 900,
)


@dataclass(frozen=True)
class Document:
    """One object to be put. `tags` and `metadata` are name to value."""

    key: str
    body: bytes
    content_type: str
    cache_control: str
    metadata: dict[str, str]
    tags: dict[str, str]


@dataclass(frozen=True)
class Buckets:
    """Both buckets before a refresh; `to_copy`, `to_delete`, `equal` are what a sync with deletion must count."""

    source: list[Document]
    target: list[Document]
    to_copy: int
    to_delete: int
    equal: int


def lay_out(random: Random, ordinary: int = 280) -> Buckets:
    """`ordinary` documents and the awkward keys in the source; the target is half-way out of date."""
    source = [document(random, key) for key in AWKWARD_KEYS]
    source += [
        document(random, f"documents/{number:05d}-{random.getrandbits(48):012x}.pdf") for number in range(ordinary)
    ]
    target: list[Document] = []
    to_copy = equal = 0
    for number, original in enumerate(source):
        if number % 10 < 6:
            target.append(original)
            equal += 1
        elif number % 10 == 6:
            target.append(replace(original, body=original.body + b" (an older, longer draft)"))
            to_copy += 1
        elif number % 10 == 7 and original.body:
            target.append(replace(original, body=bytes(byte ^ 1 for byte in original.body)))
            to_copy += 1
        else:
            to_copy += 1
    extra = [document(random, f"documents/withdrawn-{number:03d}.pdf") for number in range(24)]
    extra.append(document(random, "withdrawn & gone+1.pdf"))
    return Buckets(source, target + extra, to_copy, len(extra), equal)


def document(random: Random, key: str) -> Document:
    """A small document; a key that ends in `/` is an empty folder marker."""
    folder = key.endswith("/")
    body = b"" if folder else b"%PDF-1.7\n" + random.randbytes(random.randint(40, 1500))
    return Document(
        key=key,
        body=body,
        content_type="application/x-directory"
        if folder
        else random.choice(("application/pdf", "text/plain; charset=utf-8")),
        cache_control=random.choice(("no-cache", "private, max-age=3600")),
        metadata={"docket-number": f"{random.randint(101, 999)}-21", "pages": str(random.randint(1, 40))},
        tags={"scan": "clean", "retention": random.choice(("short", "long term"))},
    )
