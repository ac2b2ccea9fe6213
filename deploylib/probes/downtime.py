"""What visitors meet while traffic is switched.

Requests to the public addresses, counted all the time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial

from deploylib.models.results import Visitors
from deploylib.system import Clock, Deadline, http, threads

__all__ = ["DowntimeWatch"]

SERVER_ERROR = 500
AT_LEAST = 0.02  # seconds: for a thread that has ended


@dataclass
class DowntimeWatch:
    """Asks each address at a steady pace, until `stop`.

    On keep-alive connections, from `start` on.

    An answer of 500 or more, or none, is a failure; a 404 is an answer.

    Attributes:
        every: seconds between two requests to one address.
    """

    clock: Clock
    every: float = 0.5
    timeout: float = 5.0
    _visits: list[Future[None]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _seen: list[Visitors] = field(default_factory=list)

    def start(self, addresses: Iterable[str]) -> None:
        """Begin."""
        for address in addresses:
            self._visits.append(threads.start(partial(self._visit, address), name=f"visitor {address}"))

    def stop(self, patience: float = 0.0) -> Visitors:
        """End, and say what was met.

        Args:
            patience: seconds for the last answers; 0: as long as one may take.
        """
        self._stop.set()
        deadline = Deadline.after(patience or self.timeout + 1)
        ended, _ = wait(self._visits, max(AT_LEAST, deadline.left))
        for visit in ended:
            visit.result()
        self._visits.clear()
        return Visitors(
            requests=sum(seen.requests for seen in self._seen),
            failed=sum(seen.failed for seen in self._seen),
            longest_gap=round(max((seen.longest_gap for seen in self._seen), default=0.0), 3),
            open_gap=round(max((seen.open_gap for seen in self._seen), default=0.0), 3),
        )

    def _visit(self, address: str) -> None:
        requests = failed = 0
        fine, gap, good = True, 0.0, self.clock.monotonic()
        with http.Session(timeout=self.timeout) as session:
            while not self._stop.wait(self.every):
                requests += 1
                try:
                    fine = session.request("GET", address, limit=http.ASSET).status < SERVER_ERROR
                except http.HttpError:
                    fine = False
                failed += not fine
                if fine:
                    gap, good = max(gap, self.clock.monotonic() - good), self.clock.monotonic()
        left = 0.0 if fine else self.clock.monotonic() - good
        self._seen.append(Visitors(requests=requests, failed=failed, longest_gap=max(gap, left), open_gap=left))
