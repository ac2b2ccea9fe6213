"""A backup that is killed at a given moment: ``python dying.py MOMENT URL SERVER STORE``.

An empty SERVER: the proof starts one of its own. The STORE is a folder or a bucket, whose parts are short here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from deploylib.backups import Edges, create
from deploylib.backups.edges import Place
from deploylib.models import Secret
from deploylib.models.database import BackupOrder
from deploylib.store import s3_upload
from deploylib.store.folder import Folder
from deploylib.store.interface import Store, Stored
from deploylib.store.s3 import Bucket

MOMENTS = ("first piece", "last piece", "dumped", "read back", "manifest", "written")


def die(now: str) -> None:
    """As by ``kill -9``, when it is the moment."""
    if now == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)


class Fatal:
    """What happens while the store is at work; comes before a kind of store."""

    def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
        """While the dump is written, or just after."""
        stored: Stored = super().put(key, self._dying(pieces), new=new, expected=expected)  # type: ignore[misc]
        die("dumped")
        return stored

    def read(self, key: str) -> Iterator[bytes]:
        """While it is proven."""
        for number, piece in enumerate(super().read(key)):  # type: ignore[misc]
            yield piece
            if key.endswith("/dump") and number:
                die("read back")

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Before or after the manifest."""
        die("manifest")
        done: bool = super().put_if_absent(key, body)  # type: ignore[misc]
        die("written")
        return done

    def _dying(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        passed = 0
        for piece in pieces:
            yield piece
            die("first piece")
            passed += len(piece)
            if passed > 2 * s3_upload.FIRST:
                die("second part")
        die("last piece")


class FatalFolder(Fatal, Folder):
    """A folder."""


class FatalBucket(Fatal, Bucket):
    """A bucket."""


def opened(address: str) -> Store:
    """The store of that address."""
    s3_upload.FIRST = 5 << 20  # as short as the protocol allows
    return FatalBucket(address) if "://" in address else FatalFolder(Path(address))


if __name__ == "__main__":
    _, _, url, server, store = sys.argv
    place = Place(server=Secret(server) if server else None)
    create(url, Edges(opened(store), place=place), BackupOrder("test", "dying", "c" * 40))
