"""A store in a folder of this machine."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploylib.errors import Unreachable
from deploylib.store.interface import Damaged, KeyTaken, Stored, StoreRefused
from deploylib.system import Clock, files

__all__ = ["Folder"]

CHUNK = 1 << 20
EFFECTIVE = os.access in os.supports_effective_ids
TRIES = 20  # for a folder that another process removes as empty in the very moment


@dataclass(frozen=True, slots=True)
class Folder:
    """A store in a folder of this machine.

    A ``.gitignore`` of its own keeps it out of git.
    The folder is made by the first write.
    """

    root: Path

    @staticmethod
    def has_address(address: str) -> bool:
        """Tell whether an address is a path."""
        return "://" not in address

    @classmethod
    def at(cls, address: str, *, encryption: str = "", kms_key: str = "") -> Self:  # noqa: ARG003 - the disk's own matter
        """Make the store at a path."""
        return cls(Path(address))

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
        """Write a small object unless there is one.

        A hard link decides who wins and is never half written.
        """
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
        """Read an object in pieces of 1 MiB; see `Store.read`."""
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

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """List the keys with *prefix*, in order; see `Store.list`."""
        start, keys = self._path(prefix.rpartition("/")[0]), []
        with suppress(KeyError), self._readable(prefix):
            for folder, _, names in os.walk(start, onerror=_pass_over_gone):
                keys += [Path(folder, name).relative_to(self.root).as_posix() for name in names if name[0] != "."]
        yield from sorted(key for key in keys if key.startswith(prefix) and key > after)

    def age(self, key: str) -> float:
        """Count the seconds since the file was written; see `Store.age`."""
        with self._readable(key):
            return Clock().now().timestamp() - self._path(key).stat().st_mtime

    def delete(self, key: str) -> None:
        """Remove an object and the folders that it leaves empty."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            reason = f"{path} cannot be removed: {error.strerror}"
            raise StoreRefused(reason, remedy="see who may write there") from error
        self._tidy(path)

    def sweep(self, prefix: str, older_than: float) -> tuple[str, ...]:
        """Remove temporary files that nobody has written to for so long.

        See `Store.sweep`.
        """
        removed = []
        start, now = self._path(prefix.rpartition("/")[0]), Clock().now().timestamp()
        for path in list(start.rglob(f"{files.PART}*")):
            key = files.target_of(path).relative_to(self.root).as_posix()
            try:
                if not key.startswith(prefix) or now - path.stat().st_mtime < older_than:
                    continue
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreRefused(f"{path} stays: {error.strerror}", remedy="see who may write there") from error
            self._tidy(path)
            removed.append(key)
        return tuple(sorted(removed))

    def probe(self) -> None:
        """Find out nothing: a folder is fit.

        A file system gives a name to one of two links; see `Store.probe`.
        """

    def require_writable(self) -> None:
        """Refuse a folder in which the system lets us make nothing.

        Asked of it, and of those in it where a run makes something; see `Store.require_writable`.

        Raises:
            Unwritable: it says no.
        """
        self._require_mounted()
        with files.explain_errors(self.root):
            there = next((folder for folder in (self.root, *self.root.parents) if folder.exists()), self.root)
            for folder in (there, *self.root.glob("*"), *self.root.glob("leases/*")):
                if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK, effective_ids=EFFECTIVE):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    @contextmanager
    def _readable(self, key: str) -> Iterator[None]:
        """Explain a disk that cannot be read, in an operator's words.

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

    def _unreadable(self, key: str, error: OSError) -> StoreRefused:
        place = error.filename or self.root / key
        return StoreRefused(
            f"{place} cannot be read: {error.strerror or error}",
            remedy=f"see what it is, and who may read it; {self.root} must be a folder (store in the settings), and what is "
            "in the place of a folder there is moved out of it",
        )

    def _path(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/"):
            raise ValueError(f"not a key: {key!r}")
        self._require_mounted()
        return self.root / key

    def _require_mounted(self) -> None:
        """Refuse a store whose link leads nowhere.

        As of a disk that is not mounted. It is not empty: what was kept is not known.

        Raises:
            Unreachable: the link leads nowhere.
        """
        try:
            if self.root.exists():
                return
            lost = next(
                (each for each in (self.root, *self.root.parents) if each.is_symlink() and not each.exists()), None
            )
        except OSError:  # whoever reads or writes there says why
            return
        if lost is not None:
            there = lost.parent / lost.readlink()
            raise Unreachable(
                f"the store {lost} leads to {there}, which is not there",
                remedy=f"mount the disk of {there}, or correct {lost}",
            )

    def _tidy(self, path: Path) -> None:
        """Remove the folders that are empty without this file."""
        for folder in path.parents:
            if folder == self.root:
                return
            try:
                folder.rmdir()
            except FileNotFoundError:  # another process has removed it in this moment
                continue
            except OSError:  # something is in it
                return

    @contextmanager
    def _writing(self, target: Path) -> Iterator[tuple[files.Writable, Path]]:
        with files.explain_errors(self.root), ExitStack() as stack:
            yield self._open_part(stack, target)

    def _open_part(self, stack: ExitStack, target: Path) -> tuple[files.Writable, Path]:
        """Open the part, where another process may have removed its folder."""
        for _ in range(TRIES):
            with suppress(FileNotFoundError):
                return stack.enter_context(files.part_of(self._ready(target)))
        return stack.enter_context(files.part_of(self._ready(target)))

    def _ready(self, target: Path) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        return target


def _pass_over_gone(error: OSError) -> None:
    """Pass over a folder that is gone, and none that is unreadable."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _link(name: Path, target: Path) -> None:
    """Give a written file its name unless there is one.

    A hard link is made by one of two writers.
    """
    try:
        os.link(name, target)
    except FileExistsError as error:
        if target.is_dir():  # in no listing, so that nobody would ever learn who has won
            raise StoreRefused(
                f"{target} is a folder", remedy=f"move {target} out of the store, and keep it aside"
            ) from error
        raise KeyTaken(target.name) from error
