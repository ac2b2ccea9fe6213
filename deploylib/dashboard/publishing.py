"""Where the files of the page go: a folder or a bucket."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from deploylib import store
from deploylib.errors import SettingsError
from deploylib.system import files

__all__ = ["write_files"]

READABLE = 0o644  # by a web server, which is another user
BEGINNING = 1 << 12  # bytes of a file, by which it is known
EMPTY = b"\n"  # what an empty file is taken for: it is somebody's
OURS = (b' data-built="', b'"built_at":', b"<svg xmlns=")  # of the page, of the same as JSON, of a badge
INSTEAD = {
    FileExistsError: "a file, and no folder",
    NotADirectoryError: "a file, or a part of it is",
    IsADirectoryError: "a folder, and no file",
}
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_files(content: Mapping[str, bytes], out: str) -> tuple[str, ...]:
    """Write files, the page itself last; return their places.

    Each is whole or as it was.

    Args:
        content: by name.
        out: a folder, which is made, or ``s3://bucket/prefix``.

    Raises:
        SettingsError: it is neither, or cannot be written, or has a file of one of the names that is not the page's.
        Unreachable: the bucket did not answer, or refused.
    """
    names = sorted(content, key=lambda name: (name.endswith(".html"), name))
    if "://" in out:
        bucket = store.open(out)
        _refuse_others(out, {name: _beginning(bucket, name) for name in names})
        for name in names:
            bucket.put(name, [content[name]])
    else:
        _write(out, {name: content[name] for name in names})
    return tuple(f"{out.rstrip('/')}/{name}" for name in reversed(names))


def _write(out: str, content: Mapping[str, bytes]) -> None:
    folder, elsewhere = Path(out), "name another folder with --out"
    if not out.strip():
        raise SettingsError("--out names no folder", remedy="--out site")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_others(out, {name: _read(folder / name) for name in content})
        for name, body in content.items():
            with files.part_of(folder / name) as (handle, part):
                handle.write(body)
                handle.flush()
                part.chmod(READABLE)
                part.replace(folder / name)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        place = error.filename or folder
        raise SettingsError(f"{place} is {INSTEAD[type(error)]}", remedy=elsewhere) from error
    except OSError as error:
        place = error.filename or folder
        remedy = f"make room, or {elsewhere}" if error.errno in NO_ROOM else f"see who may write there, or {elsewhere}"
        raise SettingsError(f"{place} cannot be written: {error.strerror or error}", remedy=remedy) from error


def _read(place: Path) -> bytes:
    """Read how a file begins; nothing: there is none."""
    try:
        with place.open("rb") as handle:
            return handle.read(BEGINNING) or EMPTY
    except FileNotFoundError:
        return b""


def _beginning(bucket: store.Store, name: str) -> bytes:
    """Read how an object begins; nothing: there is none."""
    try:
        content = bucket.read(name)
        return next(iter(content), EMPTY)[:BEGINNING]
    except KeyError:
        return b""


def _refuse_others(out: str, beginnings: Mapping[str, bytes]) -> None:
    """Refuse a place where one of the names is somebody else's file.

    Raises:
        SettingsError: so that nothing was written.
    """
    for name, body in beginnings.items():
        if body and not any(sign in body for sign in OURS):
            raise SettingsError(
                f"{out.rstrip('/')}/{name} was not made by inv dashboard, and is left as it is",
                remedy="name another place with --out, one that has only this page",
            )
