"""Has large copies leave off where they are when the time is up: one may take hours, and is gone on with by the next
call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from downstage.ports import ObjectTransfer

_LOOK_SECONDS = 0.5


@asynccontextmanager
async def pausing(transfer: ObjectTransfer, stop_at: float | None, clock: Callable[[], float]) -> AsyncIterator[None]:
    """Pauses the transfer at `stop_at` (seconds of `clock`; None: never), if the block lasts so long."""

    async def watch(until: float) -> None:
        while clock() < until:
            await asyncio.sleep(_LOOK_SECONDS)
        transfer.pause()

    if stop_at is None:
        yield
        return
    watching = asyncio.create_task(watch(stop_at))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
