"""A deadline that holds even when the work does not stop at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_abandoned: set[asyncio.Task[Any]] = set()
"""Work past its deadline that is still stopping: a task that nobody refers to may vanish half-way."""


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Give the result of `work`, or raise TimeoutError after `seconds`.

    `asyncio.timeout` waits until the cancelled work has stopped. A driver that cancels a query asks the
    server to, and a server that hangs makes that take seconds more: here it stops in the background.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            _abandoned.add(task)
            task.add_done_callback(_forget)
            task.cancel()
    if not done:
        raise TimeoutError
    return task.result()


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # seen, so asyncio does not log it
