"""Ids, of which a person names a part.

The one that is meant, or a refusal that names all that could be.

The newest of several would be a guess, and a guess is what a rollback or a restore must not begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deploylib.errors import SettingsError

__all__ = ["ambiguous", "find_id"]

SHOWN = 10


def find_id(text: str, ids: Iterable[str], *, kind: str, short: Callable[[str], str]) -> str | None:
    """Find the id that *text* is, abbreviates or ends.

    None: there is none.

    Args:
        kind: of thing, in words.
        short: the form in which we print an id.

    Raises:
        SettingsError: by the same measure there are several.
    """
    every = list(dict.fromkeys(ids))
    for hits in (
        [one for one in every if one == text],
        [one for one in every if short(one) == text],
        [one for one in every if text and one.endswith(text)],
    ):
        if len(hits) > 1:
            raise ambiguous(text, hits, kind=kind)
        if hits:
            return hits[0]
    return None


def ambiguous(text: str, hits: Iterable[str], *, kind: str) -> SettingsError:
    """Make the error of a short name that several ids bear."""
    names = list(hits)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return SettingsError(
        f"{text!r} may be any of {len(names)} {kind}s: {', '.join(names[:SHOWN])}{more}",
        remedy=f"the same with more of the id: {names[0]}",
    )
