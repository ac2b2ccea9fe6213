"""The packages that a tree names: what its requirement files pin, and what nobody here can look up."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from deploylib import decoded
from deploylib.examined import Finding, Gap

__all__ = ["NPM_LOCKS", "OTHER_LOCKS", "Packages", "Pin", "canonical", "pinned"]

REQUIREMENTS = re.compile(r"(?:[^./][^/]*/)*requirements[^/]*\.txt")
PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*===?\s*(?P<version>\w[\w.!+-]*)\s*(?:[;\s].*)?")
INCLUDED = re.compile(r"(?:-r|--requirement)[\s=]*(?P<path>\S+)")
EDITABLE = ("-e", "--editable")
COMPILED = re.compile(r"--hash=|#\s+via\b")
EXPORT = "write it as a requirements file: uv export, poetry export or pip-compile"
ELSEWHERE = "audit it among the tests, and leave it out by scan.ignored"
NPM_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
OTHER_LOCKS = {
    **dict.fromkeys(("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"), EXPORT),
    **dict.fromkeys(("yarn.lock", "pnpm-lock.yaml", "bun.lock"), ELSEWHERE),
    **dict.fromkeys(("Cargo.lock", "go.sum", "Gemfile.lock", "composer.lock", "mix.lock"), ELSEWHERE),
}


class Pin(NamedTuple):
    """One package in one version, and where it is named."""

    name: str
    version: str
    path: str
    line: int


@dataclass
class Packages:
    """What the requirement files name: exact versions, what is worth telling, and what nobody can look up."""

    pins: list[Pin] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def pinned(files: Path, names: Sequence[str], chosen: Collection[str] = ()) -> Packages:
    """Read the requirement files of a tree, and those that they include.

    Args:
        files: the tree.
        names: its files.
        chosen: the requirement files; default: those that are called so, outside hidden folders.
    """
    found = Packages()
    waiting, read = list(chosen or filter(REQUIREMENTS.fullmatch, names)), set[str]()
    while waiting:
        name = waiting.pop()
        if name in read:
            continue
        read.add(name)
        if (files / name).is_file() and (files / name).resolve().is_relative_to(files.resolve()):
            waiting += _read(name, (files / name).read_bytes().decode(errors="replace"), found)
        else:
            remedy = "correct scan.requirements, or who includes it"
            found.gaps.append(Gap(name, "there is no such file in the tree", remedy))
    found.gaps += _unread(files, names, python=not read)
    return found


def canonical(name: str) -> str:
    """The one spelling of a Python package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(name: str, text: str, found: Packages) -> list[str]:
    """Add what one file names to what is found; the files that it includes."""
    pins, included, loose = [], [], []
    for number, line in _lines(text):
        if match := INCLUDED.match(line):
            included.append(posixpath.normpath(posixpath.join(posixpath.dirname(name), match["path"])))
        elif match := PINNED.fullmatch(line):
            pins.append(Pin(canonical(match["name"]), match["version"], name, number))
        elif not line.startswith("-") or line.startswith(EDITABLE):
            loose.append(number)
    if loose:
        where = f"{name}:{loose[0]}" + (f" and {len(loose) - 1} more" if len(loose) > 1 else "")
        found.gaps.append(Gap(where, "no exact version, so nothing to look up", "pin it with ==, best by pip-compile"))
    if pins and not COMPILED.search(text):
        note = Finding(
            tool="deploylib",
            rule="incomplete-lock",
            where=name,
            text=f"{name} names packages but not what those bring along, which is not examined",
            remedy="compile it: pip-compile --generate-hashes",
            blocks=False,
            path=name,
        )
        found.notes.append(note)
    found.pins += pins
    return included


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first: joined where they end with a backslash, without comments."""
    plain = re.sub(r"(?m)(?:^|[ \t])#.*$", "", "\n".join(text.splitlines()))
    number = 1
    for lines in re.findall(r"(?:.*\\\n)*.*\n?", plain):
        if line := re.sub(r"\\(?:\n|\Z)", " ", lines).strip():
            yield number, line
        number += lines.count("\n")


def _unread(files: Path, names: Sequence[str], *, python: bool) -> Iterator[Gap]:
    """Files that name packages and that nobody here reads; *python*: also those of Python."""
    locked = {posixpath.dirname(name) for name in names if posixpath.basename(name) in (*NPM_LOCKS, *OTHER_LOCKS)}
    loose = "it names packages without exact versions"
    for name in names:
        folder, last = posixpath.split(name)
        if last in OTHER_LOCKS:
            yield Gap(name, "nothing here reads this kind of lock", OTHER_LOCKS[last])
        elif last == "pyproject.toml" and python and _names(files / name, decoded.toml, "project", "dependencies"):
            yield Gap(name, loose, EXPORT)
        elif last == "package.json" and folder not in locked and _names(files / name, _document, "dependencies"):
            yield Gap(name, loose, "npm install --package-lock-only, and commit the lock")


def _document(body: bytes) -> object:
    return decoded.json(body, object)


def _names(file: Path, read: Callable[[bytes], object], *keys: str) -> bool:
    """Whether a file has anything under these keys; one that cannot be read may have."""
    try:
        value = read(file.read_bytes())
    except (OSError, decoded.Undecodable):
        return True
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return bool(value)
