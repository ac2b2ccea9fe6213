"""Where the files of the page go: a folder or a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploylib import store
from deploylib.errors import SettingsError
from deploylib.system import files

__all__ = ["write_files"]

READABLE = 0o644  # by a web server, which is another user


def write_files(content: Mapping[str, bytes], out: str) -> tuple[str, ...]:
    """Write files, the page itself last; return their places.

    Each is whole or as it was.

    Args:
        content: by name.
        out: a folder, which is made, or ``s3://bucket/prefix``.

    Raises:
        SettingsError: it is neither, or cannot be written.
        Unreachable: the bucket did not answer, or refused.
    """
    names = sorted(content, key=lambda name: (name.endswith(".html"), name))
    if "://" in out:
        bucket = store.open(out)
        for name in names:
            bucket.put(name, [content[name]])
    else:
        _write(Path(out), {name: content[name] for name in names})
    return tuple(f"{out.rstrip('/')}/{name}" for name in reversed(names))


def _write(folder: Path, content: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, body in content.items():
            with files.part_of(folder / name) as (handle, part):
                handle.write(body)
                handle.flush()
                part.chmod(READABLE)
                part.replace(folder / name)
    except OSError as error:
        place = error.filename or folder
        raise SettingsError(
            f"{place} cannot be written: {error.strerror or error}",
            remedy="make room, or name another folder with --out",
        ) from error
