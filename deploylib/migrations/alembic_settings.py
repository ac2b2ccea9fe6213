"""Where alembic is told its scripts are: by an ``alembic.ini``, by ``[tool.alembic]`` of a ``pyproject.toml``, or by both.

Since 1.16 alembic reads both, beside each other: what the ini says goes before (`Config.get_alembic_option` in its
source). ``%(here)s`` is the folder of the file in which it stands.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploylib.models import decoding

__all__ = ["INI", "TOML", "configures", "scripts", "together"]

INI, TOML = "alembic.ini", "pyproject.toml"


def configures(file: Path) -> bool:
    """Whether a file is one by which alembic finds its scripts, of those that it looks for."""
    if file.name == TOML:
        return "script_location" in _table(file)
    return file.name == INI and file.is_file() and not _beside_the_ini(file)


def together(files: Path, name: str) -> tuple[str, str]:
    """The ini and the ``pyproject.toml`` that are read beside each other, where *name* is one; empty: there is none."""
    folder, last = posixpath.split(name)
    ini = posixpath.join(folder, INI) if last == TOML else name
    toml = posixpath.join(folder, TOML)
    return ini if (files / ini).is_file() else "", toml if _table(files / toml) else ""


def scripts(files: Path, name: str) -> tuple[str, bool]:
    """Where the scripts are as *name* and what is beside it say, as written; and whether their revisions are elsewhere."""
    options = [option for file in together(files, name) if file for option in _options(files / file)]
    told = dict(reversed(options))
    return told.get("script_location", ""), "version_locations" in told


def _beside_the_ini(file: Path) -> bool:
    """Whether an ini leaves the scripts to the ``pyproject.toml`` beside it."""
    return "script_location" in _table(file.with_name(TOML)) and "script_location" not in dict(_options(file))


def _options(file: Path) -> Iterator[tuple[str, str]]:
    if file.name == TOML:
        yield from ((key, str(value)) for key, value in _table(file).items())
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    yield from re.findall(r"(?m)^[ \t]*(script_location|version_locations)[ \t]*=[ \t]*(\S.*?)?[ \t]*$", text)


def _table(file: Path) -> dict[str, Any]:
    """``[tool.alembic]`` of a file; one that cannot be read has none, as alembic itself will say."""
    try:
        tool = decoding.toml(file.read_bytes()).get("tool")
    except (OSError, decoding.Undecodable):
        return {}
    found = tool.get("alembic") if isinstance(tool, dict) else None
    return found if isinstance(found, dict) else {}
