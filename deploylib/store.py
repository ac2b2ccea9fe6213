"""Where the ledger and the backups are kept: an object store, here a folder (a bucket is in `deploylib.s3`).

An object is written whole or not at all, is never changed afterwards, and is listed in the order of its key. What a
killed writer leaves is no object and in no listing; `Store.sweep` removes it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from deploylib import decoded, disk
from deploylib.clock import SYSTEM
from deploylib.errors import Unreachable

__all__ = ["Damaged", "Folder", "KeyTaken", "Refused", "Store", "Stored", "document"]

T = TypeVar("T")
CHUNK = 1 << 20
LARGEST = 32 << 20  # bytes of a record; a run's state with every event of fifty services is a hundredth of that


class KeyTaken(Exception):
    """There is an object of this key, its argument, where there must be none; that object is as it was."""


class Refused(Unreachable):
    """The store answered, and said no: no right, a lock that keeps an object, or a request that it does not know."""


class Damaged(Unreachable):
    """An object is there and cannot be read: cut, emptied, changed, of a newer program, or put there by somebody else.

    Args:
        key: of the object.
        why: it cannot be read.
        cure: what to do about it.
    """

    def __init__(self, key: str, why: str, cure: str = "") -> None:
        super().__init__(
            f"{key} in the store cannot be read: {why}",
            remedy=cure or f"move {key} out of the store, and keep it aside; then the same command again",
        )
        self.key = key


class Stored(msgspec.Struct, frozen=True):
    """An object that has been written: its size in bytes and its SHA-256, both taken in passing."""

    key: str
    size: int
    sha256: str


class Store(Protocol):
    """What the library needs of an object store."""

    def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
        """Write an object from pieces; if they raise, there is no object and the error goes on.

        Args:
            key: of the object.
            pieces: read one after the other, never all in memory.
            new: the key must be free; found out when all pieces have been read, and of two writers one wins.
            expected: bytes that there may be, where somebody can tell; there may be more.

        Raises:
            KeyTaken: *new*, and the key is not free.
            Unreachable: the store did not answer, or refused (`Refused`).
        """
        ...

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write a small object unless there is one; False when there is. Of two writers one wins."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in pieces; it ends when all of it was given, else it raises.

        Raises:
            KeyError: there is none.
            Unreachable: it broke off.
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
        """Remove an object; it is no error if there is none.

        Raises:
            Refused: the object stays: no right to remove it, or a lock keeps it.
        """
        ...

    def sweep(self, prefix: str, older_than: float) -> tuple[str, ...]:
        """Remove what writers that were killed have left of objects that never came to be.

        Args:
            prefix: of their keys.
            older_than: seconds, by the store's clock; longer than a write may take.

        Returns:
            the keys that were being written, in order, one for each write.

        Raises:
            Refused: no right to look for them, or to remove them.
        """
        ...

    def probe(self) -> None:
        """Refuse a store in which two writers of one key would both win."""
        ...


def document(store: Store, key: str, kind: type[T], *, cure: str = "") -> T:
    """A record of the store: one JSON document of a known kind.

    Raises:
        KeyError: there is none.
        Damaged: it is there, and is no such record.
        Unreachable: the store did not answer.
    """
    body = bytearray()
    for piece in store.read(key):
        body += piece
        if len(body) > LARGEST:
            raise Damaged(key, f"it is larger than {LARGEST >> 20} MB", cure)
    try:
        return decoded.json(bytes(body), kind, most=LARGEST)
    except decoded.Undecodable as error:
        raise Damaged(key, str(error), cure) from error


@dataclass(frozen=True, slots=True)
class Folder:
    """A store in a folder of this machine, kept out of git by a ``.gitignore`` of its own.

    The folder is made by the first write.
    """

    root: Path

    def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:  # noqa: ARG002
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
            if new:
                _link(name, target)
            else:
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
                _link(name, target)
            except KeyTaken:
                return False
        return True

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in pieces of 1 MiB; see `Store.read`."""
        path = self._path(key)
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise KeyError(key)  # a folder is no object
            if not stat.S_ISREG(mode):
                raise Damaged(key, "it is no file")  # a pipe would be waited for
            with path.open("rb") as handle:
                while piece := handle.read(CHUNK):
                    yield piece
        except FileNotFoundError as error:
            raise KeyError(key) from error
        except OSError as error:
            if not path.parent.is_dir():
                raise self._unreadable(key, error) from error
            raise Damaged(key, error.strerror or str(error)) from error

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin with *prefix*, in order; see `Store.list`."""
        start, keys = self._path(prefix.rpartition("/")[0]), []
        with suppress(KeyError), self._readable(prefix):
            for folder, _, names in os.walk(start, onerror=_raise):
                keys += [Path(folder, name).relative_to(self.root).as_posix() for name in names if name[0] != "."]
        yield from sorted(key for key in keys if key.startswith(prefix))

    def age(self, key: str) -> float:
        """Seconds since the file was written; see `Store.age`."""
        with self._readable(key):
            return max(0.0, SYSTEM.now().timestamp() - self._path(key).stat().st_mtime)

    def delete(self, key: str) -> None:
        """Remove an object and the folders that it leaves empty."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            reason = f"{path} cannot be removed: {error.strerror}"
            raise Refused(reason, remedy="see who may write there") from error
        self._tidy(path)

    def sweep(self, prefix: str, older_than: float) -> tuple[str, ...]:
        """Remove temporary files that nobody has written to for so long; see `Store.sweep`."""
        removed = []
        start, now = self._path(prefix.rpartition("/")[0]), SYSTEM.now().timestamp()
        for path in list(start.rglob(f"{disk.PART}*")):
            key = disk.target(path).relative_to(self.root).as_posix()
            try:
                if not key.startswith(prefix) or now - path.stat().st_mtime < older_than:
                    continue
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Refused(f"{path} stays: {error.strerror}", remedy="see who may write there") from error
            self._tidy(path)
            removed.append(key)
        return tuple(sorted(removed))

    def probe(self) -> None:
        """Nothing to find out: a file system gives a name to one of two links; see `Store.probe`."""

    @contextmanager
    def _readable(self, key: str) -> Iterator[None]:
        """What a disk says when it cannot be read, in an operator's words.

        Raises:
            KeyError: there is no such object.
            Refused: it cannot be looked at.
        """
        try:
            yield
        except FileNotFoundError as error:
            raise KeyError(key) from error
        except OSError as error:
            raise self._unreadable(key, error) from error

    def _unreadable(self, key: str, error: OSError) -> Refused:
        place = error.filename or self.root / key
        return Refused(
            f"{place} cannot be read: {error.strerror or error}",
            remedy=f"see what it is, and who may read it; {self.root} must be a folder (store in the settings), and what is "
            "in the place of a folder there is moved out of it",
        )

    def _path(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/"):
            raise ValueError(f"not a key: {key!r}")
        return self.root / key

    def _tidy(self, path: Path) -> None:
        """Remove the folders that are empty without this file."""
        for folder in path.parents:
            if folder == self.root or not folder.is_dir() or any(folder.iterdir()):
                return
            folder.rmdir()

    @contextmanager
    def _writing(self, target: Path) -> Iterator[tuple[disk.Writable, Path]]:
        with disk.explained(self.root), disk.temporary(self._ready(target)) as opened:
            yield opened

    def _ready(self, target: Path) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        return target


def _raise(error: OSError) -> None:
    raise error


def _link(name: Path, target: Path) -> None:
    """Give a written file its name unless there is one: a hard link is made by one of two writers."""
    try:
        os.link(name, target)
    except FileExistsError as error:
        if target.is_dir():  # in no listing, so that nobody would ever learn who has won
            raise Refused(
                f"{target} is a folder", remedy=f"move {target} out of the store, and keep it aside"
            ) from error
        raise KeyTaken(target.name) from error
