"""Copies of the health files: whose each is, how one is written.

The first line holds a version and the checksum of all below it. So a copy that somebody has changed is known without asking
which versions there ever were.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = ["CopyState", "HealthCopy", "Language", "compare_copy", "guess_language", "write_copy"]

HERE = Path(__file__).parent
VERSION = re.compile(rb"(?:#|//) deploylib (?:health\.(?:py|mjs)|deploy-status\.js) (\d{1,9}) sha256:([0-9a-f]{64})")
LARGEST = 1_000_000  # bytes: what is larger is no copy, and is not compared
FILES = {"python": "health.py", "node": "health.mjs", "browser": "deploy-status.js"}
MARKS = {  # of what answers for its health; whose page shows it, a person says
    "python": re.compile(r".+\.py|requirements.*\.txt|pyproject\.toml|Pipfile|uv\.lock|poetry\.lock"),
    "node": re.compile(r".+\.[cm]?[jt]sx?|package\.json"),
}


class Language(StrEnum):
    """Say what a file is written for.

    A service, or the page that shows how it is.
    """

    PYTHON = "python"
    NODE = "node"
    BROWSER = "browser"

    @property
    def file(self) -> Path:
        """The file that is copied."""
        return HERE / FILES[self]


class CopyState(StrEnum):
    """What stands where a copy belongs."""

    ABSENT = "absent"
    SAME = "same"
    OLDER = "older"
    NEWER = "newer"
    EDITED = "edited"
    FOREIGN = "foreign"

    @property
    def is_ours(self) -> bool:
        """Whether a copy may take its place: nobody's work is lost."""
        return self in {CopyState.ABSENT, CopyState.SAME, CopyState.OLDER}


@dataclass(frozen=True)
class HealthCopy:
    """A file beside ours, which it copies or may copy.

    Attributes:
        path: of the file, as it is told to people.
        language: of the file that belongs there.
        state: what stands there.
        version: of what stands there; 0 where that is unknown.
        ours: the version that this library brings.
        diff: from what stands there to ours, as lines of a unified diff; empty where one of them is no text.
    """

    path: str
    language: Language
    state: CopyState
    version: int
    ours: int
    diff: tuple[str, ...] = ()


def compare_copy(path: Path, language: Language) -> HealthCopy:
    """Compare what stands at a path with the file of this library.

    Raises:
        OSError: it cannot be read.
    """
    ours = language.file.read_bytes()
    newest = _version(ours)
    theirs = _read(path)
    if theirs is None:
        return HealthCopy(str(path), language, CopyState.ABSENT, 0, newest)
    version = _version(theirs)
    state = _state(theirs, ours, version, newest)
    diff = () if state is CopyState.SAME else tuple(_diff(theirs, ours, path))
    return HealthCopy(str(path), language, state, version, newest, diff)


def write_copy(path: Path, language: Language) -> None:
    """Write a copy; it is whole or not there.

    Raises:
        OSError: the folder cannot be written.
    """
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    part = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(language.file.read_bytes())
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def guess_language(folders: Iterable[Path]) -> Language | None:
    """Guess by the nearest of some folders that holds programs.

    None where it holds those of both languages, or no folder holds any.

    Raises:
        OSError: a folder cannot be read.
    """
    for folder in folders:
        names = [each.name for each in folder.iterdir()]
        seen = [Language(each) for each, mark in MARKS.items() if any(mark.fullmatch(name) for name in names)]
        if seen:
            return seen[0] if len(seen) == 1 else None
    return None


def _read(path: Path) -> bytes | None:
    """Read the first megabyte, with our line ends; None: no file."""
    if not os.path.lexists(path):
        return None
    with path.open("rb") as file:
        return file.read(LARGEST + 1).replace(b"\r\n", b"\n")


def _version(text: bytes) -> int:
    line = VERSION.fullmatch(text.partition(b"\n")[0])
    return int(line[1]) if line else 0


def _state(theirs: bytes, ours: bytes, version: int, newest: int) -> CopyState:
    if theirs == ours:
        return CopyState.SAME
    head, _, body = theirs.partition(b"\n")
    line = VERSION.fullmatch(head)
    if line is None or len(theirs) > LARGEST:
        return CopyState.FOREIGN
    if line[2].decode() != hashlib.sha256(body).hexdigest():
        return CopyState.EDITED
    return CopyState.OLDER if version < newest else CopyState.NEWER


def _diff(theirs: bytes, ours: bytes, path: Path) -> Iterable[str]:
    try:
        there = theirs.decode()
    except UnicodeDecodeError:
        return ()
    if len(theirs) > LARGEST or "\0" in there:
        return ()
    named = f"{path.name} (there)", f"{path.name} (deploylib)"
    return difflib.unified_diff(there.splitlines(), ours.decode().splitlines(), *named, n=1, lineterm="")
