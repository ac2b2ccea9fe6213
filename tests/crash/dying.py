"""The tool's command, killed from inside at a boundary: ``python dying.py LOG WHEN NUMBER -- deploy --json``.

It does what ``python -m invoke deploy --json`` does in the same folder, and writes to LOG what it wrote to the history
and what it asked the platform. WHEN is ``never``; ``before`` or ``after`` the NUMBER-th write to the history; or
``accepted``: when the platform has accepted the NUMBER-th deploy, and its answer is not used yet. The kill is a
SIGKILL, so that nothing of the command can tidy up, and the product's code knows nothing of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploylib.store.folder import Folder
from deploylib.system import http

ORDERS = ("/deploys", "/rollback")


@dataclass
class Death:
    """Counts what the command does, and kills it."""

    log: Path
    when: str
    number: int
    writes: int = 0
    orders: int = 0

    def tell(self, did: str, what: str) -> None:
        """Add a line to the log; what is written survives the kill."""
        with self.log.open("a") as file:
            file.write(json.dumps({"did": did, "what": what}) + "\n")

    def here(self, when: str, number: int) -> None:
        """Die, if this is the boundary."""
        if (when, number) == (self.when, self.number):
            self.tell("died", f"{when} {number}")
            os.kill(os.getpid(), signal.SIGKILL)

    def writing(self, write: Callable[..., Any]) -> Callable[..., Any]:
        """A method of the store that writes, counted."""

        def counted(store: Folder, key: str, body: Any, **how: Any) -> Any:
            if key.endswith("/beat") or key.startswith("logs/"):  # a thread's, at no place of the run
                return write(store, key, body, **how)
            self.here("before", self.writes + 1)
            done = write(store, key, body, **how)
            if done:
                self.writes += 1
                self.tell("wrote", _told(key, body))
                self.here("after", self.writes)
            return done

        return counted

    def asking(self, request: Callable[..., Any]) -> Callable[..., Any]:
        """The method that sends a request, counted where it asks the platform for a deploy."""

        def counted(session: http.Session, method: str, url: str, **more: Any) -> Any:
            answer = request(session, method, url, **more)
            if (
                url.startswith("/") and threading.current_thread().name != "log"
            ):  # of the platform's API; who asks public addresses names them in full
                self.tell("asked", f"{method} {url}")
                if method == "POST" and url.endswith(ORDERS) and answer.ok:
                    self.orders += 1
                    self.tell("ordered", url.rpartition("/")[2])
                    self.here("accepted", self.orders)
            return answer

        return counted


def _told(key: str, body: Any) -> str:
    """What an object is about: the event, and the service or the stage in it."""
    folder, _, name = key.rpartition("/")
    if not folder.startswith("runs/"):
        return f"{folder.partition('/')[0]} {name}" if folder.startswith("leases/") else folder.partition("/")[0]
    event: Mapping[str, Any] = json.loads(body)
    data = event["data"]
    return " ".join(text for text in (event["kind"], data.get("service") or data.get("stage")) if text)


def main() -> None:
    """Run the command."""
    log, when, number, *words = sys.argv[1:]
    death = Death(Path(log), when, int(number))
    for name in ("put", "put_if_absent"):
        setattr(Folder, name, death.writing(getattr(Folder, name)))
    for name in ("request",):
        setattr(http.Session, name, death.asking(getattr(http.Session, name)))
    from invoke.main import program

    program.run(["inv", *words[words[:1] == ["--"] :]])


if __name__ == "__main__":
    main()
