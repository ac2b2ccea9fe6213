"""The format of a store.

Two versions of this library may use one, from a laptop and in CI.

Whoever writes first names the format by a key, ``format/<number>-<lowest version that knows it>``; the object is empty, so
that no damage of it can lock anybody out. A program that does not know a format refuses, because it would read less than is
there, and take that for everything. A store from before has no such key, and is of the first format.
"""

from __future__ import annotations

import re

from deploylib.errors import SettingsError
from deploylib.store.interface import CONDITIONAL, Store

__all__ = ["FORMAT", "is_known_conditional", "require", "write_format"]

FORMAT = 1  # one more for each change after which an older program would misread what is stored
NEEDS = "0.1.0"  # the lowest version that knows it
KEY = re.compile(r"format/(\d{1,9})-(\d[0-9A-Za-z.]*)")


def require(store: Store) -> None:
    """Refuse a store that a newer version has written.

    Raises:
        SettingsError: which version to install.
        Unreachable: the store did not answer.
    """
    named = [(int(match[1]), match[2]) for key in store.list("format/") if (match := KEY.fullmatch(key))]
    newest, needs = max(named, default=(FORMAT, NEEDS))
    if newest > FORMAT:
        raise SettingsError(
            f"the store is of format {newest}, and this version of deploylib knows only {FORMAT}",
            remedy=f"install deploylib {needs} or newer, the version that the others here use",
        )


def write_format(store: Store) -> None:
    """Name the format, unless it is named."""
    store.put_if_absent(f"format/{FORMAT}-{NEEDS}", b"")


def is_known_conditional(store: Store) -> bool:
    """Tell whether the store was seen to refuse a key's second write.

    Nothing is changed: what is written again is the name of the format, an empty object that is there already. False where
    it is not there, because nobody has written yet.

    Raises:
        SettingsError: the store does not refuse it.
        Unreachable: the store did not answer, or does not let us write.
    """
    name = f"format/{FORMAT}-{NEEDS}"
    if name not in set(store.list("format/")):
        return False
    if store.put_if_absent(name, b""):
        text = "the store ignores conditional writes, so it cannot keep two deploys apart"
        raise SettingsError(text, remedy=CONDITIONAL)
    return True
