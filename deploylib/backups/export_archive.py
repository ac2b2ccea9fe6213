"""Unpack the platform's export.

It is downloaded as a compressed tar of a dump in pg_dump's directory format.

Its members are ``<time>/<database>/toc.dat`` and the like (https://render.com/docs/postgresql-backups). A dump has no
folders inside, so each file is known by its last name, and nothing is written anywhere else than asked for.
"""

from __future__ import annotations

import errno
import io
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from deploylib.backups.scratch_server import ScratchUnfit
from deploylib.errors import BackupFailed
from deploylib.models import Backup
from deploylib.models.units import volume

__all__ = ["unpack_export"]

CONTENTS = "toc.dat"
SPARE = 50_000_000  # bytes


def unpack_export(backup: Backup, pieces: Iterator[bytes], folder: Path) -> None:
    """Write the dump of an export into an empty folder.

    The folder needs room for as many bytes as the dump has itself.

    Args:
        pieces: of the export, which raise where it is not what was stored.

    Raises:
        BackupFailed: it is damaged, or no such export.
        ScratchUnfit: there is no room; nothing was found out about it.
    """
    room = shutil.disk_usage(folder).free
    if room < backup.size + SPARE:
        raise ScratchUnfit(
            f"an export is unpacked to be read, and {folder} has {volume(room)} for {volume(backup.size)}",
            remedy="make room there, or set TMPDIR to a folder on another disk",
        )
    try:
        with tarfile.open(fileobj=_Stream(pieces), mode="r|gz") as packed:
            for member in packed:
                if member.isfile() and (content := packed.extractfile(member)) is not None:
                    with content, (folder / PurePosixPath(member.name).name).open("xb") as file:
                        shutil.copyfileobj(content, file, 1 << 20)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise BackupFailed(
                f"backup {backup.id} cannot be unpacked: {error.strerror or error}",
                remedy="see the folder for temporary files; or take another backup (inv backup.list)",
            ) from error
        raise ScratchUnfit(
            f"{folder} has no room for what is in backup {backup.id}",
            remedy="make room there, or set TMPDIR to a folder on another disk",
        ) from error
    except (tarfile.TarError, zlib.error, EOFError) as error:
        for _ in pieces:
            """To its end, where the checksum says so if it is another export than the one that was stored."""
        raise BackupFailed(
            f"backup {backup.id} is no export that can be read: {error}", remedy="take another backup (inv backup.list)"
        ) from error
    for _ in pieces:
        """What a tar has after its end counts for the checksum too."""
    if not (folder / CONTENTS).exists():
        raise BackupFailed(
            f"backup {backup.id} has no {CONTENTS}: it is no dump in the directory format",
            remedy="take another backup (inv backup.list)",
        )


class _Stream(io.RawIOBase):
    """A file of pieces, read from its beginning on."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill as much of it as there is at hand.

        0 at the end.
        """
        while not self._left:
            if (piece := next(self._pieces, None)) is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        memoryview(buffer)[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
