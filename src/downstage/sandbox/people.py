"""Invented people and their e-mail addresses, in every form an address takes in life.

Why: a masker that only knows `name@host.tld` looks perfect on tidy data.
Rules: deterministic in the random source given; every host is reserved (RFC 2606/6761: `.example`, `.test`,
`.invalid`, example.org, example.net), so no mail can reach anyone; example.com is left out because masked data uses it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from random import Random

FIRST = (
    "Ann",
    "Bob",
    "Carla",
    "Dmitri",
    "Elena",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Liam",
    "Mona",
    "Nadia",
    "Oscar",
    "Priya",
    "Quentin",
    "Rosa",
    "Sven",
    "Tara",
    "Uma",
    "Viktor",
    "Wanda",
    "Xavier",
    "Yusuf",
    "Zoe",
)
LAST = (
    "Abbott",
    "Baker",
    "Castillo",
    "Dietrich",
    "Evans",
    "Fofana",
    "Garcia",
    "Huang",
    "Ibrahim",
    "Jensen",
    "Kowalski",
    "Lee",
    "Moreau",
    "Nguyen",
    "Okafor",
    "Patel",
    "Quinn",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Ueda",
    "Vargas",
    "Weber",
    "Xu",
    "Young",
    "Zhang",
)
HOSTS = (
    "agency.example",
    "mail.example",
    "post.office.example",
    "lawfirm.test",
    "chambers.lawfirm.test",
    "clinic.invalid",
    "example.org",
    "example.net",
)


@dataclass(frozen=True)
class Mailbox:
    """One spelling of one address. `form` says what is special about it (`ordinary` if nothing)."""

    name: str
    address: str
    form: str


@dataclass(frozen=True)
class Person:
    """Somebody in the system; `ident` is a UUID in text."""

    ident: str
    mailbox: Mailbox

    @property
    def name(self) -> str:
        return self.mailbox.name

    @property
    def email(self) -> str:
        return self.mailbox.address


def uuid_from(random: Random) -> str:
    """A version-4-shaped UUID that depends on the random source alone."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def invent(random: Random, number: int) -> Person:
    """The `number`th person; distinct numbers give distinct addresses. One in 25 has a `+tag`, one in 10 capitals."""
    first, last = random.choice(FIRST), random.choice(LAST)
    local, host = f"{first}.{last}{number}".lower(), random.choice(HOSTS)
    form = "ordinary"
    draw = random.random()
    if draw < 0.04:
        local, form = f"{local}+court", "plus"
    elif draw < 0.14:
        local, form = f"{first}.{last}{number}", "capitals"
    return Person(uuid_from(random), Mailbox(f"{first} {last}", f"{local}@{host}", form))


TWINS: tuple[tuple[Mailbox, Mailbox], ...] = (
    (
        Mailbox("Bob Lee", "Bob.Lee@agency.example", "case-twin"),
        Mailbox("Bob Lee", "bob.lee@agency.example", "case-twin"),
    ),
    (
        Mailbox("Jörg Weber", "jörg@bücher.example", "idn-unicode"),
        Mailbox("Jörg Weber", "jörg@xn--bcher-kva.example", "idn-ascii"),
    ),
    (
        Mailbox("José Castillo", unicodedata.normalize("NFC", "josé@correo.example"), "nfc"),
        Mailbox("José Castillo", unicodedata.normalize("NFD", "josé@correo.example"), "nfd"),
    ),
)
"""Pairs that are one person to a mail server and two different keys to DynamoDB."""

ODD: tuple[Mailbox, ...] = (
    Mailbox("Pat O'Brien", "pat.o'brien@lawfirm.test", "apostrophe"),
    Mailbox("John Doe", '"john doe"@agency.example', "quoted"),
    Mailbox("Operator", "root@mainframe", "no-dot"),
    Mailbox("Batch Queue", "batch.queue@docketvax", "no-dot"),
    Mailbox("Old Gateway", "relay@[192.0.2.7]", "ip-literal"),
    Mailbox("Fax Bridge", "fax.bridge@[198.51.100.23]", "ip-literal"),
    Mailbox("Ines Moreau", "ines.moreau+tax+2019@example.org", "plus"),
)
"""Legal addresses that simple patterns miss."""
