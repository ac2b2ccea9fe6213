"""Find migrations that others run.

What looks like them, where, and how they are taken over.

What is not found is not none. A commit whose migrations others run is named as that, backed up before, and its schema is
unknown.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from deploylib.migrations.alembic_settings import INI, TOML, configures, find_scripts
from deploylib.models import Elsewhere, decoding
from deploylib.render import blueprints

__all__ = ["DOCS_PAGE", "find_faulty_alembic", "find_lists", "find_others", "find_unfetched"]

DOCS_PAGE = "deploylib's docs/migrations.md"
TAKEN_OVER = f"[migrations] command, pending and files ({DOCS_PAGE})"
# The words by which a command line is known to migrate; a script's own name is one of them as often as a tool's.
MIGRATES = re.compile(
    r"migrat|\balembic\b|\bprisma\b|\bknex\b|\bflyway\b|\bliquibase\b|\bdbmate\b|\bgoose\b|\bsqitch\b|\btypeorm\b"
    r"|\bsequelize\b|\bdrizzle|\bdb[:-](?:push|sync|upgrade|update)\b|\bschema:",
    re.IGNORECASE,
)
# A path → the tool and its folder; the first that fits.
KNOWN = (
    ("Prisma", re.compile(r"(?P<folder>(?:.*/)?prisma/migrations)/[^/]+/migration\.sql")),
    ("Django", re.compile(r"(?P<folder>(?:.*/)?migrations)/\d{4}_\w+\.py")),
    ("Rails", re.compile(r"(?P<folder>(?:.*/)?db/migrate)/\d+_\w+\.rb")),
    ("Flyway", re.compile(r"(?P<folder>.+)/V\d[\w.]*__\w+\.sql")),
    ("migrations", re.compile(r"(?P<folder>(?:.*/)?(?:migrations?|migrate|changelogs?))/(?:[^/]+/)?[^/]+\.sql")),
    ("migrations", re.compile(r"(?P<folder>(?:.*/)?(?:migrations|migrate))/\d{3,}\w*[-_.][^/]*\.[cm]?[jt]s")),
)
LIST = re.compile(r"(?:.*/)?(?:[\w.-]*requirements[\w.-]*\.txt|pyproject\.toml|pylock\.toml|(?:uv|poetry|pdm)\.lock)")
PIN = re.compile(r"""\balembic(?:\[[\w,]*\])?\s*==\s*([\d.]+)|^name = "alembic"\nversion = "([\d.]+)\"""", re.MULTILINE)
# Its changelog (alembic.sqlalchemy.org/en/latest/changelog.html): the releases, what they do, and the one that does not.
FAULTY = {
    ("1.18.2", "1.18.3"): (
        "write PRIMARY KEY into ADD COLUMN, which a column of a key that is there refuses",
        "1.18.4",
    ),
    ("1.19.0", "1.19.1"): ("take unchanged CHECK constraints for changed in --autogenerate", "1.19.2"),
}
SHELL = {".sh", ".bash", ""}
LARGEST = 100_000
NOT_RUN = {"test", "tests", "fixtures", "testdata", "docs", "examples"}


class _Package(msgspec.Struct, frozen=True):
    scripts: dict[str, str] = {}


def find_others(
    files: Path, names: Sequence[str], blueprint: blueprints.Blueprint | None, *, ours: Collection[str] = ()
) -> tuple[Elsewhere, ...]:
    """Find what migrates, by files and commands of a commit.

    Args:
        files: the tree.
        names: its files.
        ours: folders of the migrations that we run.
    """
    mine = [name for name in names if not set(name.split("/")) & NOT_RUN]
    placed = {one.files[0]: one for one in _placed(files, mine) if not _within(one.files[0], ours)}
    commanded = [] if blueprint is None else list(_commanded(files, blueprint, placed, ours=bool(ours)))
    located = {glob for one in commanded for glob in one.files}
    return (*commanded, *(one for glob, one in placed.items() if glob not in located))


def find_unfetched(submodules: Mapping[str, str], files: Path, wanted: Collection[str]) -> tuple[str, ...]:
    """Find submodules that are not fetched and may have migrations.

    Args:
        submodules: all of the commit.
        wanted: the places that the settings name.
    """
    empty = [path for path in submodules if not any((files / path).glob("*"))]
    named = [path for path in empty if any(f"{place}/".startswith(f"{path}/") for place in wanted)]
    return tuple(named or [path for path in empty if MIGRATES.search(posixpath.basename(path))])


def find_lists(names: Collection[str]) -> tuple[str, ...]:
    """Find the files of a commit that may pin packages of Python."""
    return tuple(name for name in sorted(names) if LIST.fullmatch(name))


def find_faulty_alembic(texts: Mapping[str, str], here: str = "") -> tuple[str, ...]:
    """Find releases of alembic that are known to be faulty.

    Args:
        texts: the files that may pin it, by their names.
        here: the release that would run; empty: none of ours.
    """
    pins = {name: match[1] or match[2] for name, text in texts.items() for match in PIN.finditer(text)}
    return tuple(
        f"{place} has alembic {version}, and {' and '.join(faulty)} {fault}: take {better} or newer"
        for place, version in {**pins, **({"this machine": here} if here else {})}.items()
        for faulty, (fault, better) in FAULTY.items()
        if version in faulty
    )


