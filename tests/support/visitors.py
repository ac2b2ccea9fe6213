"""Visitors: busy connections that count what they are answered, while the product is changed under them."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.edges import Completed

LONGEST = 1800.0
MOST = 1_000_000
COMMIT = re.compile(rb"\b[0-9a-f]{40}\b")


@dataclass
class Seen:
    """What all connections together have met.

    Anything but a complete answer with a status of 200 to 299 is a failure, also a reset of a connection that was
    used before.

    Attributes:
        opened: how many connections were opened; more than the visitors when the server closed one.
        seconds: how long they were there.
        commits: how often each commit was named by an answer.
        failures: what went wrong, one line each.
    """

    requests: int = 0
    opened: int = 0
    seconds: float = 0.0
    commits: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return len(self.failures)


@contextmanager
def visiting(*urls: str, connections: int = 1, every: float = 0.02) -> Iterator[Seen]:
    """Keep *connections* to each address busy during the block.

    They end by themselves after half an hour or a million requests.

    Args:
        urls: loopback addresses.
        connections: to each of them.
        every: seconds that one pauses between two requests.
    """
    seen, stop, lock = Seen(), threading.Event(), threading.Lock()
    began = time.monotonic()
    ends = began + LONGEST

    def visit(url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname == "127.0.0.1"
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        while not stop.is_set() and time.monotonic() < ends and seen.requests < MOST:
            fresh, failure, body = connection.sock is None, "", b""
            try:
                connection.request("GET", parts.path or "/")
                response = connection.getresponse()
                body = response.read()
                if not 200 <= response.status < 300:
                    failure = f"status {response.status}: {body[:80]!r}"
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
                connection.close()
            with lock:
                seen.requests += 1
                seen.opened += fresh
                if failure:
                    seen.failures.append(f"{'first' if fresh else 'reused'} connection to {url}: {failure}")
                else:
                    seen.commits.update(name.decode() for name in set(COMMIT.findall(body)))
            stop.wait(every)
        connection.close()

    threads = [threading.Thread(target=visit, args=(url,), daemon=True) for url in urls for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join(75)
        seen.seconds = time.monotonic() - began


def counted(done: Completed) -> tuple[int, int]:
    """What a run says of the requests during its switch: how many, and how many failed."""
    found = re.search(r"^Visitors +(\d+) requests during the switch, (\d+) failed; longest gap", done.out, re.MULTILINE)
    assert found is not None, done.said
    return int(found[1]), int(found[2])
