"""Compare proposals with what stands there; write all or none.

Two marks are enough: what is not there is new, what is there is its owner's. So no record of what was written once is kept, as
copier and cruft keep one for their three-way merges, and an update cannot lose a line.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deploylib.errors import SettingsError
from deploylib.models import decoding
from deploylib.scaffold.repository import Proposal, Purpose
from deploylib.system import files

__all__ = ["ChangeState", "FileChange", "compare_file", "write_all"]

TABLE = re.compile(r"[ \t]*\[\[?[ \t]*tool[ \t]*\.[ \t]*deploylib\b")
HEADER = re.compile(r"[ \t]*\[")
SCRIPTS = re.compile(r'("scripts"\s*:\s*\{)(\s*)')
OBJECT = re.compile(r"(\{)(\s*)")


class ChangeState(StrEnum):
    """What becomes of a file."""

    NEW = "new"
    ADDED = "added to"
    SAME = "as it is proposed"
    KEPT = "kept as it is"


@dataclass(frozen=True)
class FileChange:
    """What becomes of one file.

    Attributes:
        diff: from what stands there to what is proposed, also where that is kept.
        before: what stands there; None: nothing.
        after: what shall stand there; None: it is left as it is.
    """

    path: str
    state: ChangeState
    diff: tuple[str, ...] = ()
    before: bytes | None = None
    after: bytes | None = None


def compare_file(root: Path, proposal: Proposal) -> FileChange:
    """Compare a proposal with what stands at its place.

    Raises:
        SettingsError: that is no file, cannot be read or added to, or lies outside the repository.
    """
    path = proposal.path
    before = _read(root, path)
    if before is None:
        after = proposal.text.encode()
        return FileChange(path, ChangeState.NEW, tuple(_diff(b"", after, path)), None, after)
    if proposal.purpose is Purpose.FILE:
        return _beside(before, before, proposal)
    more = _with_tables if proposal.purpose is Purpose.SETTINGS else _with_scripts
    added = more(before, proposal)
    if added is not None:
        return FileChange(path, ChangeState.ADDED, tuple(_diff(before, added, path)), before, added)
    if proposal.purpose is Purpose.SCRIPTS:  # it has scripts of these names, whatever they do
        return FileChange(path, ChangeState.SAME, (), before)
    return _beside(_tables(before), before, proposal)


def _beside(theirs: bytes, before: bytes, proposal: Proposal) -> FileChange:
    """Keep what is there as its owner's, also where it differs."""
    ours = proposal.text.encode()
    if theirs.replace(b"\r\n", b"\n") == ours:
        return FileChange(proposal.path, ChangeState.SAME, (), before)
    return FileChange(proposal.path, ChangeState.KEPT, tuple(_diff(theirs, ours, proposal.path)), before)


def write_all(root: Path, changes: Iterable[FileChange]) -> None:
    """Write what is new or added to: all of it, or nothing.

    Raises:
        SettingsError: a place cannot be written, or its file is another one than was compared.
    """
    wanted = [each for each in changes if each.after is not None]
    with ExitStack() as undo, ExitStack() as parts:
        try:
            ready = []
            for change in wanted:
                target = (root / change.path).resolve()
                _make_folders(target.parent, undo)
                handle, part = parts.enter_context(files.part_of(target))
                handle.write(change.after or b"")
                handle.flush()
                _take_rights(part, target)
                ready.append((change, target, part))
            for change, target, part in ready:
                if _read(root, change.path) != change.before:
                    message = f"{change.path} was changed meanwhile"
                    raise SettingsError(message, remedy="deploylib init, to see the difference as it is now")
                part.replace(target)
                undo.callback(_put_back, target, change.before)
        except OSError as error:
            message = f"{error.filename or root} cannot be written: {error.strerror or error}; nothing was written"
            remedy = "correct its rights (ls -ld), or make room (df -h), then deploylib init"
            raise SettingsError(message, remedy=remedy) from error
        undo.pop_all()


def _read(root: Path, name: str) -> bytes | None:
    """Read what stands at a place; None: nothing."""
    path = root / name
    try:
        if not path.parent.resolve().is_relative_to(root.resolve()):
            message = f"{name} would lie outside this repository"
            raise SettingsError(message, remedy=f"see where its folder leads: ls -ld {Path(name).parent}")
        if not os.path.lexists(path):
            return None
        if not path.is_file():
            raise SettingsError(f"{name} is there, and is no file", remedy=f"see what it is: ls -ld {name}")
        return path.read_bytes()
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror or error}"
        raise SettingsError(message, remedy=f"see what it is, and who may read it: ls -l {name}") from error


