"""What must be true before anything is touched.

The working copy, the Blueprint, the disk, the store.
"""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from deploylib.errors import SettingsError, Unreachable
from deploylib.models import Commit, Secret, remedies
from deploylib.models.globs import matches
from deploylib.models.units import size
from deploylib.release.prerequisites import REMEDY, CheckFinding
from deploylib.render import Client, blueprints
from deploylib.settings import Config
from deploylib.store import Store
from deploylib.system import Git

__all__ = [
    "address",
    "disk",
    "find_lost_folders",
    "find_uncommitted",
    "note_unknown",
    "read_blueprint",
    "read_only",
    "release_commit",
    "require_ready",
    "services",
]


def require_ready(findings: Sequence[CheckFinding], environment: str) -> None:
    """Refuse when anything was found.

    The first finding leads, the others follow with their remedies.

    Raises:
        Unreachable: one of them is that somebody did not answer, which leads.
        SettingsError: there are others.
    """
    if findings:
        first, *others = sorted(findings, key=lambda one: not one.unreachable)
        details = tuple(f"{other.text}{REMEDY}{remedies.about(environment, other.remedy)}" for other in others)
        kind = Unreachable if first.unreachable else SettingsError
        raise kind(first.text, remedy=first.remedy, details=details)


def release_commit(git: Git, ref: str = "") -> Commit:
    """Choose the commit to release.

    *ref*, or what is checked out, and then nothing may differ from it.

    Raises:
        SettingsError: no repository, no such commit, or changes that are not committed.
    """
    git.top()
    commit = git.commit(ref or "HEAD")
    if not ref and (changed := git.list_changed()):
        raise _uncommitted(changed)
    return commit


def find_uncommitted(git: Git) -> list[CheckFinding]:
    """Find what differs from the commit that is checked out."""
    changed = git.list_changed()
    return [CheckFinding.of(_uncommitted(changed))] if changed else []


def _uncommitted(changed: Sequence[str]) -> SettingsError:
    return SettingsError(
        f"{len(changed)} changed file{'s are' if len(changed) > 1 else ' is'} not committed; a release is a commit",
        details=tuple(changed[:10]),
        remedy="git commit, or git stash; or release what is committed: inv deploy --commit HEAD",
    )


def read_blueprint(config: Config, git: Git, commit: Commit, *, lying: bool = False) -> blueprints.Blueprint | None:
    """Read the Blueprint as *commit* has it.

    None where there is none and the settings name the services instead.

    Args:
        lying: as it lies in the folder, for somebody who is still writing it.

    Raises:
        SettingsError: none and no services named, or an error in it.
    """
    path = config.settings.blueprint
    _require_file(git.top(), path)
    text = _lying(git.top() / path) if lying else git.read(commit.id, path)
    if text is not None:
        return blueprints.parse(text, path).of(config.name)
    if config.environment.services:
        return None
    raise SettingsError(
        f"commit {commit.short} has no {path}: nothing says which services there are",
        remedy=f"write {path} (https://render.com/docs/blueprint-spec) and commit it, "
        f"or name the services in [environments.{config.name}.services] of the settings",
    )


def _require_file(top: Path, path: str) -> None:
    """See that the Blueprint is a file, and no link.

    A commit has of a link only where it leads, and of a folder only its names: the folder would be read otherwise than it.
    """
    file = top / path
    if file.is_symlink():
        there = file.resolve()
        leads = there.relative_to(top.resolve()).as_posix() if there.is_relative_to(top.resolve()) else ""
        raise SettingsError(
            f"{path} is a symbolic link to {leads or there}",
            remedy=f'blueprint = "{leads}" in the settings'
            if leads
            else f"put a file in its place: cp --remove-destination {there} {path}",
        )
    if file.is_dir():
        message = f"{path} is a folder" if path else "blueprint is empty in the settings"
        raise SettingsError(message, remedy='name the file: blueprint = "render.yaml" in the settings')


def _lying(file: Path) -> str | None:
    try:
        return file.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"{file.name} cannot be read: {error.strerror}"
        raise SettingsError(message, remedy=f"see what {file} is, and who may read it") from error


def find_untracked(git: Git, blueprint: blueprints.Blueprint) -> list[CheckFinding]:
    """Find forgotten files of a service: in no commit."""
    chosen = [service.filter for service in blueprint.deployable]
    lost = [name for name in git.list_untracked() if any(one.paths and matches(name, one) for one in chosen)]
    if not lost:
        return []
    named = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
    return [CheckFinding(f"not in git, so not in the release: {named}", "git add and commit, or list it in .gitignore")]


