"""The format of a store: two versions of this library may use one, from a laptop and in CI.

The first write names the format, ``format.json``. A program that does not know a format refuses, because it would read less
than is there, and take that for everything. A store from before has no such object, and is of the first format.
"""

from __future__ import annotations

import msgspec

from deploylib.errors import SettingsError
from deploylib.models import Value
from deploylib.store import Damaged, Store, document

__all__ = ["FORMAT", "Format", "require", "write"]

KEY = "format.json"
FORMAT = 1  # one more for each change after which an older program would misread what is stored


class Format(Value, frozen=True):
    """What a store is written in.

    Attributes:
        format: its number.
        needs: the lowest version of this library that knows it.
    """

    format: int
    needs: str


def require(store: Store) -> None:
    """Refuse a store that a newer version has written.

    Raises:
        SettingsError: which version to install.
        Damaged: its format cannot be read.
    """
    try:
        found = document(
            store, KEY, Format, cure=f"see which version of deploylib writes here, then remove {KEY}: it is made anew"
        )
    except KeyError:
        return
    if found.format > FORMAT:
        raise SettingsError(
            f"the store is of format {found.format}, and this version of deploylib knows only {FORMAT}",
            remedy=f"pip install 'deploylib>={found.needs}', the version that the others here use",
        )
    if found.format < 1:
        raise Damaged(KEY, f"there is no format {found.format}")


def write(store: Store) -> None:
    """Name the format, unless it is named."""
    store.put_if_absent(KEY, msgspec.json.encode(Format(format=FORMAT, needs="0.1.0")))
