"""Name the packages of our extras, for a remedy to type.

It is read from what we were installed with.

``pip install 'deploylib[s3]'`` would ask an index for deploylib, which may have come from a wheel or a clone; the
packages of an extra are on every index.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from importlib import metadata

__all__ = ["install_command", "is_installed", "missing_packages"]

OURS = "deploylib"
# https://packaging.python.org/en/latest/specifications/dependency-specifiers/, as far as hatchling writes it
REQUIREMENT = re.compile(r"(?P<asked>(?P<name>[A-Za-z0-9][\w.-]*)[^;]*?)\s*;\s*(?P<marker>.*)")
BEFORE = re.compile(r"python_version < '3\.(\d+)'")


def install_command(extra: str) -> str:
    """Write the command that installs what an extra lacks here.

    All of it where every package is there, and yet does not work.
    """
    wanted = missing_packages(extra) or tuple(_brought(extra))
    return (
        shlex.join(["pip", "install", *wanted])
        if wanted
        else f"install deploylib with its extra {extra}, from where it came"
    )


def missing_packages(extra: str) -> tuple[str, ...]:
    """List the packages of an extra that are not installed."""
    return tuple(asked for asked, name in _brought(extra).items() if not is_installed(name))


def _brought(extra: str) -> dict[str, str]:
    """List the requirements of an extra for this Python.

    Each with the package's name; none where we are not installed.
    """
    return {match["asked"]: match["name"] for match in _requirements() if _is_of(match["marker"], extra)}


def _requirements() -> Iterator[re.Match[str]]:
    try:
        written = metadata.requires(OURS) or []
    except metadata.PackageNotFoundError:
        return
    for line in written:
        if match := REQUIREMENT.fullmatch(line):
            yield match


def _is_of(marker: str, extra: str) -> bool:
    before = BEFORE.search(marker)
    return f"extra == '{extra}'" in marker and (before is None or sys.version_info < (3, int(before[1])))


def is_installed(name: str) -> bool:
    """Tell whether a package is installed here."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
