"""The edge to files.

Those that get their name once they are whole, and folders that are needed for a moment.

A temporary folder is removed after its block, or by the next command where ours was killed: a lock in it says that its
owner lives. The system gives it back however the owner ends, and whatever number a process has by then, on this machine or
in a container that shares the folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from deploylib.errors import SettingsError

__all__ = [
    "PART",
    "Unwritable",
    "Writable",
    "explain_errors",
    "is_in_use",
    "keep_in_use",
    "part_of",
    "sweep_folders",
    "target_of",
    "temporary_folder",
]

PART = ".part-"
IN_USE = "in-use"


class Unwritable(SettingsError):
    """A folder that cannot be written.

    Full, read-only, without rights, gone, or a file.
    """


class Writable(Protocol):
    """An open file."""

    def write(self, data: bytes, /) -> int:
        """Write; give the number of bytes."""
        ...

    def flush(self) -> None:
        """Hand on what is buffered."""
        ...

    def fileno(self) -> int:
        """Give the file's number, for ``fsync``."""
        ...


@contextmanager
def part_of(path: Path) -> Iterator[tuple[Writable, Path]]:
    """Open a part beside *path*, which goes unless it is renamed."""
    number, text = tempfile.mkstemp(dir=path.parent, prefix=f"{PART}{path.name}-")
    name = Path(text)
    try:
        with os.fdopen(number, "wb") as handle:
            yield handle, name
    finally:
        name.unlink(missing_ok=True)


def target_of(name: Path) -> Path:
    """Tell what a part was to become."""
    return name.with_name(name.name.removeprefix(PART).rpartition("-")[0])


@contextmanager
def explain_errors(root: Path) -> Iterator[None]:
    """Explain a disk that cannot be written, in an operator's words.

    Raises:
        Unwritable: *root* cannot be written.
    """
    try:
        yield
    except OSError as error:
        place = Path(error.filename or root)
        if place.name.startswith(PART):
            place = target_of(place)
        raise Unwritable(
            f"{place} cannot be written: {error.strerror or error}",
            remedy="make room or correct its rights (df -h); it must be a folder; or set store in the settings to another one",
        ) from error


@contextmanager
def temporary_folder(kind: str = "files", end: Callable[[Path], None] = lambda _: None) -> Iterator[Path]:
    """Make a folder that is gone after the block.

    What killed commands left of the same kind goes first.

    Args:
        kind: part of its name.
        end: is told of each folder that a killed command left, before that is removed.

    Raises:
        SettingsError: there is no such place, or it is full.
    """
    while True:
        folder, descriptor = _make_folder(kind, end)
        try:
            # Else somebody took it for left behind before it was locked. Where files have no locks, nobody sweeps.
            if _is_locked(descriptor, without=True) and folder.exists():
                yield folder
                return
        finally:
            os.close(descriptor)
            shutil.rmtree(folder, ignore_errors=True)


def sweep_folders(kind: str, end: Callable[[Path], None]) -> None:
    """Remove the folders of a kind that killed commands left; see `temporary_folder`."""
    for left in Path(tempfile.gettempdir()).glob(f"deploylib-{kind}-*"):
        _sweep(left, end)


def _make_folder(kind: str, end: Callable[[Path], None]) -> tuple[Path, int]:
    """Make a folder and its lock, which nobody holds yet."""
    try:
        sweep_folders(kind, end)
        folder = Path(tempfile.mkdtemp(prefix=f"deploylib-{kind}-"))
        return folder, os.open(folder / IN_USE, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise SettingsError(
            f"there is no folder for temporary files: {error.strerror or error}",
            remedy="make room there (df -h), or set TMPDIR to a folder that may be written",
        ) from error


@contextmanager
def keep_in_use(folder: Path) -> Iterator[None]:
    """Lock a folder of ours for the block.

    No other command takes it for left behind then.
    """
    descriptor = os.open(folder / IN_USE, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        _is_locked(descriptor, without=True)
        yield
    finally:
        os.close(descriptor)


def is_in_use(folder: Path) -> bool:
    """Tell whether a command keeps a folder.

    Where files have no locks it may: nobody can tell.
    """
    try:
        descriptor = os.open(folder / IN_USE, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # it has none: its owner was killed before, or is an older version
        return False
    try:
        return not _is_locked(descriptor, without=False)
    finally:
        os.close(descriptor)


def _sweep(left: Path, end: Callable[[Path], None]) -> None:
    """Remove a folder whose owner has ended.

    Only one that we own, and that has a lock: nobody else made it.
    """
    try:
        if left.is_symlink() or left.lstat().st_uid != os.geteuid():
            return
        descriptor = os.open(left / IN_USE, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # another command removes it at this moment, or it is none of ours
        return
    try:
        if _is_locked(descriptor, without=False):
            end(left)
            shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int, *, without: bool) -> bool:
    """Tell whether the lock is ours now.

    *without* where the file system has none.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without
    return True
