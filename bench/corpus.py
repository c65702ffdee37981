"""Seeded items for the benchmark, in the typed JSON of DynamoDB: what a court's case system holds, all of it invented.

plain   about 1 KB; nothing is encoded. UUIDs, ISO dates, camelCase names, free text; a third of the items hold one
        or two addresses, a third have line breaks or quotes in their text
dense   about 1 KB; five or six addresses each, two of them new; free text; JSON in a string (a third, a quarter of
        them with quotes in it), a percent-encoded link (an eighth), base64 (an eighth)
grown   one kind of item at 4 to 256 KB: a case with more and more docket entries, addresses among them
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from typing import Any
from urllib.parse import quote

import orjson

Item = dict[str, Any]

_GIVEN = (
    "Ann", "Bo", "Carla", "Dmitri", "Eve", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kemi", "Lena", "Marc", "Noor",
    "Olga", "Pablo", "Quinn", "Rosa", "Sven", "Tara",
)  # fmt: skip
_FAMILY = (
    "Abbott", "Baker", "Chen", "Diaz", "Evans", "Fischer", "Garcia", "Hughes", "Ito", "Jansen", "Kim", "Larsen",
    "Moreno", "Nguyen", "Okafor", "Park",
)  # fmt: skip
_HOSTS = (
    "mail.example", "agency.example", "lawfirm.example", "post.example.org", "chambers.example.net",
    "inbox.example.com",
)  # fmt: skip
_TITLES = (
    "Motion for Judgment on the Pleadings", "Petition", "Notice of Change of Address", "Entry of Appearance",
    "Stipulated Decision", "Motion for Continuance", "Order to Show Cause", "Request for Place of Trial",
    "Motion for Leave to File Amended Petition", "Seriatim Opening Brief", "Administrative Record",
)  # fmt: skip
_SENTENCES = (
    "The parties have agreed on the schedule and ask the Court to approve it.",
    "Respondent does not object to the granting of this motion.",
    "Attached hereto is the statement of account for the taxable years at issue.",
    "The hearing previously set for this session is continued generally.",
    "Petitioner lives abroad, and asks that service be made by electronic means only.",
    "See the exhibits that were lodged under seal; they amount to about 50% of the record.",
    "Counsel for Hughes & Park has withdrawn.",
    "The reporting officer could not be reached before the close of business.",
)
_STATES = ["NY", "CA", "TX", "WA", "IL", "MA", "OR", "NM"]
_STATUSES = ("General Docket - Not at Issue", "Calendared", "Closed", "New", "Submitted")


class Corpus:
    """Draws items. Equal seeds give equal items on every machine."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._known = [self._new_address() for _ in range(2000)]

    def plain(self, count: int) -> list[Item]:
        """`count` items in which nothing is encoded."""
        return [self._docket_entry(addresses=self._chance(1 / 3)) for _ in range(count)]

    def dense(self, count: int) -> list[Item]:
        """`count` items full of addresses, in the clear and encoded."""
        return [self._message() for _ in range(count)]

    def grown(self, size: int) -> Item:
        """One item of at least `size` bytes."""
        item: Item = {"pk": {"S": "case|101-18"}, "sk": {"S": "case|101-18"}, "docketEntries": {"L": []}}
        length = 0
        while length < size:
            entry = self._docket_entry(addresses=self._chance(1 / 3))
            length += len(orjson.dumps(entry))
            item["docketEntries"]["L"].append({"M": entry})
        return item

    def _docket_entry(self, addresses: bool) -> Item:
        docket = f"{self._random.randint(101, 29999)}-{self._random.randint(10, 24)}"
        entry = self._uuid()
        filed = self._date()
        item: Item = {
            "pk": {"S": f"case|{docket}"},
            "sk": {"S": f"docket-entry|{entry}"},
            "entityName": {"S": "DocketEntry"},
            "docketEntryId": {"S": entry},
            "docketNumber": {"S": docket},
            "docketNumberWithSuffix": {"S": docket + self._random.choice(["", "S", "W", "L"])},
            "documentTitle": {"S": self._random.choice(_TITLES)},
            "documentType": {"S": self._random.choice(_TITLES)},
            "createdAt": {"S": filed},
            "filingDate": {"S": filed},
            "receivedAt": {"S": self._date()},
            "isFileAttached": {"BOOL": True},
            "isOnDocketRecord": {"BOOL": self._chance(0.8)},
            "numberOfPages": {"N": str(self._random.randint(1, 300))},
            "filedBy": {"S": f"Petr. {self._name()}"},
            "caseStatus": {"S": self._random.choice(_STATUSES)},
            "userId": {"S": self._uuid()},
            "filers": {"L": [{"S": self._uuid()}]},
            "contactPrimary": {
                "M": {
                    "name": {"S": self._name()},
                    "address1": {"S": f"{self._random.randint(1, 999)} Main Street"},
                    "state": {"S": self._random.choice(_STATES)},
                    "postalCode": {"S": f"{self._random.randint(10000, 99999)}"},
                }
            },
            "additionalInfo": {"S": self._text(escapes=self._chance(1 / 3))},
        }
        if addresses:
            item["contactPrimary"]["M"]["email"] = {"S": self._address()}
            if self._chance(0.5):
                item["additionalInfo2"] = {"S": f"Served on {self._address()} by electronic mail."}
        return item

    def _message(self) -> Item:
        to = self._address(new=True)
        item: Item = {
            "pk": {"S": f"user-email|{to}"},
            "sk": {"S": f"message|{self._uuid()}"},
            "entityName": {"S": "Message"},
            "createdAt": {"S": self._date()},
            "to": {"S": to},
            "from": {"S": self._address()},
            "message": {"S": f"{self._text(escapes=True)}\n\nPlease write to {self._address()} or {self._address()}."},
            "subject": {"S": self._random.choice(_TITLES)},
            "fromUserId": {"S": self._uuid()},
            "isRead": {"BOOL": False},
            "parties": {
                "L": [
                    {"M": {"name": {"S": self._name()}, "email": {"S": self._address(new=True)}, "n": {"N": str(n)}}}
                    for n in range(1)
                ]
            },
        }
        if self._chance(1 / 3):
            event = {"type": "served", "at": self._date(), "to": [self._address()], "note": self._note()}
            item["event"] = {"S": json.dumps(event)}
        if self._chance(1 / 8):
            link = (
                f"https://courts.example/confirm?email={quote(self._address(), safe='')}&next=%2Fcases%2F{self._uuid()}"
            )
            item["link"] = {"S": link}
        if self._chance(1 / 8):
            item["token"] = {"S": base64.b64encode(f"user:{self._address()}".encode()).decode()}
        item["attachments"] = {"L": [{"M": {"documentId": {"S": self._uuid()}, "documentTitle": {"S": "Petition"}}}]}
        return item

    def _text(self, *, escapes: bool) -> str:
        text = self._random.sample(_SENTENCES, 3)
        if escapes:
            text[1] = f'Re: "{self._random.choice(_TITLES)}"'
        return ("\n" if escapes else " ").join(text)

    def _note(self) -> str:
        return 'marked "urgent"' if self._chance(1 / 4) else "by electronic mail"

    def _address(self, *, new: bool = False) -> str:
        return self._new_address() if new else self._random.choice(self._known)

    def _new_address(self) -> str:
        given, family = self._random.choice(_GIVEN), self._random.choice(_FAMILY)
        number = self._random.randint(1, 99999)
        form = self._random.choice(["{g}.{f}{n}", "{f}+docket{n}", "{g}{n}", "{f}_{n}"])
        local = form.format(g=given, f=family, n=number)
        return f"{local if self._chance(0.1) else local.lower()}@{self._random.choice(_HOSTS)}"

    def _name(self) -> str:
        return f"{self._random.choice(_GIVEN)} {self._random.choice(_FAMILY)}"

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _date(self) -> str:
        draw = self._random.randint
        return (
            f"20{draw(17, 24)}-{draw(1, 12):02}-{draw(1, 28):02}T{draw(0, 23):02}:{draw(0, 59):02}:{draw(0, 59):02}"
            f".{draw(0, 999):03}Z"
        )

    def _chance(self, share: float) -> bool:
        return self._random.random() < share
