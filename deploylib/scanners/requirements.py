"""Packages of a product.

What requirement files pin, and what is not examined.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from deploylib.errors import SettingsError
from deploylib.models import decoding
from deploylib.models.findings import Finding, Gap
from deploylib.models.units import count
from deploylib.render import blueprints
from deploylib.scanners import installs
from deploylib.scanners.installs import Brought
from deploylib.scanners.package_files import canonical, find_unaudited, is_package_file, of_node, read_scripts

__all__ = ["Packages", "Pin", "may_name_packages", "read_packages"]

HOME = r"(?:[^/]+/)*"
REQUIREMENTS = re.compile(
    rf"{HOME}(?:(?:[^./][^/]*)?requirements[^/]*\.(?:txt|lock)|requirements/[^./][^/]*\.txt)", re.IGNORECASE
)
SOURCES = re.compile(rf"{HOME}(?:(?:[^./][^/]*)?requirements[^/]*|requirements/[^./][^/]*)\.in", re.IGNORECASE)
PYLOCK = re.compile(rf"{HOME}pylock(?:\.[^./]+)?\.toml")
PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*===?\s*(?P<version>\w[\w.!+-]*)\s*(?:[;\s].*)?")
INCLUDED = re.compile(r"(?:-r|--requirement)[\s=]*(?P<path>\S+)")
EDITABLE = ("-e", "--editable")
COMMANDS = ("buildCommand", "initialDeployHook", "preDeployCommand", "startCommand", "dockerCommand")
DOCKERFILE = re.compile(r"(?:.*/)?(?:[\w.-]+\.)?(?:Docker|Container)file(?:\.[\w.-]+)?")
WRITTEN = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)")  # of a requirement
COMPILED = re.compile(r"--hash=|#\s+via\b")


class Pin(NamedTuple):
    """One package in one version, and where it is named."""

    name: str
    version: str
    path: str
    line: int


@dataclass
class Packages:
    """Packages that files name: exact versions, notes, and gaps."""

    pins: list[Pin] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def beside(self, name: str) -> frozenset[str] | None:
        """Collect the packages of the lists that speak for a file.

        They are in its folder, in one of lists there, or name it. None: there is no such list.
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


def read_packages(
    files: Path, names: Sequence[str], chosen: Collection[str] = (), *, blueprint_path: str = "render.yaml"
) -> Packages:
    """Read the requirement files of a tree, and those that they include.

    And what commands bring beside them.

    Args:
        files: the tree.
        names: its files.
        chosen: the requirement files; default: those that are called so, and those that a command names.
        blueprint_path: the Blueprint, whose services have commands.
    """
    packages = Packages()
    called = [name for name in names if REQUIREMENTS.fullmatch(name) or PYLOCK.fullmatch(name)]
    _follow(files, chosen or called, packages)
    # A source is examined by way of what was compiled from it, or else as it is.
    sources = [name for name in names if SOURCES.fullmatch(name)]
    _follow(files, [name for name in sources if not _compiled(files, name, packages)], packages)
    passed = [name for name in called if name not in packages.texts]
    packages.gaps += [
        Gap(name, "it is not among scan.requirements", "add it there, or to scan.ignored") for name in passed
    ]
    _bring(files, names, blueprint_path, packages)
    packages.gaps += find_unaudited(files, names, packages.beside)
    packages.notes = list(dict.fromkeys(packages.notes))
    return packages


def may_name_packages(name: str) -> bool:
    """Tell whether a file of that name may list packages."""
    lists = (REQUIREMENTS, SOURCES, PYLOCK, DOCKERFILE)
    return any(pattern.fullmatch(name) for pattern in lists) or is_package_file(name)


