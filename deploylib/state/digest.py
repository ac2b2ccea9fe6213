"""The newest closed runs of an environment as one object.

A look at hundreds of them is one request.
``summaries/<environment>.json`` is only a cache: a closed run never changes, so that what is in it holds; what is not, since
two runs were closed at once or an older program closed one, is told by the listing and read again; and what cannot be read
is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec

from deploylib.errors import SettingsError, Unreachable
from deploylib.models.summaries import RunSummary
from deploylib.store import Damaged, Store, StoreRefused, read_document

__all__ = ["NEWEST", "add", "read", "write"]

NEWEST = 500  # runs: half a megabyte, and a year of ten a week


def read(store: Store, environment: str) -> dict[str, RunSummary]:
    """Read the summaries, by run; none where they cannot be read."""
    try:
        summaries = read_document(store, _key(environment), tuple[RunSummary, ...])
    except (KeyError, Damaged, StoreRefused):
        return {}
    return {each.id: each for each in summaries}


def write(store: Store, environment: str, summaries: Iterable[RunSummary]) -> None:
    """Write the newest `NEWEST` of them, where the store takes them."""
    newest = sorted(summaries, key=lambda each: (each.at, each.id))[-NEWEST:]
    with suppress(SettingsError, Unreachable):
        store.put(_key(environment), [msgspec.json.encode(newest)])


def add(store: Store, environment: str, summary: RunSummary) -> None:
    """Add a run that was closed just now."""
    with suppress(SettingsError, Unreachable):
        known: Mapping[str, RunSummary] = read(store, environment)
        write(store, environment, {**known, summary.id: summary}.values())


def _key(environment: str) -> str:
    return f"summaries/{environment}.json"
