"""What every port speaks of: one item, decoded or as the bytes it travels in."""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]
"""One DynamoDB item in typed JSON as on the wire: `{"pk": {"S": "…"}, "b": {"B": "<base64 text>"}}`."""


RawItem = bytes
"""The same item as the bytes it travels in: one JSON object, decoded only by whoever must look into it."""
