"""Files that name packages without exact versions, and locks nothing here reads.

What names packages is examined by way of a list that has them all, or it is not examined: a list of another service, or
one that has not heard of them, does not speak for it.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploylib.models import decoding
from deploylib.models.findings import Gap
from deploylib.models.units import count

__all__ = ["LOCKS", "NPM_LOCKS", "canonical", "find_unaudited", "is_package_file", "of_node", "read_scripts"]

EXPORT = (
    "write it as a requirements file beside it, with all groups and extras: uv export, poetry export or pip-compile"
)
ELSEWHERE = "audit it among the tests, and leave it out by scan.ignored"
NPM = "npm install --package-lock-only, and commit the lock"
FETCH = "git submodule update --init --recursive; in GitHub Actions submodules: recursive of actions/checkout"
NAMED = 3
NPM_LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
PYTHON_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock")
NODE_LOCKS = ("yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb")
OTHER_LOCKS = (
    *("Cargo.lock", "go.sum", "Gemfile.lock", "composer.lock", "mix.lock", "pubspec.lock", "deno.lock", "pixi.lock"),
    *("conda-lock.yml", "rebar.lock", "gradle.lockfile", "packages.lock.json", "Package.resolved", "stack.yaml.lock"),
)
LOCKS = {
    **dict.fromkeys(PYTHON_LOCKS, EXPORT),
    **dict.fromkeys(NODE_LOCKS, ELSEWHERE),
    **dict.fromkeys(OTHER_LOCKS, ELSEWHERE),
}
# Of other languages: a name, the locks that speak for it, and what tells that it names any package.
OTHERS = (
    (r"Gemfile|\w+\.gemspec", ("Gemfile.lock",), r"^\s*(?:gem\b|\w+\.add_\w*dependency)"),
    (r"go\.mod", ("go.sum",), r"^\s*require\b"),
    (r"Cargo\.toml", ("Cargo.lock",), r"^\s*\[.*dependencies"),
    (r"composer\.json", ("composer.lock",), r'"require(?:-dev)?"\s*:\s*\{\s*"(?!php"\s*:[^,]*\})'),
    (r"mix\.exs", ("mix.lock",), r"\{\s*:\w+\s*,"),
    (r"pubspec\.ya?ml", ("pubspec.lock",), r"^(?:dev_)?dependencies\s*:"),
    (r"pom\.xml", (), r"<dependency>"),
    (r"build\.gradle(?:\.kts)?", (), r"\b(?:implementation|api|compileOnly|runtimeOnly|\w+Implementation)\b\s*[('\"]"),
    (
        r"[\w.-]+\.(?:cs|fs|vb)proj|packages\.config|Directory\.Packages\.props",
        (),
        r"<(?:PackageReference|PackageVersion|package)\b",
    ),
    (r"pnpm-workspace\.ya?ml", ("pnpm-lock.yaml",), r"^catalogs?\s*:"),
    (r"Package\.swift", ("Package.resolved",), r"\.package\("),
    (r"deno\.jsonc?", ("deno.lock",), r'"imports"\s*:\s*\{\s*"'),
    (r"(?:import_map|importmap)\.json", ("deno.lock",), r'"imports"\s*:\s*\{\s*"'),
    (r"(?:environment|conda)[\w.-]*\.ya?ml", ("conda-lock.yml",), r"^dependencies\s*:"),
    (r"pixi\.toml", ("pixi.lock",), r"^\s*\[.*dependencies"),
    (r"rebar\.config", ("rebar.lock",), r"\{\s*deps\s*,\s*\[\s*[^\]\s]"),
    (r"libs\.versions\.toml", ("gradle.lockfile",), r"^\s*\[(?:libraries|plugins)\]"),
)
Names = frozenset[str] | None
"""The packages that a file names; None: it may name some, and nobody can say which."""


def canonical(name: str) -> str:
    """Write a Python package's name in its one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_package_file(name: str) -> bool:
    """Tell whether a file of that name lists packages."""
    last = posixpath.basename(name)
    known = {*LOCKS, *NPM_LOCKS, *PYTHON, "package.json"}
    return last in known or any(re.fullmatch(pattern, last) for pattern, _, _ in OTHERS)


