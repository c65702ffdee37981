"""A transport to DynamoDB that answers from a list."""

from __future__ import annotations

from typing import Any

import orjson

from downstage.wire.dynamodb import Response


class Scripted:
    """A transport that answers from a list: a response, or an exception to raise. It keeps what it was asked."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._answers = iter(answers)

    async def post(self, operation: str, body: bytes) -> Response:
        self.asked.append((operation, orjson.loads(body)))
        found = next(self._answers)
        if isinstance(found, Exception):
            raise found
        return found
