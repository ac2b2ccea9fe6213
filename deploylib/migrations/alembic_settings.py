"""Find alembic's scripts by ``alembic.ini``, ``pyproject.toml``, or both.

Since 1.16 alembic reads both, beside each other: what the ini says goes before (`Config.get_alembic_option` in its
source). ``%(here)s`` is the folder of the file in which it stands.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploylib.errors import SettingsError
from deploylib.models import decoding
from deploylib.settings import MigrationSettings

__all__ = ["INI", "TOML", "configures", "find_folder", "find_home", "find_scripts", "locate", "together"]

INI, TOML = "alembic.ini", "pyproject.toml"


def locate(chosen: MigrationSettings, files: Path) -> tuple[str, str]:
    """Find alembic's scripts in *files*: ``(script folder, ini or pyproject.toml)``.

    One of them is empty; both: there are no migrations.

    Raises:
        SettingsError: the settings name a place that the commit does not have.
    """
    for name, value in (("path", chosen.path), ("config", chosen.config)):
        if value and not (files / value).exists():
            raise SettingsError(
                f"migrations.{name} is {value!r}, which the commit does not have", remedy="correct it in the settings"
            )
    if chosen.config:
        return "", chosen.config
    file = next((name for name in (INI, TOML) if not chosen.path and configures(files / name)), "")
    if file or not (chosen.path or (files / "migrations" / "env.py").exists()):
        return "", file
    return chosen.path or "migrations", ""


def find_folder(chosen: MigrationSettings, files: Path) -> str:
    """Find the folder of the scripts, as the commit names it.

    Empty where files alone do not say.
    """
    path, ini = locate(chosen, files)
    if not ini:
        return posixpath.normpath(path) if path else ""
    location, elsewhere = find_scripts(files, ini)
    if not location or ":" in location or " " in location or elsewhere:
        return ""
    home = find_home(files, ini).relative_to(files)
    where = posixpath.normpath(location.replace("%(here)s", posixpath.dirname(ini) or "."))
    if "%(here)s" not in location:
        where = posixpath.normpath(posixpath.join(home.as_posix(), location))
    return "" if where in {".", ".."} or where.startswith(("../", "/")) else where


def find_home(files: Path, ini: str) -> Path:
    """Find the folder that alembic is run in.

    It is the ini's, which its relative paths are meant from, unless its scripts are not there.
    """
    if not ini:
        return files
    home, (location, _) = (files / ini).parent, find_scripts(files, ini)
    relative = location and not re.search(r"[%:\s]", location)
    return files if relative and not (home / location).exists() and (files / location).exists() else home


def configures(file: Path) -> bool:
    """Tell whether alembic finds its scripts by this file."""
    if file.name == TOML:
        return "script_location" in _table(file)
    return file.name == INI and file.is_file() and not _beside_the_ini(file)


def together(files: Path, name: str) -> tuple[str, str]:
    """Name the ini and the ``pyproject.toml`` that are read together.

    One of them is *name*; empty: there is none.
    """
    folder, last = posixpath.split(name)
    ini = posixpath.join(folder, INI) if last == TOML else name
    toml = posixpath.join(folder, TOML)
    return ini if (files / ini).is_file() else "", toml if _table(files / toml) else ""


def find_scripts(files: Path, name: str) -> tuple[str, bool]:
    """Read where the scripts are, and whether their revisions are elsewhere.

    As *name* and the file beside it say it.
    """
    options = [option for file in together(files, name) if file for option in _options(files / file)]
    written = dict(reversed(options))
    return written.get("script_location", ""), "version_locations" in written


def _beside_the_ini(file: Path) -> bool:
    """Tell whether an ini leaves the scripts to the ``pyproject.toml`` beside it."""
    return "script_location" in _table(file.with_name(TOML)) and "script_location" not in dict(_options(file))


def _options(file: Path) -> Iterator[tuple[str, str]]:
    if file.name == TOML:
        yield from ((key, str(value)) for key, value in _table(file).items())
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    yield from re.findall(r"(?m)^[ \t]*(script_location|version_locations)[ \t]*=[ \t]*(\S.*?)?[ \t]*$", text)


def _table(file: Path) -> dict[str, Any]:
    """Read ``[tool.alembic]`` of a file.

    One that cannot be read has none, as alembic itself will say.
    """
    try:
        tool = decoding.toml(file.read_bytes()).get("tool")
    except (OSError, decoding.Undecodable):
        return {}
    table = tool.get("alembic") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else {}
