"""The `clone` deployer: the target's tables, domain, indices and consumers made after production's own description.

For teams whose deployment does not make them, and for the sandbox. `intent` looks at everything *before* anything
is removed and is recorded by the caller; `deploy` works from that record alone, so a deploy that was killed half way
ends with the same consumers as one that was not. Consumers are left disabled, at the beginning of the new streams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from downstage.aws.opensearch import DomainControl
from downstage.aws.session import Session, calling
from downstage.aws.streams import MappingControl
from downstage.aws.tables import TableControl
from downstage.domain.plan import SearchPlan, Streams, TablePair
from downstage.errors import AwsError, NotFound
from downstage.ports import Consumer

_THROUGHPUT = ("ReadCapacityUnits", "WriteCapacityUnits")


class CloneDeployer:
    """Implements `ports.Deployer`. `source` only describes; everything is made with `target`."""

    def __init__(
        self,
        source: Session,
        target: Session,
        tables: Sequence[TablePair],
        search: SearchPlan | None,
        streams: Streams | None,
    ) -> None:
        self._source = source
        self._target = target
        self._pairs = tables
        self._search = search
        self._tables = TableControl(target)
        self._consumers = MappingControl(target, streams) if streams else None

    def intent(self) -> Mapping[str, Any]:
        """The consumers that must exist afterwards, as they are now."""
        if self._consumers is None:
            return {"consumers": []}
        found = self._here([pair.target.name for pair in self._pairs])
        return {"consumers": [asdict(consumer) for consumer in found]}

    def deploy(self, intent: Mapping[str, Any]) -> str:
        """Makes what is missing; says in one line what there is."""
        for pair in self._pairs:
            self._table(pair)
        indices = self._search_domain()
        consumers = self._renew_consumers([Consumer(**record) for record in intent["consumers"]])
        parts = [f"{len(self._pairs)} tables"]
        if self._search is not None:
            parts.append(f"1 search domain with {indices} indices")
        if self._consumers is not None:
            parts.append(f"{consumers} consumers (off)")
        return ", ".join(parts)

    def _table(self, pair: TablePair) -> None:
        wanted = self._specification(pair)
        try:
            self._tables.describe(pair.target.name)
        except NotFound:
            try:
                with calling(self._target.environment, f"create table {pair.target.name}"):
                    self._target.client("dynamodb").create_table(**wanted)
            except AwsError as error:
                if error.code != "ResourceInUseException":  # it is there, but was not to be seen yet
                    raise
        self._tables.wait_active(pair.target.name)
        self._expiry(pair)

    def _specification(self, pair: TablePair) -> dict[str, Any]:
        """CreateTable's arguments for the target, from the source's description."""
        control = TableControl(self._source)
        found = control.describe(pair.source.name)
        on_demand = found.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
        wanted: dict[str, Any] = {
            "TableName": pair.target.name,
            "AttributeDefinitions": found["AttributeDefinitions"],
            "KeySchema": found["KeySchema"],
            "BillingMode": "PAY_PER_REQUEST" if on_demand else "PROVISIONED",
            "StreamSpecification": found.get("StreamSpecification")
            or {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        }
        if not on_demand:
            wanted["ProvisionedThroughput"] = _throughput(found)
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
            if found.get(kind):
                wanted[kind] = [_index(index, kind, on_demand) for index in found[kind]]
        tags = self._tags(found["TableArn"])
        if tags:
            wanted["Tags"] = tags
        return wanted

    def _tags(self, arn: str) -> list[dict[str, str]]:
        with calling(self._source.environment, "read the tags of a table"):
            pages = self._source.client("dynamodb").get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
            tags = [tag for page in pages for tag in page["Tags"]]
        return [tag for tag in tags if not tag["Key"].startswith("aws:")]

    def _expiry(self, pair: TablePair) -> None:
        attribute = TableControl(self._source).ttl_attribute(pair.source.name)
        if attribute is None or self._tables.ttl_attribute(pair.target.name) == attribute:
            return
        with calling(self._target.environment, f"set the TTL of table {pair.target.name}"):
            self._target.client("dynamodb").update_time_to_live(
                TableName=pair.target.name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute},
            )

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


def _throughput(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found["ProvisionedThroughput"][name] for name in _THROUGHPUT}


def _index(index: Mapping[str, Any], kind: str, on_demand: bool) -> dict[str, Any]:
    wanted = {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
    if kind == "GlobalSecondaryIndexes" and not on_demand:
        wanted["ProvisionedThroughput"] = _throughput(index)
    return wanted
