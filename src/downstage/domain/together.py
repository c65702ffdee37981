"""Coroutines carried through at one time: the first error ends them all."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def together(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results in order. Nothing goes on after this has ended, however it ended."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def few_at_a_time(work: Iterable[Coroutine[Any, Any, Result]], most: int) -> list[Result]:
    """The results in order, with at most so many under way."""
    places = asyncio.Semaphore(most)

    async def placed(each: Coroutine[Any, Any, Result]) -> Result:
        async with places:
            return await each

    return await together([placed(each) for each in work])
