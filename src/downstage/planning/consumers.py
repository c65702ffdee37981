"""What may go wrong with stream consumers, known before anything is wiped.

A stream keeps a record for 24 hours. While the tables load the consumers are off, so whatever takes longer from the
first item that is written to the consumers' being on loses records, and a search domain that fills from the stream is
never whole. A consumer that nobody named is not held off, and sees data that is not proven yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from downstage.domain.plan import RefreshPlan, TablePair
from downstage.errors import DownstageError, GuardRefused, NotFound
from downstage.planning.assumptions import COLD_READ, COLD_WRITE, RETENTION
from downstage.ports import Consumer, StreamControl, TableAdmin, TableFacts

SAFE = RETENTION - 3600.0
"""How long the consumers may be off: what is left is for them to read what has gathered."""


def expected_hold(plan: RefreshPlan, tables: Sequence[tuple[TablePair, TableFacts]]) -> float:
    """For how long (seconds) the consumers will be off, at least: loading and verifying the tables, side by side, as
    their lanes are carried.

    From the sizes that AWS tells of the source's tables (6 hours old at most) and the capacity that may be used: the
    configured rates, which all tables share, or what each new on-demand table has. Buckets, approvals and deployments
    come on top.
    """
    rates, lanes = plan.rates, 1 if plan.engine.name == "serial" else plan.engine.workers
    writes, reads, proofs = [], [], []
    for pair, facts in tables:
        units = facts.items * max(1.0, -(-facts.size // max(facts.items, 1) // 1024))
        warm = pair.terms.warm
        writes.append(units / (rates.write or max(COLD_WRITE, (warm.write or 0) if warm is not None else 0)))
        reads.append(0.0 if rates.read is None else facts.size / 8192 / rates.read)
        proofs.append(facts.size / 4096 / (rates.verify or COLD_READ))
    loading = max(_together(writes, lanes, shared=rates.write is not None), sum(reads))
    return loading + _together(proofs, lanes, shared=rates.verify is not None)


def _together(seconds: Sequence[float], lanes: int, *, shared: bool) -> float:
    """What tables that take so long each take side by side: all their time where they share a rate, else the longest,
    or what so few lanes need to wait for them all."""
    return sum(seconds) if shared else max(max(seconds, default=0.0), sum(seconds) / lanes)


def check_others(plan: RefreshPlan, consumers: StreamControl, tables: TableAdmin) -> list[str]:
    """The consumers that are `unnamed`, and may be. Raises GuardRefused if they may not be."""
    found = unnamed(plan, consumers, tables)
    if found and plan.streams is not None and plan.streams.others == "fail":
        raise GuardRefused(
            f"refused: {', '.join(found)}: on the stream of a target table and not in 'streams.functions', so nobody "
            "holds it off and it would see data that is not proven; name it there, switch its event-source mapping "
            "off, or allow it with 'streams: {others: warn}' (nothing was copied)"
        )
    return found


def unnamed(plan: RefreshPlan, consumers: StreamControl, tables: TableAdmin) -> list[str]:
    """The consumers that are on, on a stream that lives, and not configured: `FUNCTION of TABLE`."""
    if plan.streams is None or plan.streams.others == "off":
        return []
    others = consumers.others([pair.target.name for pair in plan.tables])
    return sorted({f"{one.function} of {one.table}" for one in others if one.enabled and alive(plan, one, tables)})


def alive(plan: RefreshPlan, consumer: Consumer, tables: TableAdmin) -> bool:
    """Whether the stream that it is on is its table's: one that is gone delivers nothing, whatever the consumer's
    state. Of a replica in another region that cannot be seen."""
    if consumer.region != plan.target.region:
        return True
    try:
        return tables.facts(consumer.table).stream_arn == consumer.stream_arn
    except NotFound:
        return False


def starting_late(consumers: Sequence[Consumer]) -> list[str]:
    """The consumers that may begin after what was loaded."""
    return sorted({f"{one.function} of {one.table}" for one in consumers if one.starts not in ("", "TRIM_HORIZON")})


def concerns(
    plan: RefreshPlan, *, consumers: StreamControl | None, source_tables: TableAdmin, target_tables: TableAdmin
) -> list[str]:
    """What a person should know before the run begins, one line each. What cannot be looked at is left out: it is
    among the problems."""
    if consumers is None:
        return []
    said: list[str] = []

    def look(tell: Callable[[], str]) -> None:
        try:
            text = tell()
        except DownstageError:
            return
        if text:
            said.append(text)

    look(lambda: _too_long(plan, source_tables))
    look(lambda: _late(plan, consumers))
    look(lambda: _others(plan, consumers, target_tables))
    return said


def what_then(plan: RefreshPlan) -> str:
    """What becomes of the search domain if records are lost."""
    if plan.search is None:
        return "what the consumers make of them will not be whole"
    if plan.search.backfill is None:
        return (
            "the indexes will not be whole; configure 'search.backfill' so that the documents are made from the tables"
        )
    if not plan.search.backfill.automatic:
        return "make the documents from the tables then: 'downstage index backfill'"
    return "the documents are then made from the tables (search.backfill)"


def hours(seconds: float) -> str:
    """A length of time in words."""
    return f"{seconds / 3600:.0f} h"


def _too_long(plan: RefreshPlan, source_tables: TableAdmin) -> str:
    hold = expected_hold(plan, [(pair, source_tables.facts(pair.source.name)) for pair in plan.tables])
    if hold <= SAFE:
        return ""
    return (
        f"loading and verifying the tables will take at least {hours(hold)}, and a stream keeps its records for "
        f"{hours(RETENTION)}: the first ones will be lost before the consumers are on; {what_then(plan)}"
    )


def _late(plan: RefreshPlan, consumers: StreamControl) -> str:
    found = starting_late(consumers.consumers([pair.target.name for pair in plan.tables]))
    if not found:
        return ""
    return (
        f"{', '.join(found)}: starts at LATEST, so on a new stream it may miss what was loaded before it was on; set "
        f"its StartingPosition to TRIM_HORIZON; otherwise {what_then(plan)}"
    )


def _others(plan: RefreshPlan, consumers: StreamControl, tables: TableAdmin) -> str:
    found = unnamed(plan, consumers, tables) if plan.streams is not None and plan.streams.others == "warn" else []
    return f"not held off, for 'streams.functions' does not name it: {', '.join(found)}" if found else ""
