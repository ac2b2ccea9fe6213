"""The files of a product: what every scanner goes through."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from deploylib.models import PathFilter
from deploylib.models.globs import matches

__all__ = ["list_files", "list_links"]

FOREIGN = frozenset({".git", "node_modules", "bower_components", "vendor", "site-packages", "__pycache__"})


def list_files(root: Path, ignored: Collection[str] = ()) -> tuple[str, ...]:
    """List the product's files under *root*, in order.

    What is linked is elsewhere; what is in git's folder, or in one of other people's code, is not the product's.
    """
    leave = PathFilter(paths=tuple(ignored))
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    names = (path.as_posix() for path in paths if FOREIGN.isdisjoint(path.parts[:-1]))
    return tuple(sorted(name for name in names if not (ignored and matches(name, leave))))


def list_links(root: Path, ignored: Collection[str] = ()) -> dict[str, bool]:
    """List the links under *root* that stand for a file.

    Each with whether that file is in the tree; one that leads nowhere, or in a circle, is listed as well.
    """
    leave, top = PathFilter(paths=tuple(ignored)), os.path.realpath(root)
    links = {}
    for path in root.rglob("*"):
        name = path.relative_to(root)
        if not path.is_symlink() or path.is_dir() or not FOREIGN.isdisjoint(name.parts[:-1]):
            continue
        if not (ignored and matches(name.as_posix(), leave)):
            inside = os.path.realpath(path).startswith(f"{top}{os.sep}")
            links[name.as_posix()] = inside and path.is_file()
    return links