def find_unaudited(files: Path, names: Sequence[str], listed: Callable[[str], Names]) -> Iterator[Gap]:
    """Find files that name or lock packages and were not examined.

    Args:
        files: the tree.
        names: its files.
        listed: the Python packages that the lists which speak for a file pin; None: none does.
    """
    there = set(names)
    for name in names:
        folder, last = posixpath.split(name)
        if last in PYTHON_LOCKS:
            yield from _of_python(name, _locked(files / name), listed(name), "nothing here reads this kind of lock")
        elif last in LOCKS:
            yield Gap(name, "nothing here reads this kind of lock", LOCKS[last])
        elif last in PYTHON:
            locks = [files / folder / lock for lock in PYTHON_LOCKS if posixpath.join(folder, lock) in there]
            pinned = listed(name)
            if locks and None in (known := [_locked(lock, own=True) for lock in locks]):
                continue  # that lock is named
            if locks:
                pinned = frozenset(each for one in (*known, pinned) for each in one or ())
            yield from _of_python(name, PYTHON[last](files / name), pinned)
        elif last == "package.json":
            yield from _of_node(files, name, there)
        elif last == ".gitmodules":
            yield from _not_fetched(files, name)
        else:
            yield from _of_others(files, name, there)


def _of_python(name: str, named: Names, pinned: Names, reason: str = "") -> Iterator[Gap]:
    if named is None and pinned is None:
        yield Gap(name, reason or "it may name packages, and cannot be read", EXPORT)
    elif named and pinned is None:
        yield Gap(name, reason or "it names packages without exact versions", EXPORT)
    elif named is not None and (missing := sorted(named - (pinned or frozenset()))):
        more = f" and {count(len(missing) - NAMED, 'more package')}" if len(missing) > NAMED else ""
        text = f"it names what no list beside it has: {', '.join(missing[:NAMED])}{more}"
        yield Gap(name, text, EXPORT)


def _locked(file: Path, *, own: bool = False) -> Names:
    """Read the packages of a Python lock, without the product itself.

    With its *own*, for who compares what they name.
    """
    try:
        if file.name == "Pipfile.lock":
            lock = decoding.json(file.read_bytes(), dict[str, dict[str, Any]], most=decoding.LOCK)
            return frozenset(canonical(name) for part in ("default", "develop") for name in lock.get(part, {}))
        packages = _tables(decoding.toml(file.read_bytes(), most=decoding.LOCK).get("package"))
    except (OSError, decoding.Undecodable):
        return None
    mine = () if own else ("editable", "virtual", "directory")
    names = [one.get("name") for one in packages if not any(key in _table(one.get("source")) for key in mine)]
    return frozenset(canonical(str(name)) for name in names) or None


def _pyproject(file: Path) -> Names:
    try:
        whole = decoding.toml(file.read_bytes())
    except (OSError, decoding.Undecodable):
        return None
    project, tool = _table(whole.get("project")), _table(whole.get("tool"))
    poetry, pdm, uv = (_table(tool.get(one)) for one in ("poetry", "pdm", "uv"))
    lists = [project.get("dependencies"), uv.get("dev-dependencies")]
    for table in (project.get("optional-dependencies"), whole.get("dependency-groups"), pdm.get("dev-dependencies")):
        lists += _table(table).values()
    keys = [_table(poetry.get(one)) for one in ("dependencies", "dev-dependencies")]
    keys += [_table(_table(group).get("dependencies")) for group in _table(poetry.get("group")).values()]
    names = [*(name for table in keys for name in table if name != "python")]
    listed = _required(names + [one for each in lists for one in (each if isinstance(each, list) else ())])
    dynamic = "dependencies" in (project.get("dynamic") or ())
    own = canonical(str(project.get("name") or poetry.get("name") or ""))
    return None if dynamic and not listed else listed - {own}


def _setup_cfg(file: Path) -> Names:
    parser = configparser.ConfigParser(interpolation=None)
    if (whole := _text(file)) is None:
        return None
    try:
        parser.read_string(whole)
    except configparser.Error:
        return None
    text = [parser.get("options", "install_requires", fallback="")]
    if parser.has_section("options.extras_require"):
        text += [value for _, value in parser.items("options.extras_require")]
    return _required(line for one in text for line in one.splitlines())


def _setup_py(file: Path) -> Names:
    text = _text(file)
    return None if text is None or re.search(r"(?:install|extras|setup|tests)_require", text) else frozenset()


def _pipfile(file: Path) -> Names:
    try:
        whole = decoding.toml(file.read_bytes())
    except (OSError, decoding.Undecodable):
        return None
    return _required(name for part in ("packages", "dev-packages") for name in _table(whole.get(part)))


PYTHON: Mapping[str, Callable[[Path], Names]] = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "setup.py": _setup_py,
    "Pipfile": _pipfile,
}


def _required(lines: Iterable[Any]) -> frozenset[str]:
    """Read the names in requirements.

    What is only for some systems need not be in a list for one.
    """
    matches = (
        re.match(r"\s*([A-Za-z0-9][\w.-]*)(?![^;]*;.*(?:platform|os_name|version|implementation))", line)
        for line in lines
        if isinstance(line, str)
    )
    return frozenset(canonical(one[1]) for one in matches if one)


