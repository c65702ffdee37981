"""A court's single table: cases, docket entries, work items, messages, users and their e-mail look-ups.

Why: shaped like the real thing (about ten items of about 1 KB a case), so that sizes, keys and indexes mean something.
Rules: deterministic in the random source; an address goes in only through `Draft.embed` or `Draft.note`, so that the
ledger knows it. Key attributes of the indexes are never empty.
"""

from __future__ import annotations

from random import Random

from downstage.sandbox.encodings import ENCODINGS
from downstage.sandbox.layout import PROD_TABLE, PROD_USERS_TABLE, TTL_ATTRIBUTE
from downstage.sandbox.ledger import Draft, Ledger
from downstage.sandbox.people import TWINS, Person, invent, uuid_from
from downstage.sandbox.specimens import TTL_EXPIRED, TTL_FUTURE

SENTENCES = (
    "Petitioner moves for a continuance of the trial session.",
    "Respondent does not object to the granting of the motion.",
    "The parties shall file a joint status report on or before the date set.",
    "It is ordered that the stipulation of facts be received into evidence.",
    "The notice of deficiency was mailed to the last known address.",
    "A hearing was held in chambers and the matter was taken under advisement.",
    "Decision will be entered under the rule cited in the opinion.",
    "The clerk shall serve copies of this order on all parties of record.",
    "Exhibit 12 (price list: 3 @ $5) is returned to counsel.",
    "Trial is set for Monday @noon in the courtroom on the second floor.",
)
CITIES = ("Boise", "Tampa", "Omaha", "Fresno", "Albany", "Reno")
EVENT_CODES = ("P", "A", "M006", "OAJ", "STIP", "DEC")


def prose(random: Random, sentences: int) -> str:
    """Text without an address."""
    return " ".join(random.choices(SENTENCES, k=sentences))


def day(random: Random) -> str:
    """An ISO date-time between 2020 and 2025."""
    return f"{random.randint(2020, 2025)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}T12:00:00.000Z"