def _bring(files: Path, names: Sequence[str], blueprint_path: str, packages: Packages) -> None:
    """Add what commands bring.

    Lists that they name are read, exact versions count, and the rest is not examined.
    """
    there = set(names)
    seen: set[tuple[str, Brought]] = set()
    waiting = [*_commanded(files, there, blueprint_path)]
    for name in names:
        if DOCKERFILE.fullmatch(name):
            text = decoding.decode_text((files / name).read_bytes())
            waiting += [(f"{name}:{line}", one) for line, one in installs.by_dockerfile(text)]
        elif name.endswith(".py"):
            waiting += _headed(name, decoding.decode_text((files / name).read_bytes()))
    while waiting:
        if (brought := waiting.pop(0)) in seen:
            continue
        seen.add(brought)
        where, package = brought
        if package.kind in {"script", "run"}:
            waiting += _run(files, there, package)
        elif package.kind == "list":
            _listed(files, names, where, package, packages)
        elif not _known(files, there, where, package, packages):
            packages.gaps.append(_brought(where, package))


def _run(files: Path, there: Collection[str], brought: Brought) -> Iterator[tuple[str, Brought]]:
    """Read what a script brings that a command runs."""
    if brought.kind == "run":
        path, text = (
            posixpath.join(brought.folder, "package.json"),
            read_scripts(files, brought.folder).get(brought.name, ""),
        )
    else:
        path = posixpath.normpath(posixpath.join(brought.folder, brought.name))
        text = decoding.decode_text((files / path).read_bytes()) if path in there else ""
    yield from ((path, each) for each in installs.by_command(text, brought.folder))


def _commanded(files: Path, there: Collection[str], path: str) -> Iterator[tuple[str, Brought]]:
    """Find what commands of a Blueprint's services bring.

    One that Render would not take is told elsewhere.
    """
    if path not in there:
        return
    try:
        document, _ = blueprints.load_document(decoding.decode_text((files / path).read_bytes()), path)
    except SettingsError:
        return
    for scope in blueprints.scopes(document):
        for service, place in scope.each("services"):
            for key in COMMANDS:
                for package in installs.by_command(str(service.get(key) or ""), str(service.get("rootDir") or "")):
                    yield f"{path}:{document.line((*place, key))}", package


def _headed(name: str, text: str) -> Iterator[tuple[str, Brought]]:
    """Read what the head of a script needs, by PEP 723."""
    head = installs.by_script(text)
    try:
        needs = decoding.toml(head.encode()).get("dependencies", ())
    except decoding.Undecodable:
        yield name, Brought("other", "its head, which cannot be read")
        return
    yield from ((name, Brought("python", str(one), apart=True)) for one in needs)


def _listed(files: Path, names: Sequence[str], where: str, brought: Brought, packages: Packages) -> None:
    """Read a list that a command names.

    In an image it may stand elsewhere, so that its name alone tells.
    """
    path = posixpath.normpath(posixpath.join(brought.folder, brought.name))
    alike = [name for name in names if posixpath.basename(name) == posixpath.basename(path)]
    chosen = [path] if path in names else alike
    if chosen:
        _follow(files, [name for name in chosen if not any(gap.what == name for gap in packages.gaps)], packages)
    else:
        reason = f"it is a list of packages that {where} installs, and not in the tree"
        packages.gaps.append(Gap(brought.name, reason, "commit it, or correct the command"))


def _known(files: Path, there: Collection[str], where: str, brought: Brought, packages: Packages) -> bool:
    """Tell whether a package is looked up.

    In its exact version, or in that of a list or lock beside it.
    """
    if brought.kind == "node":
        return _written(brought) in of_node(files, there, brought.folder)
    if brought.kind != "python":
        return False
    path, _, line = where.partition(":")
    if match := PINNED.fullmatch(brought.name):
        packages.pins.append(Pin(canonical(match["name"]), match["version"], path, int(line or 1)))
        packages.notes.append(_incomplete(path))
        return True
    listed = None if brought.apart else packages.beside(posixpath.join(brought.folder, "command"))
    return listed is not None and _written(brought) in listed


