"""What goes wrong between a client and the fake S3, and when: a fault is a function from a call to what befalls it.

Chance is drawn from the call itself (seed, operation, key, attempt), never from the order in which calls arrive: many
are under way at once, and a test must fail the same way twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum


class Strike(Enum):
    """What befalls one call."""

    SLOW_DOWN = "503 SlowDown, nothing done"
    BROKEN = "500 InternalError, nothing done"
    ERROR_IN_200 = "200 with an <Error> in it, nothing done"
    RESET = "the connection is reset, nothing done"
    LOST = "done, and the connection is reset before the answer"
    CUT = "done, and the connection is reset in the middle of the answer"
    DENIED = "403 AccessDenied, nothing done"
    EXPIRED = "400 ExpiredToken, nothing done"
    TORN = "the answer is whole HTTP, but its XML ends in the middle"
    UNORDERED = "a page's keys in the wrong order"
    HALF = "of the keys of a DeleteObjects only half are deleted, and the answer is silent about the others"
    SILENT = "nothing done, and no answer for as long as the client waits"


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `number` counts the calls of this operation on this bucket, `attempt` those on this key of it; from 1.
    A listing's key is where it goes on from."""

    operation: str
    bucket: str
    key: str
    number: int
    attempt: int


Fault = Callable[[Call], Strike | None]


def none(call: Call) -> Strike | None:
    """All goes well."""
    return None


def at(operation: str, number: int, strike: Strike, bucket: str = "") -> Fault:
    """Strikes the `number`-th call of an operation on each bucket, or on the one that is named; once."""

    def fault(call: Call) -> Strike | None:
        return strike if call.operation == operation and call.number == number and bucket in ("", call.bucket) else None

    return fault


def always(operation: str, strike: Strike, key: str = "", attempts: int = 1_000_000_000) -> Fault:
    """Strikes the first `attempts` calls of an operation on each key, or on the one key that is named."""

    def fault(call: Call) -> Strike | None:
        hit = call.operation == operation and call.attempt <= attempts and key in ("", call.key)
        return strike if hit else None

    return fault


def chance(seed: int, shares: Mapping[tuple[str, Strike], float], attempts: int = 2) -> Fault:
    """Strikes each (operation, strike) with its share of the calls; no key more often than `attempts` times."""

    def fault(call: Call) -> Strike | None:
        if call.attempt > attempts:
            return None
        drawn = hashlib.blake2b(f"{seed}/{call.operation}/{call.key}/{call.attempt}".encode(), digest_size=8).digest()
        place = int.from_bytes(drawn, "big") / 2**64
        for (operation, strike), share in shares.items():
            if operation == call.operation:
                if place < share:
                    return strike
                place -= share
        return None

    return fault


def first_of(*faults: Fault) -> Fault:
    """The first strike that any of them has for a call."""

    def fault(call: Call) -> Strike | None:
        return next((strike for each in faults if (strike := each(call)) is not None), None)

    return fault
