"""Files that get their name once they are whole, and what a disk says when it cannot be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from deploylib.errors import SettingsError

__all__ = ["PART", "Unwritable", "Writable", "explained", "target", "temporary"]

PART = ".part-"


class Unwritable(SettingsError):
    """A folder that cannot be written: full, read-only, without rights, gone, or a file."""


class Writable(Protocol):
    """An open file."""

    def write(self, data: bytes, /) -> int:
        """Write; returns how many bytes."""
        ...

    def flush(self) -> None:
        """Hand on what is buffered."""
        ...

    def fileno(self) -> int:
        """The file's number, for ``fsync``."""
        ...


@contextmanager
def temporary(path: Path) -> Iterator[tuple[Writable, Path]]:
    """A file beside *path* that is gone after the block unless it was renamed."""
    number, text = tempfile.mkstemp(dir=path.parent, prefix=f"{PART}{path.name}-")
    name = Path(text)
    try:
        with os.fdopen(number, "wb") as handle:
            yield handle, name
    finally:
        name.unlink(missing_ok=True)


def target(name: Path) -> Path:
    """What a temporary file was to become."""
    return name.with_name(name.name.removeprefix(PART).rpartition("-")[0])


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """What a disk says when it cannot be written, in an operator's words.

    Raises:
        Unwritable: *root* cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise Unwritable(
            f"{error.filename or root} cannot be written: {error.strerror or error}",
            remedy="make room or correct its rights (df -h); it must be a folder; or set store in the settings to another one",
        ) from error
