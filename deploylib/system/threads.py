"""Work beside the main thread.

Nobody waits for it once that is interrupted.
Not ``ThreadPoolExecutor``: its block, and the interpreter's end, wait for every thread, for as long as a server likes.
"""

from __future__ import annotations

import ctypes
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from deploylib.errors import SettingsError

__all__ = ["LESS", "NoThread", "begin", "each", "reserve_little", "start"]

STACK = 4 << 20  # bytes
ARENA_MAX, ARENAS = -8, 2  # mallopt(3)
T = TypeVar("T")
U = TypeVar("U")


LESS = "end something that runs here, or allow more (ulimit -u, ulimit -v; of a container its pids and memory)"


class NoThread(SettingsError):
    """This machine gives no more threads."""


def reserve_little() -> None:
    """Let threads reserve little memory.

    For a machine that limits what a program may reserve.
    Of glibc each takes 8 MB for its stack and 64 MB for what it allocates, so that a dozen of them need a gigabyte of
    address space (``ulimit -v``), of which they use a few megabytes.
    """
    threading.stack_size(STACK)
    with suppress(AttributeError, OSError):  # another C library has no such limit
        ctypes.CDLL(None).mallopt(ARENA_MAX, ARENAS)


def begin(thread: threading.Thread) -> None:
    """Begin a thread.

    Raises:
        NoThread: this machine gives no more of them.
    """
    try:
        thread.start()
    except RuntimeError as error:  # "can't start new thread"
        raise NoThread(
            "no thread can be started: this machine allows no more, or has no memory for one", remedy=LESS
        ) from error


def start(work: Callable[[], T], name: str = "aside") -> Future[T]:
    """Begin *work* in a thread of its own.

    It ends with the program at the latest; what it raises is in the result.

    Raises:
        NoThread: see `begin`.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
            future.set_exception(error)

    begin(threading.Thread(target=run, name=name, daemon=True))
    return future


def each(work: Callable[[T], U], items: Sequence[T], at_once: int) -> list[U]:
    """Do *work* for all items, some at once.

    The results in their order.

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

    for number in range(min(at_once, len(items))):
        try:
            begin(threading.Thread(target=run, name="aside", daemon=True))
        except NoThread:
            if not number:
                raise
            break  # those that have begun do it all
    try:
        return [result.result() for result in results]
    finally:
        over.set()
