"""Where the ledger and the backups are kept: an object store, here a folder (a bucket is in `deploylib.s3`).

An object is written whole or not at all, is never changed afterwards, and is listed in the order of its key.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from deploylib.clock import SYSTEM
from deploylib.errors import SettingsError, Unreachable

__all__ = ["Folder", "Store", "Stored"]

CHUNK = 1 << 20


class Stored(msgspec.Struct, frozen=True):
    """An object that has been written: its size in bytes and its SHA-256, both taken in passing."""

    key: str
    size: int
    sha256: str


class Store(Protocol):
    """What the library needs of an object store."""

    def put(self, key: str, pieces: Iterable[bytes]) -> Stored:
        """Write an object from pieces; if they raise, there is no object and the error goes on."""
        ...

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write a small object unless there is one; False when there is. Of two writers one wins."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in pieces.

        Raises:
            KeyError: there is none.
        """
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin with *prefix*, in order."""
        ...

    def age(self, key: str) -> float:
        """Seconds since an object was written, by the store's own clock, so that machines need not agree on the time.

        Raises:
            KeyError: there is none.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object; it is no error if there is none."""
        ...

    def probe(self) -> None:
        """Refuse a store in which two writers of one key would both win."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A store in a folder of this machine, kept out of git by a ``.gitignore`` of its own.

    The folder is made by the first write.
    """

    root: Path

    def put(self, key: str, pieces: Iterable[bytes]) -> Stored:
        """Write an object; see `Store.put`."""
        digest, size = hashlib.sha256(), 0
        target = self._path(key)
        with self._writing(target) as (handle, name):
            for piece in pieces:
                handle.write(piece)
                digest.update(piece)
                size += len(piece)
            handle.flush()
            os.fsync(handle.fileno())
            name.replace(target)
        return Stored(key, size, digest.hexdigest())

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write a small object unless there is one; a hard link decides who wins and is never half written."""
        target = self._path(key)
        with self._writing(target) as (handle, name):
            handle.write(body)
            handle.flush()
            os.fsync(handle.fileno())
            try:
                os.link(name, target)
            except FileExistsError:
                return False
        return True

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in pieces of 1 MiB; see `Store.read`."""
        try:
            handle = self._path(key).open("rb")
        except FileNotFoundError as error:
            raise KeyError(key) from error
        with handle:
            while piece := handle.read(CHUNK):
                yield piece

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin with *prefix*, in order; see `Store.list`."""
        start = self._path(prefix.rpartition("/")[0])
        if start.is_dir():
            keys = (path.relative_to(self.root).as_posix() for path in start.rglob("*") if path.is_file())
            yield from sorted(key for key in keys if key.startswith(prefix) and not Path(key).name.startswith("."))

    def age(self, key: str) -> float:
        """Seconds since the file was written; see `Store.age`."""
        try:
            return max(0.0, SYSTEM.now().timestamp() - self._path(key).stat().st_mtime)
        except FileNotFoundError as error:
            raise KeyError(key) from error

    def delete(self, key: str) -> None:
        """Remove an object and the folders that it leaves empty."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            reason = f"{path} cannot be removed: {error.strerror}"
            raise Unreachable(reason, remedy="see who may write there") from error
        for folder in path.parents:
            if folder == self.root or not folder.is_dir() or any(folder.iterdir()):
                return
            folder.rmdir()

    def probe(self) -> None:
        """Nothing to find out: a file system gives a name to one of two links; see `Store.probe`."""

    def _path(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/"):
            raise ValueError(f"not a key: {key!r}")
        return self.root / key

    @contextmanager
    def _writing(self, target: Path) -> Iterator[tuple[_Writable, Path]]:
        with _disk_errors(self.root), _temporary(self._ready(target)) as opened:
            yield opened

    def _ready(self, target: Path) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        return target


class _Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...
    def fileno(self) -> int: ...


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[_Writable, Path]]:
    """A file beside *target* that is gone after the block unless it was renamed."""
    number, text = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    name = Path(text)
    try:
        with os.fdopen(number, "wb") as handle:
            yield handle, name
    finally:
        name.unlink(missing_ok=True)


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    """A full or read-only disk, in an operator's words."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}:
            raise
        raise SettingsError(
            f"{root} cannot be written: {error.strerror}",
            remedy="make room or correct its rights (df -h), or set store in the settings to another folder",
        ) from error