def _of_node(files: Path, name: str, there: Collection[str]) -> Iterator[Gap]:
    """Compare a package.json with npm's lock.

    By another lock it is not examined.
    """
    folder = posixpath.dirname(name)
    places = _upwards(folder)
    unread = [lock for place in places for one in NODE_LOCKS if (lock := posixpath.join(place, one)) in there]
    if any(posixpath.dirname(lock) == folder for lock in unread):
        return  # that lock is named
    try:
        whole = decoding.json((files / name).read_bytes(), dict[str, Any])
    except (OSError, decoding.Undecodable):
        yield Gap(name, "it may name packages, and cannot be read", NPM)
        return
    named = _named(whole)
    if unread:
        if named:
            yield Gap(
                name, f"if anything has its exact versions, it is {unread[0]}, which nothing here reads", ELSEWHERE
            )
        return
    locks = [posixpath.join(place, lock) for place in places for lock in NPM_LOCKS]
    locked = next(
        (
            packages
            for lock in locks
            if lock in there and (packages := _npm(files / lock, posixpath.dirname(lock), folder)) is not None
        ),
        None,
    )
    if named and locked is None:
        yield Gap(name, "it names packages without exact versions", NPM)
    elif locked is not None and (missing := sorted(named - locked)):
        yield Gap(name, f"its lock does not have {', '.join(missing[:NAMED])}", NPM)


def of_node(files: Path, there: Collection[str], folder: str) -> frozenset[str]:
    """Read the packages of Node, and their programs, that a folder has.

    Those that are examined, or told, by themselves.
    """
    names: set[str] = set()
    for place in _upwards(folder):
        file = posixpath.join(place, "package.json")
        names |= _named(_package(files / file)) if file in there else set()
        for lock in (one for name in NPM_LOCKS if (one := posixpath.join(place, name)) in there):
            packages = _table(_package(files / lock).get("packages"))
            names |= _npm(files / lock, place, folder) or set()
            names |= {program for one in packages.values() for program in _table(_table(one).get("bin"))}
    return frozenset(names)


def read_scripts(files: Path, folder: str) -> dict[str, str]:
    """Read the scripts of a package.json, each with its pre and post."""
    written = _table(_package(files / folder / "package.json").get("scripts"))
    return {name: "\n".join(str(written.get(f"{when}{name}", "")) for when in ("pre", "", "post")) for name in written}


def _package(file: Path) -> dict[str, Any]:
    try:
        return decoding.json(file.read_bytes(), dict[str, Any], most=decoding.LOCK)
    except (OSError, decoding.Undecodable):
        return {}  # whoever looks for what it names says so


def _named(package: Mapping[str, Any]) -> set[str]:
    return {
        name for key in ("dependencies", "devDependencies", "optionalDependencies") for name in _table(package.get(key))
    }


def _upwards(folder: str) -> list[str]:
    """Go from a folder up to the top."""
    above = [folder, *(str(parent) for parent in Path(folder).parents)] if folder else [""]
    return list(dict.fromkeys("" if one == "." else one for one in above))


def _npm(lock: Path, home: str, folder: str) -> frozenset[str] | None:
    """Read the packages of npm's lock, if it speaks for *folder*.

    That is its own, or one of its workspaces.
    """
    try:
        whole = decoding.json(lock.read_bytes(), dict[str, Any], most=decoding.LOCK)
    except (OSError, decoding.Undecodable):
        return None if home != folder else frozenset()  # npm audit says of it that it cannot be read
    packages = _table(whole.get("packages"))
    inside = posixpath.relpath(folder or ".", home or ".")
    if home != folder and inside not in packages:
        return None
    return frozenset([*_table(whole.get("dependencies")), *(key.rpartition("node_modules/")[2] for key in packages)])


def _of_others(files: Path, name: str, there: Collection[str]) -> Iterator[Gap]:
    folder, last = posixpath.split(name)
    for pattern, locks, names in OTHERS:
        if not re.fullmatch(pattern, last) or any(posixpath.join(folder, lock) in there for lock in locks):
            continue
        if (text := _text(files / name)) is None:
            yield Gap(name, "it may name packages, and cannot be read", ELSEWHERE)
        elif re.search(names, text, re.MULTILINE):
            yield Gap(name, "nothing here looks up packages of this kind", ELSEWHERE)


def _not_fetched(files: Path, name: str) -> Iterator[Gap]:
    for path in re.findall(
        r"^\s*path\s*=\s*(.+?)\s*$", decoding.decode_text((files / name).read_bytes()), re.MULTILINE
    ):
        if not any((files / path).glob("*")):
            yield Gap(path, "this submodule was not fetched, and nothing in it was examined", FETCH)


def _text(file: Path) -> str | None:
    """Read a text; None: it is none.

    It may be of an encoding that nobody names.
    """
    text = decoding.decode_text(file.read_bytes())
    return None if "\0" in text else text


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [_table(one) for one in value] if isinstance(value, list) else []
