"""A server in a thread that answers after a time that is told it, stands still when it is told to, and counts."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["PacedServer", "serve"]


@dataclass
class PacedServer:
    """Answers 200 with an empty object.

    Attributes:
        delay: seconds before each answer; may be changed while it runs.
        freeze: the moments, in seconds from the first request, between which nothing is answered.
        led_to: where ``/away`` leads.
        seen: how often each method and path was asked.
        paused: the longest time between two answers, in seconds.
    """

    delay: float = 0.005
    freeze: tuple[float, float] = (0.0, 0.0)
    led_to: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    port: int = 0
    paused: float = 0.0
    _first: float = 0.0
    _answered: float = 0.0

    @property
    def host(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        now = asyncio.get_running_loop().time
        with suppress(asyncio.IncompleteReadError, ConnectionError), closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, *_ = head.split()
                length = next((line.split(":")[1] for line in head.lower().splitlines() if "content-length" in line), 0)
                await reader.readexactly(int(length))
                self.seen[f"{method} {path}"] += 1
                self._first = self._first or now()
                begin, end = (self._first + moment for moment in self.freeze)
                due = now() + self.delay
                await asyncio.sleep((end if begin <= due < end else due) - now())
                status = f"302 Found\r\nlocation: {self.led_to}" if path == "/away" else "200 OK"
                status = "503 Unavailable" if path == "/broken" else status
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}".encode())
                self.paused = max(self.paused, now() - (self._answered or now()))
                self._answered = now()
                await writer.drain()


@contextmanager
def serve(delay: float = 0.005, *, freeze: tuple[float, float] = (0.0, 0.0)) -> Iterator[PacedServer]:
    """Run one for the block."""
    server, started = PacedServer(delay, freeze), threading.Event()
    ends: list[Callable[[], object]] = []

    async def run() -> None:
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(over.set))
        listening = await asyncio.start_server(server.answer, "127.0.0.1", 0, backlog=512)
        server.port = listening.sockets[0].getsockname()[1]
        started.set()
        await over.wait()
        listening.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server
    finally:
        ends[0]()
        thread.join(10)
