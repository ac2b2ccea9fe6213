"""A backup that is killed at a given moment: ``python dying.py MOMENT URL SERVER STORE``.

An empty SERVER: the proof starts one of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from deploylib import backup, postgres, programs
from deploylib.backup import Place
from deploylib.clock import SYSTEM as CLOCK
from deploylib.models import Secret
from deploylib.process import SYSTEM
from deploylib.store import Folder, Stored

MOMENTS = ("first piece", "last piece", "dumped", "read back", "manifest", "written")


def die(now: str) -> None:
    """As by ``kill -9``, when it is the moment."""
    if now == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)


class Fatal(Folder):
    """A store during whose work it happens."""

    def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
        """While the dump is written, or just after."""
        stored = super().put(key, self._dying(pieces), new=new, expected=expected)
        die("dumped")
        return stored

    def read(self, key: str) -> Iterator[bytes]:
        """While it is proven."""
        for number, piece in enumerate(super().read(key)):
            yield piece
            if key.endswith("/dump") and number:
                die("read back")

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Before or after the manifest."""
        die("manifest")
        done = super().put_if_absent(key, body)
        die("written")
        return done

    def _dying(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            die("first piece")
        die("last piece")


if __name__ == "__main__":
    _, _, url, server, store = sys.argv
    facts = postgres.facts(Secret(url))
    backup.create(
        Secret(url), facts=facts, client=programs.client_for(facts.major, "", runner=SYSTEM), store=Fatal(Path(store)),
        environment="test", run="dying", commit="c" * 40, runner=SYSTEM, clock=CLOCK, wanted="restored",
        place=Place(server=Secret(server) if server else None),
    )  # fmt: skip
