"""Work beside the main thread, which nobody waits for once it is interrupted.

Not ``ThreadPoolExecutor``: its block, and the interpreter's end, wait for every thread, for as long as a server likes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["each", "started"]

T = TypeVar("T")
U = TypeVar("U")


def started(work: Callable[[], T], name: str = "aside") -> Future[T]:
    """Begin *work* in a thread of its own, which ends with the program at the latest; what it raises is in the result."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def each(work: Callable[[T], U], items: Sequence[T], at_once: int) -> list[U]:
    """Do *work* for all items, some at once; the results in their order.

    When one raises, or this is interrupted, no other item is begun, and nobody waits for those that have been.
    """
    waiting: queue.SimpleQueue[tuple[T, Future[U]]] = queue.SimpleQueue()
    results: list[Future[U]] = [Future() for _ in items]
    for item, result in zip(items, results, strict=True):
        waiting.put((item, result))
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            try:
                item, result = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                result.set_result(work(item))
            except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
                result.set_exception(error)

    for _ in range(min(at_once, len(items))):
        threading.Thread(target=run, name="aside", daemon=True).start()
    try:
        return [result.result() for result in results]
    finally:
        over.set()
