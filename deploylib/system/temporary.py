"""Folders for files that are needed for a moment: removed after it, or by the next command where ours was killed.

A lock in the folder says that its owner lives: the system gives it back however the owner ends, and whatever number a
process has by then, on this machine or in a container that shares the folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploylib.errors import SettingsError

__all__ = ["folder"]

PREFIX, LOCK = "deploylib-files-", "in-use"


@contextmanager
def folder() -> Iterator[Path]:
    """A folder of our own, in the system's one for temporary files; what killed commands left there goes first.

    Raises:
        SettingsError: there is no such place, or it is full.
    """
    while True:
        made, descriptor = _made()
        try:
            # Else somebody took it for left behind before it was locked. Where files have no locks, nobody sweeps.
            if _is_locked(descriptor, without=True) and made.exists():
                yield made
                return
        finally:
            os.close(descriptor)
            shutil.rmtree(made, ignore_errors=True)


def _made() -> tuple[Path, int]:
    """A folder and its lock, which nobody holds yet."""
    try:
        for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            _sweep(left)
        made = Path(tempfile.mkdtemp(prefix=PREFIX))
        return made, os.open(made / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise SettingsError(
            f"there is no folder for temporary files: {error.strerror or error}",
            remedy="make room there (df -h), or set TMPDIR to a folder that may be written",
        ) from error


def _sweep(left: Path) -> None:
    """Remove a folder whose owner has ended; only one that we own, and that has a lock: nobody else made it."""
    try:
        if left.is_symlink() or left.lstat().st_uid != os.geteuid():
            return
        descriptor = os.open(left / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # another command removes it at this moment, or it is none of ours
        return
    try:
        if _is_locked(descriptor, without=False):
            shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int, *, without: bool) -> bool:
    """Whether the lock is ours now; *without* where the file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without
    return True
