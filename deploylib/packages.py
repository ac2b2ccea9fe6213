"""The packages that a tree names: what its requirement files pin, and what nobody here can look up."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from deploylib import decoded
from deploylib.dependencies import canonical, unaudited
from deploylib.examined import Finding, Gap
from deploylib.units import count

__all__ = ["Packages", "Pin", "pinned"]

HOME = r"(?:[^./][^/]*/)*"  # hidden folders are the tools', not the product's
REQUIREMENTS = re.compile(
    rf"{HOME}(?:(?:[^./][^/]*)?requirements[^/]*\.txt|requirements/[^./][^/]*\.txt)", re.IGNORECASE
)
SOURCES = re.compile(rf"{HOME}(?:(?:[^./][^/]*)?requirements[^/]*|requirements/[^./][^/]*)\.in", re.IGNORECASE)
PYLOCK = re.compile(rf"{HOME}pylock(?:\.[^./]+)?\.toml")
PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*===?\s*(?P<version>\w[\w.!+-]*)\s*(?:[;\s].*)?")
INCLUDED = re.compile(r"(?:-r|--requirement)[\s=]*(?P<path>\S+)")
EDITABLE = ("-e", "--editable")
COMPILED = re.compile(r"--hash=|#\s+via\b")


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
    texts: dict[str, str] = field(default_factory=dict)

    def beside(self, name: str) -> frozenset[str] | None:
        """The packages of the lists that speak for a file: in its folder, in one of lists there, or which name it.

        None: there is no such list.
        """
        folder = posixpath.dirname(name)
        near = {folder, posixpath.join(folder, "requirements")}
        if posixpath.basename(folder) == "requirements":
            near.add(posixpath.dirname(folder))
        path = re.compile(rf"(?m)#.*(?<![\w./-]){re.escape(name)}(?![\w./-])")
        lists = {one for one, text in self.texts.items() if posixpath.dirname(one) in near or path.search(text)} - {
            name
        }
        return frozenset(pin.name for pin in self.pins if pin.path in lists) if lists else None


def pinned(files: Path, names: Sequence[str], chosen: Collection[str] = ()) -> Packages:
    """Read the requirement files of a tree, and those that they include.

    Args:
        files: the tree.
        names: its files.
        chosen: the requirement files; default: those that are called so, outside hidden folders.
    """
    found = Packages()
    called = [name for name in names if REQUIREMENTS.fullmatch(name) or PYLOCK.fullmatch(name)]
    _follow(files, chosen or called, found)
    # A source is examined by way of what was compiled from it, or else as it is.
    sources = [name for name in names if SOURCES.fullmatch(name)]
    _follow(files, [name for name in sources if not _compiled(files, name, found)], found)
    passed = [name for name in called if name not in found.texts]
    found.gaps += [
        Gap(name, "it is not among scan.requirements", "add it there, or to scan.ignored") for name in passed
    ]
    found.gaps += unaudited(files, names, found.beside)
    return found


def _compiled(files: Path, name: str, found: Packages) -> bool:
    """Whether all that a source names is in the lists that speak for it."""
    listed = found.beside(name)
    lines = (line for _, line in _lines((files / name).read_bytes().decode(errors="replace")))
    named = [canonical(match[0]) for line in lines if (match := re.match(r"[A-Za-z0-9][\w.-]*", line))]
    return listed is not None and set(named) <= listed


def _follow(files: Path, names: Collection[str], found: Packages) -> None:
    """Read requirement files, and those that they include."""
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found.texts:
            continue
        found.texts[name] = ""
        if (files / name).is_file() and (files / name).resolve().is_relative_to(files.resolve()):
            found.texts[name] = (files / name).read_bytes().decode(errors="replace")
            read = _read_lock if PYLOCK.fullmatch(name) else _read
            waiting += read(name, found.texts[name], found)
        else:
            remedy = "correct scan.requirements, or who includes it"
            found.gaps.append(Gap(name, "there is no such file in the tree", remedy))


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


def _read_lock(name: str, text: str, found: Packages) -> list[str]:
    """Add what a lock by PEP 751 names; it includes no other file."""
    try:
        packages = decoded.toml(text.encode(), most=decoded.LOCK).get("packages")
    except decoded.Undecodable:
        packages = None
    if not isinstance(packages, list):
        found.gaps.append(Gap(name, "this lock cannot be read", "write it anew: pip lock, uv export"))
        return []
    loose = 0
    for one in packages:
        known = one if isinstance(one, dict) else {}
        package, version = (known.get(key) for key in ("name", "version"))
        if isinstance(package, str) and isinstance(version, str):
            line = next((n for n, words in enumerate(text.splitlines(), 1) if f'"{package}"' in words), 1)
            found.pins.append(Pin(canonical(package), version, name, line))
        else:
            loose += 1
    if loose:
        reason = f"no exact version of {count(loose, 'package')}, so nothing to look up"
        found.gaps.append(Gap(name, reason, "name a version"))
    return []


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first: joined where they end with a backslash, without comments."""
    plain = re.sub(r"(?m)(?:^|[ \t])#.*$", "", "\n".join(text.splitlines()))
    number = 1
    for lines in re.findall(r"(?:.*\\\n)*.*\n?", plain):
        if line := re.sub(r"\\(?:\n|\Z)", " ", lines).strip():
            yield number, line
        number += lines.count("\n")
