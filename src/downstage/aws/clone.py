"""The `clone` deployer: the target's tables, domain, indices and consumers made after production's own description.

For teams whose deployment does not make them, and for the sandbox. `intent` looks at everything *before* anything
is removed and is recorded by the caller; `deploy` works from that record alone, so a deploy that was killed half way
ends with the same consumers as one that was not. Consumers are left disabled, at the beginning of the new streams.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from downstage.aws.opensearch import DomainControl
from downstage.aws.session import Session
from downstage.aws.streams import MappingControl
from downstage.aws.table_clone import TableCloner
from downstage.aws.tables import TableControl
from downstage.domain.plan import SearchPlan, Streams, TablePair
from downstage.errors import AwsError, GuardRefused, NotFound
from downstage.planning.guards import check_identity
from downstage.ports import Consumer

_STREAM = "NEW_AND_OLD_IMAGES"
"""The view of a table's stream that consumers need although the source has none."""


class CloneDeployer:
    """Implements `ports.Deployer`. `source` only describes; everything is made with `target`.

    `guard` stands before every write to a table; without one, who we are and whether we may is asked of `target` alone.
    """

    def __init__(
        self,
        source: Session,
        target: Session,
        tables: Sequence[TablePair],
        search: SearchPlan | None,
        streams: Streams | None,
        *,
        guard: Callable[[], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source = source
        self._target = target
        self._pairs = [replace(pair, terms=pair.terms.accepting("consumers")) for pair in tables]
        self._cloner = TableCloner(source, target, guard=guard or partial(check_own, target), sleep=sleep)
        self._search = search
        self._tables = TableControl(target)
        self._consumers = MappingControl(target, streams) if streams else None

    def check(self) -> None:
        """Raises ConfigError if a table could not be cloned for want of what the configuration does not say: worth
        knowing before anything is wiped."""
        for pair in self._pairs:
            self._cloner.check_terms(self._cloner.compare(pair))

    def intent(self) -> Mapping[str, Any]:
        """The consumers that must exist afterwards, as they are now. Raises if a table could not be cloned at all."""
        for pair in self._pairs:
            self._cloner.check(self._cloner.compare(pair))
        if self._consumers is None:
            return {"consumers": []}
        found = self._here([pair.target.name for pair in self._pairs])
        return {"consumers": [asdict(consumer) for consumer in found]}

    def deploy(self, intent: Mapping[str, Any]) -> str:
        """Makes what is missing; says in one line what there is."""
        recorded = [Consumer(**record) for record in intent["consumers"]]
        for pair in self._pairs:
            self._table(pair, consumed=any(consumer.table == pair.target.name for consumer in recorded))
        indices = self._search_domain()
        consumers = self._renew_consumers(recorded)
        parts = [f"{len(self._pairs)} tables"]
        if self._search is not None:
            parts.append(f"1 search domain with {indices} indices")
        if self._consumers is not None:
            parts.append(f"{consumers} consumers (off)")
        return ", ".join(parts)

    def _table(self, pair: TablePair, *, consumed: bool) -> None:
        """One table, without its expiry (which is for after the verification) and its consumers (made below)."""
        self._cloner.clone(self._cloner.compare(pair), stream=_STREAM if consumed else None)

    def _search_domain(self) -> int:
        """Makes the target domain and its indices after the source's; gives the number of indices."""
        if self._search is None:
            return 0
        if self._search.source is None:
            raise AwsError("deploy: clone needs 'search.from', the domain whose indices are to be made anew")
        source, target = DomainControl(self._source), DomainControl(self._target)
        description = source.description(self._search.source.name)
        if description is None:
            raise NotFound(f"there is no search domain {self._search.source.name} in {self._source.environment.name}")
        target.create(self._search.target.name, description)
        old, new = source.index(self._search.source.name), target.index(self._search.target.name)
        indices = old.indices()
        for index in indices:
            new.create(index, old.definition(index))
        return len(indices)

    def _renew_consumers(self, recorded: Sequence[Consumer]) -> int:
        """Each recorded consumer, on the stream that its table has now, disabled; its old mapping removed last."""
        if self._consumers is None:
            return 0
        streams = {pair.target.name: self._stream(pair.target.name) for pair in self._pairs}
        present = self._here(list(streams))
        there = {(c.function, c.table, c.region): c for c in present if c.stream_arn == streams[c.table]}
        wanted = {(c.function, c.table, c.region): c for c in recorded}
        for identity, consumer in wanted.items():
            if identity in there:
                self._consumers.switch(there[identity], on=False)
            else:
                self._consumers.create(consumer, streams[consumer.table])
        for consumer in present:
            if consumer.stream_arn != streams[consumer.table]:
                self._consumers.remove(consumer)
        return len(wanted)

    def _here(self, tables: Sequence[str]) -> Sequence[Consumer]:
        """The consumers in the target's own region: a replica's stream in another one is not ours to make anew."""
        found = self._consumers.consumers(tables) if self._consumers is not None else ()
        return [consumer for consumer in found if consumer.region == self._target.environment.region]

    def _stream(self, table: str) -> str:
        arn = self._tables.facts(table).stream_arn
        if not arn:
            raise AwsError(f"table {table} has no stream: consumers cannot be attached; enable its stream, then resume")
        return arn


def check_own(target: Session) -> None:
    """The environment may be written, and the credentials are its own. Raises GuardRefused."""
    environment = target.environment
    if environment.protected:
        raise GuardRefused(f"refused: writing to '{environment.name}': it is protected (nothing was written)")
    check_identity(environment, target.caller())
