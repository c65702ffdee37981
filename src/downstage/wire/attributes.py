"""A few attributes of an item, found in its bytes without decoding the rest: its key, its time to live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from downstage.ports import RawItem

_ABSENT = b"null"


def finder(names: Sequence[str]) -> Callable[[RawItem], tuple[bytes, ...]]:
    """A function that gives the values of the attributes `names` (typed JSON, as bytes), `null` for one that is not
    there. It raises ValueError for what is no JSON object."""
    fields = [(f"attribute_{place}", msgspec.Raw, msgspec.Raw(_ABSENT)) for place in range(len(names))]
    renamed = {field: name for (field, _, _), name in zip(fields, names, strict=True)}
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(msgspec.defstruct("Found", fields, rename=renamed))
    single = len(names) == 1
    get = attrgetter(*renamed)

    def find(item: RawItem) -> tuple[bytes, ...]:
        try:
            found = get(decoder.decode(item))
        except msgspec.DecodeError:
            raise ValueError("an item is no JSON object") from None
        return (bytes(found),) if single else tuple(map(bytes, found))

    return find
