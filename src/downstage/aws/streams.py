"""Consumers of streams: Lambda event-source mappings, found by function pattern, switched and awaited.

The table's stream itself is never switched off: it keeps the records while a mapping is disabled (design decision
10). A mapping cannot be pointed at another stream, so one on a re-created table is removed and made anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from downstage.aws.session import Session, calling
from downstage.domain.plan import Streams
from downstage.errors import AwsError, NotFound
from downstage.ports import Consumer

_TABLE_OF_STREAM = re.compile(r":table/([^/]+)/stream/")
_PATIENCE = 300.0
_SETTINGS = (
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "TumblingWindowInSeconds",
    "FunctionResponseTypes",
    "FilterCriteria",
    "DestinationConfig",
)


class MappingControl:
    """Implements `ports.StreamControl` with the target's session."""

    def __init__(self, target: Session, streams: Streams, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._target = target
        self._streams = streams
        self._sleep = sleep

    def consumers(self, tables: Sequence[str]) -> Sequence[Consumer]:
        """The mappings of the configured functions on streams of `tables`, also on streams that are gone."""
        return [consumer for consumer in self._on(tables) if self._wanted(consumer.function.partition(":")[0])]

    def others(self, tables: Sequence[str]) -> Sequence[Consumer]:
        """The mappings of all other functions on streams of `tables`."""
        return [consumer for consumer in self._on(tables) if not self._wanted(consumer.function.partition(":")[0])]

    def _on(self, tables: Sequence[str]) -> Sequence[Consumer]:
        """Every mapping on a stream of `tables`, in every region that is looked at."""
        found = []
        for region in self._streams.regions or (self._target.environment.region,):
            with calling(self._target.environment, f"list the event-source mappings in {region}"):
                pages = self._target.client("lambda", region).get_paginator("list_event_source_mappings").paginate()
                mappings = [mapping for page in pages for mapping in page["EventSourceMappings"]]
            for mapping in mappings:
                consumer = _consumer(mapping, region)
                if consumer is not None and consumer.table in tables:
                    found.append(consumer)
        return sorted(found, key=lambda consumer: (consumer.table, consumer.function, consumer.stream_arn))

    def switch(self, consumer: Consumer, on: bool) -> None:
        """Enables or disables the mapping and waits for its real state."""
        wanted = "Enabled" if on else "Disabled"
        if self._wait(consumer, "Enabled", "Disabled", None) != wanted:  # one on its way cannot be switched
            with calling(self._target.environment, f"switch the consumer {consumer.function}"):
                self._client(consumer).update_event_source_mapping(UUID=consumer.uuid, Enabled=on)
            self._wait(consumer, wanted)

    def create(self, consumer: Consumer, stream_arn: str) -> str:
        """Makes the consumer's like on another stream, disabled, from the stream's beginning; gives its id."""
        with calling(self._target.environment, f"create the consumer {consumer.function}"):
            answer = self._client(consumer).create_event_source_mapping(
                EventSourceArn=stream_arn,
                FunctionName=consumer.function,
                Enabled=False,
                StartingPosition="TRIM_HORIZON",
                **dict(consumer.settings),
            )
        uuid = str(answer["UUID"])
        self._wait(
            Consumer(uuid, consumer.function, consumer.table, stream_arn, "Creating", consumer.region), "Disabled"
        )
        return uuid

    def remove(self, consumer: Consumer) -> None:
        """Removes the mapping and waits until it is gone; an absent one is fine."""
        try:
            with calling(self._target.environment, f"remove the consumer {consumer.function}"):
                self._client(consumer).delete_event_source_mapping(UUID=consumer.uuid)
        except NotFound:
            return
        self._wait(consumer, None)

    def _wanted(self, function: str) -> bool:
        return any(fnmatchcase(function, pattern) for pattern in self._streams.functions)

    def _client(self, consumer: Consumer) -> Any:
        return self._target.client("lambda", consumer.region)

    def _state(self, consumer: Consumer) -> str | None:
        try:
            with calling(self._target.environment, f"look at the consumer {consumer.function}"):
                return str(self._client(consumer).get_event_source_mapping(UUID=consumer.uuid)["State"])
        except NotFound:
            return None

    def _wait(self, consumer: Consumer, *wanted: str | None) -> str | None:
        """The first of the `wanted` states that the mapping is in; None is gone."""
        wait, waited = 0.05, 0.0
        while (state := self._state(consumer)) not in wanted:
            if waited > _PATIENCE:
                raise AwsError(
                    f"the consumer {consumer.function} of table {consumer.table} is still {state}, not "
                    f"{wanted[0] or 'gone'}; look at its event-source mapping, then resume the run"
                )
            self._sleep(wait)
            waited += wait
            wait = min(wait * 2, 5.0)
        return state


def _consumer(mapping: Mapping[str, Any], region: str) -> Consumer | None:
    """The mapping as a consumer, or None if its source is not a table's stream."""
    stream = mapping.get("EventSourceArn", "")
    table = _TABLE_OF_STREAM.search(stream)
    if table is None:
        return None
    return Consumer(
        uuid=mapping["UUID"],
        function=mapping["FunctionArn"].split(":function:")[-1],  # with its alias, if it has one
        table=table.group(1),
        stream_arn=stream,
        state=mapping["State"],
        region=region,
        settings=settings_of(mapping),
        starts=str(mapping.get("StartingPosition") or ""),
        last_result=str(mapping.get("LastProcessingResult") or ""),
    )


def settings_of(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """What is set of an event-source mapping, as CreateEventSourceMapping takes it."""
    settings = {name: mapping[name] for name in _SETTINGS if mapping.get(name) not in (None, [], {}, -1)}
    if not settings.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"):
        settings.pop("DestinationConfig", None)
    if not settings.get("TumblingWindowInSeconds"):
        settings.pop("TumblingWindowInSeconds", None)
    return settings