def _with_tables(before: bytes, proposal: Proposal) -> bytes | None:
    """Add our tables to the end of a file of TOML.

    None where it has some of them.
    """
    try:
        tool = decoding.toml(before).get("tool", {})
        if "deploylib" in tool:
            return None
        ends = b"\r\n" if b"\r\n" in before else b"\n"
        gap = b"" if not before.strip() else ends if before.endswith(b"\n") else ends * 2
        after = before + gap + proposal.text.encode().replace(b"\n", ends)
        decoding.toml(after)
    except (decoding.Undecodable, TypeError) as error:
        message = f"{proposal.path}: {error}"
        raise SettingsError(message, remedy=f"correct {proposal.path}, or make an empty deploylib.toml") from error
    return after


def _with_scripts(before: bytes, proposal: Proposal) -> bytes | None:
    """Add the scripts that a ``package.json`` lacks.

    All else stays byte for byte; None where it lacks none.
    """
    remedy = f"add them to the scripts of {proposal.path} by hand: {proposal.text}"
    try:
        package = decoding.json(before, dict[str, object])
        scripts = package.get("scripts", {})
        text = before.decode()
    except (decoding.Undecodable, UnicodeDecodeError) as error:
        raise SettingsError(f"{proposal.path}: {error}", remedy=f"correct {proposal.path}") from error
    if not isinstance(scripts, dict):
        raise SettingsError(f"{proposal.path}: its scripts are no object", remedy=f"correct {proposal.path}")
    lacking = {
        name: run for name, run in decoding.json(proposal.text.encode(), dict[str, str]).items() if name not in scripts
    }
    if not lacking:
        return None
    pattern = SCRIPTS if "scripts" in package else OBJECT

    def add(table: re.Match[str]) -> str:
        gap = table[2] or " "
        pairs = f",{gap}".join(f"{json.dumps(name)}: {json.dumps(run)}" for name, run in lacking.items())
        more = "," if scripts or ("scripts" not in package and package) else ""
        inner = pairs if pattern is SCRIPTS else f'"scripts": {{ {pairs} }}'
        return f"{table[1]}{gap}{inner}{more}{table[2]}"

    after = pattern.sub(add, text, count=1).encode()
    # The first "scripts" of the text may be another one's: what comes of it is read again, and must be what was meant.
    try:
        meant = decoding.json(after, dict[str, object]) == {**package, "scripts": {**lacking, **scripts}}
    except decoding.Undecodable:
        meant = False
    if not meant:
        raise SettingsError(f"{proposal.path} cannot be added to without changing the rest of it", remedy=remedy)
    return after


def _tables(text: bytes) -> bytes:
    """List our tables of a file, as they stand in it."""
    lines, ours = [], False
    for line in decoding.decode_text(text).splitlines():
        ours = bool(TABLE.match(line)) if HEADER.match(line) else ours
        lines += [line] if ours else []
    return ("\n".join(lines).strip() + "\n").encode()


def _diff(before: bytes, after: bytes, path: str) -> Iterator[str]:
    """Compare two texts, as lines of a unified diff.

    Only that they differ, where one of them is no text.
    """
    for text in (before, after):
        if len(text) > decoding.LARGEST or b"\0" in text:
            yield f"{path} is no text, or too large to be compared"
            return
    there, ours = (decoding.decode_text(text).splitlines() for text in (before, after))
    named = ("/dev/null" if not before else f"{path} (there)", f"{path} (proposed)")
    yield from difflib.unified_diff(there, ours, *named, n=1, lineterm="")


def _make_folders(folder: Path, undo: ExitStack) -> None:
    """Make a folder and those above it.

    What was made goes again when not all is written.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir()
        undo.callback(each.rmdir)


def _take_rights(part: Path, target: Path) -> None:
    if target.exists():
        shutil.copymode(target, part)
    else:
        part.chmod(0o644)


def _put_back(target: Path, before: bytes | None) -> None:
    if before is None:
        target.unlink(missing_ok=True)
        return
    with files.part_of(target) as (handle, part):
        handle.write(before)
        handle.flush()
        _take_rights(part, target)
        part.replace(target)