def _written(brought: Brought) -> str:
    """Read the name of a package, without its version."""
    if "://" in brought.name:
        return re.sub(r"//[^/@]*@", "//", brought.name)  # that may be a password
    if brought.kind == "python":
        match = WRITTEN.match(brought.name)
        return canonical(match["name"]) if match else brought.name
    return brought.name[:1] + brought.name[1:].partition("@" if brought.kind == "node" else "=")[0]


def _brought(where: str, brought: Brought) -> Gap:
    name = _written(brought)
    pin = {"python": f"pin it there ({name}==…), or in a list that is installed", "node": "name it in package.json"}
    return Gap(
        what=f"{name} ({where})",
        reason="a command or script brings it, and nothing here looks up what that is",
        remedy=f'{pin.get(brought.kind, "audit it elsewhere")}; or [[scan.accepted]] with rule = "brings:{name}" and reason',
        rule=f"brings:{name}",
        path=where.partition(":")[0],
    )


def _compiled(files: Path, name: str, packages: Packages) -> bool:
    """Tell whether a source's packages are in the lists beside it."""
    listed = packages.beside(name)
    lines = (line for _, line in _lines(decoding.decode_text((files / name).read_bytes())))
    named = [canonical(match[0]) for line in lines if (match := re.match(r"[A-Za-z0-9][\w.-]*", line))]
    return listed is not None and set(named) <= listed


def _follow(files: Path, names: Collection[str], packages: Packages) -> None:
    """Read requirement files, and those that they include."""
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in packages.texts:
            continue
        packages.texts[name] = ""
        if (files / name).is_file() and (files / name).resolve().is_relative_to(files.resolve()):
            packages.texts[name] = decoding.decode_text((files / name).read_bytes())
            read = _read_lock if PYLOCK.fullmatch(name) else _read
            waiting += read(name, packages.texts[name], packages)
        else:
            remedy = "correct scan.requirements, or who includes it"
            packages.gaps.append(Gap(name, "there is no such file in the tree", remedy))


def _read(name: str, text: str, packages: Packages) -> list[str]:
    """Add what one file names; return the files that it includes."""
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
        packages.gaps.append(
            Gap(where, "no exact version, so nothing to look up", "pin it with ==, best by pip-compile")
        )
    if pins and not COMPILED.search(text):
        packages.notes.append(_incomplete(name))
    packages.pins += pins
    return included


def _incomplete(name: str) -> Finding:
    return Finding(
        tool="deploylib",
        rule="incomplete-lock",
        where=name,
        text=f"{name} names packages but not what those bring along, which is not examined",
        remedy="compile it: pip-compile --generate-hashes",
        blocks=False,
        path=name,
    )


def _read_lock(name: str, text: str, packages: Packages) -> list[str]:
    """Add what a lock by PEP 751 names.

    It includes no other file.
    """
    try:
        entries = decoding.toml(text.encode(), most=decoding.LOCK).get("packages")
    except decoding.Undecodable:
        entries = None
    if not isinstance(entries, list):
        packages.gaps.append(Gap(name, "this lock cannot be read", "write it anew: pip lock, uv export"))
        return []
    loose = 0
    for entry in entries:
        table = entry if isinstance(entry, dict) else {}
        package, version = (table.get(key) for key in ("name", "version"))
        if isinstance(package, str) and isinstance(version, str):
            line = next((n for n, words in enumerate(text.splitlines(), 1) if f'"{package}"' in words), 1)
            packages.pins.append(Pin(canonical(package), version, name, line))
        else:
            loose += 1
    if loose:
        reason = f"no exact version of {count(loose, 'package')}, so nothing to look up"
        packages.gaps.append(Gap(name, reason, "name a version"))
    return []


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Split a text into logical lines, each with its number.

    Joined where they end with a backslash, without comments.
    """
    plain = re.sub(r"(?m)(?:^|[ \t])#.*$", "", "\n".join(text.splitlines()))
    number = 1
    for lines in re.findall(r"(?:.*\\\n)*.*\n?", plain):
        if line := re.sub(r"\\(?:\n|\Z)", " ", lines).strip():
            yield number, line
        number += lines.count("\n")