def _within(glob: str, ours: Collection[str]) -> bool:
    return any(
        f"{glob}/".startswith(f"{place}/") or place.startswith(glob.partition("*")[0]) for place in ours if place
    )


def _placed(files: Path, names: Sequence[str]) -> Iterator[Elsewhere]:
    """Find the tools that are known by their files."""
    inis = [name for name in names if posixpath.basename(name) in {INI, TOML} and configures(files / name)]
    yield from (_alembic(files, ini) for ini in inis)
    homes = [f"{folder}/" if (folder := posixpath.dirname(ini)) else "" for ini in inis]
    for folder in (posixpath.dirname(name) for name in names if posixpath.basename(name) == "env.py"):
        text = (files / folder / "env.py").read_text(encoding="utf-8", errors="replace")
        if "alembic" in text and not any(folder.startswith(home) for home in homes):
            remedy = f'[migrations] path = "{folder}"'
            yield Elsewhere(what=f"alembic in {folder}", files=(f"{folder}/**",), remedy=remedy)
    for folder, tool in {folder: tool for name in names for tool, folder in _known(name)}.items():
        yield Elsewhere(what=f"{tool} in {folder}", files=(f"{folder}/**",), remedy=TAKEN_OVER)


def _known(name: str) -> Iterator[tuple[str, str]]:
    """Name the tool of a file, and its folder of migrations."""
    fitting = ((tool, pattern.fullmatch(name)) for tool, pattern in KNOWN)
    yield from [(tool, found["folder"]) for tool, found in fitting if found][:1]


def _alembic(files: Path, ini: str) -> Elsewhere:
    """Describe an alembic whose ini, or ``pyproject.toml``, is not at the top."""
    folder = posixpath.dirname(ini)
    globs = (f"{folder}/**",) if folder else ("**",)
    scripts = find_scripts(files, ini)[0].removeprefix("%(here)s/")
    if re.fullmatch(r"[\w./-]+", scripts) and (files / folder / scripts).is_dir():
        globs = (f"{posixpath.normpath(posixpath.join(folder, scripts))}/**",)
    return Elsewhere(what=f"alembic, by {ini}", files=globs, remedy=f'[migrations] config = "{ini}"')


def _commanded(
    files: Path, blueprint: blueprints.Blueprint, placed: Mapping[str, Elsewhere], *, ours: bool
) -> Iterator[Elsewhere]:
    """Find those that a service's own command runs.

    Before a deploy whatever it is, else where a word of it tells.

    Args:
        placed: those that are known by their files, by their globs.
    """
    for service in blueprint.deployable:
        commands = (
            ("preDeployCommand", service.pre_deploy_command, True),
            ("initialDeployHook", service.initial_deploy_hook, False),
            ("buildCommand", service.build_command, False),
            ("startCommand", service.start_command, False),
        )
        for key, line, always in commands:
            meant = "\n".join((line, _script(files, service, line), *_shells(files, service, line)))
            by_alembic = re.search(r"\balembic\b", meant)
            if line and (MIGRATES.search(meant) or (always and not ours)) and not (ours and by_alembic):
                near = [glob for glob in placed if _of(service, glob)] or (list(placed) if len(placed) == 1 else [])
                taken = {placed[glob].remedy for glob in near} if by_alembic else set()
                yield Elsewhere(
                    what=f"{line!r}, the {key} of {service.name}",
                    files=tuple(near),
                    service=service.name,
                    remedy=f"{taken.pop() if len(taken) == 1 else TAKEN_OVER}; then that {key} need not migrate",
                )
                break


def _script(files: Path, service: blueprints.BlueprintService, line: str) -> str:
    """Read what ``npm run NAME`` stands for in the service's package.json."""
    named = re.findall(r"\b(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?([\w:.-]+)", line)
    file = files / posixpath.normpath(f"/{service.root_dir}").lstrip("/") / "package.json"
    if not named or not file.is_file():
        return ""
    try:
        scripts = decoding.json(file.read_bytes(), _Package).scripts
    except decoding.Undecodable:
        return ""
    return "; ".join(scripts[name] for name in named if name in scripts)


def _shells(files: Path, service: blueprints.BlueprintService, line: str) -> Iterator[str]:
    """Read the shell scripts that a command runs, without their remarks."""
    words = re.findall(r"[^\s;&|()'\"]+", line)
    homes = [
        service.root_dir,
        *(posixpath.join(service.root_dir, one) for one in re.findall(r"\bcd\s+([^\s;&|]+)", line)),
    ]
    for place in dict.fromkeys(posixpath.normpath(posixpath.join(home, word)) for word in words for home in homes):
        file = files / place
        if not place.startswith(("/", "../")) and file.suffix in SHELL and file.is_file() and not file.is_symlink():
            text = file.read_bytes()[:LARGEST].decode(errors="replace")
            if file.suffix or re.match(r"#!.*sh\b", text):
                yield re.sub(r"(?m)^\s*#.*$", "", text)


def _of(service: blueprints.BlueprintService, glob: str) -> bool:
    folder = posixpath.normpath(service.root_dir or ".")
    return folder != "." and glob.startswith(f"{folder}/")
