"""Copy the health files that a service takes along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.health import CopyState, HealthCopy, Language, compare_copy, guess_language, write_copy
from deploylib.models.units import count
from deploylib.system import files

__all__ = ["Copies", "take_health"]

SHOWN = 60  # lines of a diff
FOLDER = "name a folder of the service, such as inv local.health --write backend/shop"


@dataclass(frozen=True)
class Copies:
    """The copies of the health files.

    Attributes:
        copies: as they were found.
        written: whether the one of them has been written.
    """

    copies: tuple[HealthCopy, ...]
    written: bool = False


def take_health(env: Environment, *, write: str = "", language: str = "", force: bool = False) -> Copies:
    """Copy a health file into a service, or compare the copies.

    Args:
        write: the folder; empty: only compare.
        language: python or node; empty: by what the folder holds, or those above it.
        force: also over a file that somebody has written or edited, or that is newer.

    Raises:
        SettingsError: it is no folder, its language is not known, or something of somebody else's stands there.
    """
    if not write:
        return Copies(tuple(_copies(env)))
    folder = Path(write)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise SettingsError(f"{write} {what}, and no folder to copy a health file into", remedy=FOLDER)
    try:
        chosen = _language(language, folder, env.config.root)
        copy = compare_copy(folder / chosen.file.name, chosen)
        if not copy.state.is_ours and not force:
            raise _refusal(copy, write, chosen)
        if copy.state is not CopyState.SAME:
            with files.explain_errors(folder):
                write_copy(Path(copy.path), chosen)
    except files.Unwritable as error:
        raise SettingsError(
            error.message, remedy=f"correct its rights (ls -ld {write}), or make room (df -h)"
        ) from error
    except OSError as error:
        message = f"{error.filename or write} cannot be read: {error.strerror or error}"
        raise SettingsError(message, remedy=f"see what it is, and who may read it: ls -l {write}") from error
    return Copies((copy,), written=copy.state is not CopyState.SAME)


def _copies(env: Environment) -> Iterator[HealthCopy]:
    """Find the copies here; without a version line a file is none."""
    names = {language.file.name: language for language in Language}
    for name in env.git.lying():
        path = env.config.root / name
        if path.name not in names or not path.exists():  # listed, and deleted meanwhile
            continue
        try:
            copy = compare_copy(path, names[path.name])
        except OSError as error:
            message = f"{path} cannot be read: {error.strerror or error}"
            raise SettingsError(message, remedy=f"see what it is, and who may read it: ls -l {path}") from error
        if copy.state is not CopyState.FOREIGN:
            yield replace(copy, path=name)


def _language(given: str, folder: Path, top: Path) -> Language:
    """Choose the language that is said, else that of the nearest folder."""
    if given:
        if given not in list(Language):
            raise SettingsError(f"there is no health file for {given!r}", remedy=f"--language {', '.join(Language)}")
        return Language(given)
    here = folder.resolve()
    above = [each for each in here.parents if each.is_relative_to(top.resolve())]
    guessed = guess_language([here, *above])
    if guessed is None:
        message = f"{folder} does not tell whether it is Python or Node"
        raise SettingsError(message, remedy=f"inv local.health --write {folder} --language python, or node")
    return guessed


def _refusal(copy: HealthCopy, write: str, language: Language) -> SettingsError:
    """Say why a file is left as it is."""
    again = f"inv local.health --write {write} --language {language} --force"
    message, step = {
        CopyState.EDITED: (
            f"has been edited since version {copy.version} was copied",
            f"keep what you changed, then {again}",
        ),
        CopyState.NEWER: (
            f"is version {copy.version}, newer than the {copy.ours} of this deploylib",
            f"update deploylib, or {again}",
        ),
    }.get(copy.state, ("is somebody's own file, and no copy", f"name another folder; or replace it: {again}"))
    more = len(copy.diff) - SHOWN
    lines = (*copy.diff[:SHOWN], f"… and {count(more, 'line')} more") if more > 0 else copy.diff
    return SettingsError(f"{copy.path} {message}; it is left as it is", details=lines, remedy=step)
