"""Globs by Render's rules: which files a filter names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from deploylib.models.services import PathFilter

__all__ = ["matches", "reaches", "within"]

FOLDERS, SPAN, STAR, ANY = "**/", "**", "*/", "?/"  # a step that is no single character is longer than one
WILD = {"*": STAR, "?": ANY}


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
    if any(_glob(pattern).matches(path) for pattern in chosen.ignored):
        return False
    return not chosen.paths or any(_glob(pattern).matches(path) for pattern in chosen.paths)


def reaches(folder: str, chosen: PathFilter) -> bool:
    """Tell whether a file in *folder* may belong to a service.

    Nobody has looked which files there are.
    """
    if any(_covers(pattern, folder) for pattern in chosen.ignored):
        return False
    return not chosen.paths or any(_may_match_in(pattern, folder) for pattern in chosen.paths)


def _covers(pattern: str, folder: str) -> bool:
    """Tell whether everything in *folder* matches, at any depth."""
    return all(_glob(pattern).matches(f"{folder}/{name}") for name in ("\1", "\1/\1"))


def _may_match_in(pattern: str, folder: str) -> bool:
    wanted, parts = _plain(pattern).split("/"), folder.split("/")
    for number, part in enumerate(wanted):
        if "**" in part or number == len(parts):
            return True
        if not _glob(part).matches(parts[number]):
            return False
    return len(wanted) == len(parts)  # it names the folder itself


def _plain(pattern: str) -> str:
    return pattern.removeprefix("./").lstrip("/")


@dataclass(frozen=True, slots=True)
class _Glob:
    """A pattern: how it begins and ends, and what is between.

    A home-made mechanism. A regular expression tries every way to share a path among the wildcards: of
    ``**a**a**a**a**a**a**a**z`` for hours, and a Blueprint is anybody's who opens a pull request. ``re2`` is a package in
    C++. Here each step is taken from all places of the path at once, so that the work grows with the length of
    the pattern and that of the path, and no more.
    """

    begins: str
    between: tuple[str, ...]
    ends: str

    def matches(self, path: str) -> bool:
        """Tell whether the whole of *path* is of this pattern."""
        if not self.between:
            return path == self.begins
        if not path.startswith(self.begins) or not path.endswith(self.ends):
            return False
        left = len(path) - len(self.begins) - len(self.ends)
        return left >= 0 and _follow(self.between, path[len(self.begins) : len(self.begins) + left])


def _follow(steps: tuple[str, ...], path: str) -> bool:
    """Take all steps, from every place of the path at once.

    Places are the bits of a number: bit n is set where what was taken until now may be the first n characters.
    """
    end = 1 << len(path)
    known: dict[str, int] = {}

    def where(step: str) -> int:
        """Mark the characters that this step takes."""
        if step not in known:
            fit = _single(step)
            taken = {character for character in set(path) if fit(character)}
            known[step] = int("".join("1" if one in taken else "0" for one in reversed(path)) or "0", 2)
        return known[step]

    places = 1
    for step in steps:
        if step == SPAN:
            places = (2 * end - 1) & ~((places & -places) - 1)
        elif step == STAR:
            places = _spread(places, where(ANY))
        elif step == FOLDERS:
            inner, ended = where(ANY), where("/") << 1
            within_folders = inner | (where("/") & (inner << 1))  # a folder has a name: two slashes are none
            places |= _spread(places & inner, within_folders) & ended
        else:
            places = (places & where(step)) << 1
        if not places:
            return False
    return bool(places & end)


def _spread(places: int, over: int) -> int:
    """Go on from *places* while *over* is marked.

    A carry of an addition runs through all that are marked, as in Myers' matching of strings (1999).
    """
    return (((places & over) + over) ^ over) | places


def _single(step: str) -> Callable[[str], object]:
    """Tell what one character must be."""
    if step == ANY:
        return lambda character: character != "/"
    if len(step) > 1:
        return re.compile(f"(?!/){step}").fullmatch
    return lambda character: character == step


@lru_cache(maxsize=512)
def _glob(pattern: str) -> _Glob:
    steps = _steps(_plain(pattern))
    wild = [number for number, step in enumerate(steps) if len(step) > 1]
    if not wild:
        return _Glob("".join(steps), (), "")
    first, last = wild[0], wild[-1]
    return _Glob("".join(steps[:first]), tuple(steps[first : last + 1]), "".join(steps[last + 1 :]))


def _steps(text: str) -> list[str]:
    """Take a pattern apart: wildcards, sets, and single characters.

    What is single is one character long, and nothing else is.
    """
    steps: list[str] = []
    at, closing = 0, text.rfind("]")
    while at < len(text):
        wildcard = next((one for one in (FOLDERS, SPAN) if text.startswith(one, at)), None)
        if wildcard:
            at += len(wildcard)
        elif text[at] in WILD:
            wildcard = WILD[text[at]]
            at += 1
        elif text[at] == "[" and at < closing:
            end = text.index("]", at)
            members = _set(text[at + 1 : end])
            steps += [members] if members else text[at : end + 1]
            at = end + 1
        else:
            steps.append(text[at])
            at += 1
        if wildcard and not (steps and steps[-1] == wildcard != ANY):  # a run of them takes no more than one
            steps.append(wildcard)
    return steps


def _set(inner: str) -> str:
    """Translate a set such as ``[^abc]`` or ``[a-z]``; empty: it is none.

    What is no set of characters stands for itself.
    """
    negated = "^" if inner.startswith("^") else ""
    members = re.sub(r"([^0-9A-Za-z-])", r"\\\1", inner.removeprefix("^")).replace("--", r"-\-")  # no set operation
    pattern = f"[{negated}{members}]"
    try:
        re.compile(pattern)
    except re.error:
        return ""
    return pattern