def find_lost_folders(
    blueprint: blueprints.Blueprint, files: Collection[str], chosen: Collection[str] = ()
) -> list[CheckFinding]:
    """Find services whose ``rootDir`` the commit does not have.

    What another repository has is not known, and of a submodule only its folder is.

    Args:
        files: those of the commit.
        chosen: only these services; empty: all.
    """
    files = frozenset(files)
    there = {folder for name in files for folder in map(str, PurePosixPath(name).parents)}
    lost = []
    for service in blueprint.deployable:
        folder = PurePosixPath(posixpath.normpath(f"/{service.root_dir}").strip("/"))
        inside = str(folder) in {".", *there} or any(str(each) in files for each in (folder, *folder.parents))
        if not inside and "repo" not in service.settings and (not chosen or service.name in chosen):
            text = f"rootDir {service.root_dir} of {service.name} is not in the commit"
            lost.append(CheckFinding(text, "correct rootDir in the Blueprint, or git add and commit that folder"))
    return lost


def disk(folder: Path, minimum: str) -> list[CheckFinding]:
    """See that there is room for backups and history.

    At least *minimum* free where *folder* is or will be.
    """
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free
    except OSError as error:
        text = f"{error.filename or folder} cannot be looked at: {error.strerror}"
        return [CheckFinding(text, "see who may read it, or set store in the settings to another folder")]
    if free >= size(minimum):
        return []
    text = f"{there} has {free // 10**6} MB free, less than the {minimum} that a run wants"
    return [CheckFinding(text, "make room (df -h), or set minimum_free in the settings")]


def read_only(store: Store) -> list[CheckFinding]:
    """Find out whether the store may only be read."""
    try:
        store.require_writable()
    except (SettingsError, Unreachable) as error:
        return [CheckFinding.of(error)]
    return []


def services(config: Config, blueprint: blueprints.Blueprint | None, chosen: Sequence[str]) -> tuple[str, ...]:
    """Name the product's services, all of them.

    *chosen* must be among them.

    Raises:
        SettingsError: a name that does not exist.
    """
    named = [service.name for service in blueprint.deployable] if blueprint else list(config.environment.services)
    if blueprint is not None and not named:
        path = config.settings.blueprint
        message, remedy = (
            "has no services that are deployed from a commit",
            "describe one under services, and commit it",
        )
        raise SettingsError(f"{path} {message}", details=blueprint.notes, remedy=remedy)
    unknown = [name for name in chosen if name not in named]
    if unknown:
        raise SettingsError(
            f"there is no service {unknown[0]!r}; there are: {', '.join(named)}",
            remedy="inv deploy --service NAME, with one of these",
        )
    return tuple(named)


def note_unknown(config: Config, blueprint: blueprints.Blueprint | None) -> tuple[str, ...]:
    """Note what the settings say of services that there are not."""
    if blueprint is None:
        known, mapped = list(config.environment.services), list[str]()
    else:
        known, mapped = [service.name for service in blueprint.services], list(config.environment.services)
    tables = [(f"services.{name}", name) for name in config.settings.services]
    tables += [(f"environments.{config.name}.services: {name}", name) for name in mapped]
    elsewhere = blueprint.notes if blueprint is not None else ()  # those of other environments are named there
    notes = []
    for table, name in tables:
        if name not in known and not any(name in note for note in elsewhere):
            near = get_close_matches(name, known, 1)
            notes.append(f"{table}: there is no such service{f'; is it {near[0]}?' if near else ''}")
    return tuple(notes)


def database(config: Config, blueprint: blueprints.Blueprint | None) -> str:
    """Find the platform's name of the product's Postgres.

    Of the settings, or the only one of the Blueprint; else empty.
    """
    databases = blueprint.databases if blueprint else ()
    if config.exported and not config.environment.database and len(databases) != 1:
        raise SettingsError(
            f'backups = "export" needs one database, and the Blueprint has {len(databases)}',
            remedy=f"set database in [environments.{config.name}]",
        )
    return config.environment.database or (databases[0].name if len(databases) == 1 else "")


def address(config: Config, render: Client, name: str) -> Secret | None:
    """Find the address of the database of that name.

    None where the product has none.
    """
    return config.database_url() or (render.database_url(name) if name else None)
