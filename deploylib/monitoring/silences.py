"""A silence keeps alerts from being told until a moment.

One object each, ``monitor/<environment>/silences/<time>.json``, never changed; ``<time>.end`` beside it ends it early. What turned bad meanwhile and still is, is told at
its end; what was told before is told to have ended. A release that is under way silences what its own services can cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from deploylib.errors import SettingsError
from deploylib.models import Moment, Value
from deploylib.models.signals import Signal
from deploylib.monitoring.own_signals import check_signals
from deploylib.monitoring.readings import Reading
from deploylib.monitoring.states import LOUD, Quiet
from deploylib.state import RunState
from deploylib.store import Damaged, Store, read_document

__all__ = ["AlertSilence", "ReleaseSilence", "Silences", "find_release", "quieten"]

AFTER = timedelta(minutes=2)  # of a release: what it has caused is over by then, or is told
NAMED = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]+\.json")


class AlertSilence(Value, frozen=True):
    """A silence that a person asks for, for a while.

    Attributes:
        signals: only these; empty: all.
        subjects: only of these services or databases; empty: of all.
    """

    id: str
    at: Moment
    until: Moment
    reason: str
    author: str = ""
    signals: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    def covers(self, reading: Reading, now: datetime) -> bool:
        """Tell whether it is about this reading, now."""
        return (
            self.at <= now < self.until
            and (not self.signals or reading.signal in self.signals)
            and (not self.subjects or reading.subject in self.subjects)
        )


class SilenceEnd(Value, frozen=True):
    """Who has ended a silence early, and when."""

    at: Moment
    author: str


@dataclass(frozen=True)
class Silences:
    """The silences of an environment."""

    store: Store
    environment: str

    def read(self, now: datetime) -> tuple[AlertSilence, ...]:
        """Read those that last, oldest first.

        One that cannot be read silences nothing.
        """
        silences, keys = [], list(self.store.list(self._root))
        for key in keys:
            if not NAMED.fullmatch(key.removeprefix(self._root)) or f"{key.removesuffix('.json')}.end" in keys:
                continue
            try:
                silence = read_document(self.store, key, AlertSilence)
            except (KeyError, Damaged):
                continue
            if now < silence.until:
                silences.append(silence)
        return tuple(silences)

    def place(self, silence: AlertSilence) -> None:
        """Record one.

        Raises:
            SettingsError: it is about a signal that there is not.
        """
        known = [*(each for each in Signal if each is not Signal.BLIND), *check_signals()]
        if unknown := [name for name in silence.signals if name not in known]:
            raise SettingsError(f"there is no signal {unknown[0]!r}", remedy=f"one of: {', '.join(known)}")
        self.store.put_if_absent(f"{self._root}{silence.id}.json", msgspec.json.encode(silence))

    def end(self, silence: AlertSilence, author: str, now: datetime) -> None:
        """End one early."""
        end = SilenceEnd(at=now, author=author)
        self.store.put_if_absent(f"{self._root}{silence.id}.end", msgspec.json.encode(end))

    @property
    def _root(self) -> str:
        return f"monitor/{self.environment}/silences/"


@dataclass(frozen=True)
class ReleaseSilence:
    """A release that is under way, or has just ended.

    Attributes:
        services: what it has asked the platform to deploy.
    """

    run: str
    services: frozenset[str]


def find_release(runs: Iterable[RunState], now: datetime, deadline: float) -> ReleaseSilence | None:
    """Find the release that may be the cause.

    Args:
        runs: newest first.
        deadline: seconds after which one that has no end is not under way any more.
    """
    for state in runs:
        ended = state.last if state.report is not None else None
        until = (ended or state.at + timedelta(seconds=deadline)) + AFTER
        if now < until and (services := frozenset(state.intents) | frozenset(state.back_intents)):
            return ReleaseSilence(run=state.id, services=services)
    return None


def quieten(reading: Reading, silences: Iterable[AlertSilence], release: ReleaseSilence | None, now: datetime) -> Quiet:
    """Decide whether a reading is told, and names a release."""
    by_hand = any(silence.covers(reading, now) for silence in silences)
    mine = release is not None and (reading.service in release.services or reading.signal == Signal.CONNECTIONS)
    if release is not None and mine:
        return Quiet(silenced=True, run=release.run)
    return Quiet(silenced=True) if by_hand else LOUD