class Court:
    """Fills a ledger with `cases` cases. All randomness comes from `random`."""

    def __init__(self, ledger: Ledger, random: Random, cases: int) -> None:
        self._ledger = ledger
        self._random = random
        self._cases = cases
        self._invented = 0
        self.counsel = [self._somebody() for _ in range(max(6, cases // 20))]
        self.clerks = [self._somebody() for _ in range(max(6, cases // 50))]

    def _somebody(self) -> Person:
        self._invented += 1
        return invent(self._random, self._invented)

    def fill(self) -> None:
        """Write every item of both tables."""
        for person in self.counsel:
            self._user(person, "privatePractitioner")
        for person in self.clerks:
            self._user(person, "docketclerk")
            self._login(person)
        for first, second in TWINS:
            for mailbox in (first, second):
                twin = Person(uuid_from(self._random), mailbox)
                self._user(twin, "petitioner")
                self._login(twin)
        for number in range(self._cases):
            self._case(f"{101 + number}-{20 + number % 6}", number)

    def _draft(self, entity: str, pk: str, sk: str) -> Draft:
        return self._ledger.draft(PROD_TABLE, entity, pk, sk)

    def _user(self, person: Person, role: str) -> None:
        user = self._draft("User", f"user|{person.ident}", f"user|{person.ident}")
        user.text("userId", person.ident)
        user.text("name", person.name)
        user.text("role", role)
        user.embed("email", "plain", person.mailbox)
        user.text("gsi1pk", f"user-email|{person.email}")
        user.note("gsi1pk", "gsi-key", [person.mailbox])
        user.put(
            "contact", {"M": {"city": {"S": self._random.choice(CITIES)}, "fax": {"NULL": True}, "notes": {"S": ""}}}
        )
        user.text("biography", prose(self._random, 4))
        lookup = self._draft("UserEmail", f"user-email|{person.email}", f"user|{person.ident}")
        lookup.note("pk", "partition-key", [person.mailbox])
        lookup.text("userId", person.ident)

    def _login(self, person: Person) -> None:
        login = self._ledger.draft(PROD_USERS_TABLE, "User", f"user|{person.ident}", f"login|{person.ident}")
        login.embed("email", "plain", person.mailbox)
        login.text("name", person.name)
        login.put("logins", {"N": str(self._random.randint(0, 900))})
        login.put("roles", {"SS": ["docketclerk", "inbox"]})
        alias = self._ledger.draft(PROD_USERS_TABLE, "UserAlias", f"user|{person.ident}", f"alias|{person.email}")
        alias.note("sk", "sort-key", [person.mailbox])
        alias.embed("email", "plain", person.mailbox)

    def _case(self, docket_number: str, number: int) -> None:
        random = self._random
        petitioners = [self._somebody() for _ in range(1 + (random.random() < 0.2))]
        counsel = random.choice(self.counsel)
        clerk = random.choice(self.clerks)
        pk = f"case|{docket_number}"
        case = self._draft("Case", pk, pk)
        case.text("docketNumber", docket_number)
        case.text("caseCaption", f"{petitioners[0].name}, Petitioner")
        case.text("status", random.choice(("New", "Calendared", "Closed")))
        case.put("filingFee", {"N": random.choice(("60", "60.5", "0"))})
        case.put("sealed", {"BOOL": random.random() < 0.05})
        case.embed("petitioners", "list-of-maps", *(person.mailbox for person in petitioners))
        if len(petitioners) == 1:
            case.embed("privatePractitioners", "list-of-maps", counsel.mailbox)
        case.put(
            "statistics",
            {"L": [{"M": {"year": {"N": str(year)}, "deficiency": {"N": "1204.17"}}} for year in (2018, 2019)]},
        )
        case.text("history", prose(random, 8))
        for person in petitioners:
            self._user(person, "petitioner")
            link = self._draft("UserCase", f"user|{person.ident}", pk)
            link.text("docketNumber", docket_number)
            link.text("gsi1pk", f"user-case|{docket_number}")
        for index in range(random.randint(3, 5)):
            self._docket_entry(pk, index, [petitioners[0], counsel, clerk])
        for _ in range(1 + (random.random() < 0.2)):
            self._work_item(pk, clerk)
        if random.random() < 0.8:
            self._message(pk, clerk, counsel)
        if random.random() < 0.3:
            self._notification(pk, number, petitioners[0])

    def _docket_entry(self, pk: str, index: int, parties: list[Person]) -> None:
        random = self._random
        ident = uuid_from(random)
        entry = self._draft("DocketEntry", pk, f"docket-entry|{ident}")
        entry.text("docketEntryId", ident)
        entry.put("index", {"N": str(index + 1)})
        entry.text("eventCode", random.choice(EVENT_CODES))
        entry.text("filingDate", day(random))
        entry.put("numberOfPages", {"N": str(random.randint(1, 60))})
        entry.put("isStricken", {"BOOL": False})
        entry.text("documentContents", prose(random, random.randint(8, 20)))
        if random.random() < 0.5:
            entry.embed("servedParties", "list-of-maps", *(person.mailbox for person in parties))
        if random.random() < 0.3:
            random.shuffle(parties)
            encoding = random.choice(ENCODINGS)
            boxes = [person.mailbox for person in parties]
            entry.embed("serviceRecord", encoding.name, *boxes)

    def _work_item(self, pk: str, clerk: Person) -> None:
        ident = uuid_from(self._random)
        work = self._draft("WorkItem", pk, f"work-item|{ident}")
        work.text("workItemId", ident)
        work.embed("assigneeEmail", "plain", clerk.mailbox)
        work.text("gsiUserBox", f"inbox|{clerk.email}")
        work.note("gsiUserBox", "gsi-key", [clerk.mailbox])
        work.put("gsiSequence", {"N": str(self._random.randint(1, 10**9))})
        work.text("section", "docket")
        work.text("description", prose(self._random, 6))

    def _message(self, pk: str, sender: Person, receiver: Person) -> None:
        ident = uuid_from(self._random)
        message = self._draft("Message", pk, f"message|{ident}")
        message.text("messageId", ident)
        message.embed("from", "display-name", sender.mailbox)
        message.embed("to", "string-set", receiver.mailbox, sender.mailbox)
        message.embed("body", "free-text", sender.mailbox, receiver.mailbox, sender.mailbox)
        message.put("isRead", {"BOOL": True})
        message.text("subject", prose(self._random, 1))

    def _notification(self, pk: str, number: int, person: Person) -> None:
        notice = self._draft("Notification", pk, f"notification|{person.ident}")
        notice.embed("recipients", "map-name", person.mailbox)
        notice.put("attempts", {"L": []})
        notice.put(TTL_ATTRIBUTE, {"N": str(TTL_EXPIRED + number if number % 10 == 0 else TTL_FUTURE)})
        if number % 4 == 0:
            notice.embed("envelope", "json-in-json", person.mailbox)
