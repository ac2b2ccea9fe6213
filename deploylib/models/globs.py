"""Globs by Render's rules: which files a filter names."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

from deploylib.models.services import PathFilter

__all__ = ["matches", "reaches", "within"]


def within(folder: str) -> PathFilter:
    """List every file in *folder*, as ``rootDir`` names it.

    All there are where that is the repository's root.
    """
    path = posixpath.normpath(f"/{folder}").strip("/")
    return PathFilter(paths=(f"{path}/**",) if path else ())


def matches(path: str, chosen: PathFilter) -> bool:
    """Tell whether a filter includes *path*, and does not ignore it.

    Render's rules (its page on monorepos): no paths means everything; ignored paths win; ``*`` and ``?`` stop at a
    slash, ``**`` spans folders and may be none of them.
    """
    if any(_glob(pattern).fullmatch(path) for pattern in chosen.ignored):
        return False
    return not chosen.paths or any(_glob(pattern).fullmatch(path) for pattern in chosen.paths)


def reaches(folder: str, chosen: PathFilter) -> bool:
    """Tell whether a file in *folder* may belong to a service.

    Nobody has looked which files there are.
    """
    if any(_covers(pattern, folder) for pattern in chosen.ignored):
        return False
    return not chosen.paths or any(_may_match_in(pattern, folder) for pattern in chosen.paths)


def _covers(pattern: str, folder: str) -> bool:
    """Tell whether everything in *folder* matches, at any depth."""
    return all(_glob(pattern).fullmatch(f"{folder}/{name}") for name in ("\1", "\1/\1"))


def _may_match_in(pattern: str, folder: str) -> bool:
    wanted, parts = _plain(pattern).split("/"), folder.split("/")
    for number, part in enumerate(wanted):
        if "**" in part or number == len(parts):
            return True
        if not _glob(part).fullmatch(parts[number]):
            return False
    return len(wanted) == len(parts)  # it names the folder itself


def _plain(pattern: str) -> str:
    return pattern.removeprefix("./").lstrip("/")


@lru_cache(maxsize=512)
def _glob(pattern: str) -> re.Pattern[str]:
    parts, rest = [], _plain(pattern)
    while rest:
        if rest.startswith("**/"):
            parts.append("(?:[^/]+/)*")
            rest = rest[3:]
        elif rest.startswith("**"):
            parts.append(".*")
            rest = rest[2:]
        elif rest[0] == "*":
            parts.append("[^/]*")
            rest = rest[1:]
        elif rest[0] == "?":
            parts.append("[^/]")
            rest = rest[1:]
        elif rest[0] == "[" and (end := rest.find("]", 1)) > 0:
            parts.append(_set(rest[1:end]))
            rest = rest[end + 1 :]
        else:
            parts.append(re.escape(rest[0]))
            rest = rest[1:]
    return re.compile("".join(parts), re.DOTALL)


def _set(inner: str) -> str:
    """Translate a set such as ``[^abc]`` or ``[a-z]``, never a slash.

    What is no set of characters stands for itself.
    """
    negated = "^" if inner.startswith("^") else ""
    members = re.sub(r"([^0-9A-Za-z-])", r"\\\1", inner.removeprefix("^")).replace("--", r"-\-")  # no set operation
    pattern = f"(?!/)[{negated}{members}]"
    try:
        re.compile(pattern)
    except re.error:
        return re.escape(f"[{inner}]")
    return pattern
