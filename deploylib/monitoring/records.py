"""A monitor wins its memory in the store before it tells.

States are numbered, ``monitor/<environment>/states/<n>.json``: the highest number counts, and n+1 is written by a put of which
one monitor wins. Who loses reads again. What is to be told stands in the state that was won, so that a monitor which dies between
winning and telling leaves it to the next, with the same id; ``told/<name>`` says that it was told, and a claim beside it, good
for a minute by the store's clock, that somebody is doing so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

import msgspec

from deploylib.errors import Unreachable
from deploylib.models import Moment, Value
from deploylib.models.alerts import Alert
from deploylib.monitoring.addresses import RequestSample
from deploylib.monitoring.drills import DrillRecord
from deploylib.monitoring.states import Standing
from deploylib.store import Damaged, Store, read_document
from deploylib.system import Clock

__all__ = ["MonitorRecords", "MonitorState", "Outgoing"]

KEEP = 20  # states: enough for one that reads while others write
TRIES = 20
PAUSE = 0.2  # seconds, at most, before another try
CLAIMED_FOR = 60.0
NUMBERED = re.compile(r"([0-9]{8,12})\.json")


class Outgoing(Value, frozen=True):
    """An alert that is to be told.

    Attributes:
        name: of this message; no two have the same.
    """

    name: str
    at: Moment
    alert: Alert


class MonitorState(Value, frozen=True):
    """Everything that monitors of one environment know together.

    Attributes:
        rounds: when the last rounds were, oldest first: by them a monitor knows its own punctuality.
        blind_since: since when nobody could see anything.
        standings: by the key of a reading.
        samples: of a window, by service.
        asked: when each service was asked last.
        outgoing: what was won, and may not have been told.
        drill: the last one.
    """

    rounds: tuple[Moment, ...] = ()
    blind_since: Moment | None = None
    standings: dict[str, Standing] = msgspec.field(default_factory=dict)
    samples: dict[str, tuple[RequestSample, ...]] = msgspec.field(default_factory=dict)
    asked: dict[str, Moment] = msgspec.field(default_factory=dict)
    outgoing: tuple[Outgoing, ...] = ()
    drill: DrillRecord = DrillRecord()


@dataclass(frozen=True)
class MonitorRecords:
    """The memory of the monitors of one environment."""

    store: Store
    environment: str
    clock: Clock

    def read(self) -> tuple[int, MonitorState]:
        """Read the newest state and its number; 0 before the first.

        Raises:
            Damaged: none of the newest can be read.
        """
        for _ in range(TRIES):
            numbers, troubles = self._numbers(), list[Damaged]()
            for number in reversed(numbers):
                try:
                    return numbers[-1], read_document(self.store, self._key(number), MonitorState)
                except Damaged as damaged:  # the one before it is as good: what it tells twice has the same id
                    troubles.append(damaged)
                except KeyError:  # others have written so much meanwhile that it was removed
                    break
            else:
                if troubles:
                    raise troubles[0]
                return 0, MonitorState()
        raise self._crowded()

    def change(self, move: Callable[[MonitorState], MonitorState]) -> MonitorState:
        """Win the next state.

        *move* is asked again of what another has won before.
        """
        for _ in range(TRIES):
            number, state = self.read()
            moved = move(state)
            if self.store.put_if_absent(self._key(number + 1), msgspec.json.encode(moved)):
                self._tidy(number + 1)
                return moved
            self.clock.sleep(SystemRandom().uniform(0, PAUSE))
        raise self._crowded()

    def claim(self, name: str) -> bool:
        """Take it on oneself to tell a message.

        False: it was told, or another is telling it.
        """
        folder = self._told(name)
        keys = list(self.store.list(folder))
        claims = [key for key in keys if "/claim-" in key]
        if f"{folder}done" in keys:
            return False
        try:
            if claims and abs(self.store.age(claims[-1])) < CLAIMED_FOR:  # or a clock was wrong when it was made
                return False
        except KeyError:  # who had it has told it just now
            return False
        return self.store.put_if_absent(f"{folder}claim-{len(claims) + 1:04d}", b"")

    def has_told(self, name: str) -> bool:
        """Tell whether a message was told."""
        return f"{self._told(name)}done" in set(self.store.list(self._told(name)))

    def settle(self, name: str) -> None:
        """Record that a message was told, or waits where it will be."""
        self.store.put_if_absent(f"{self._told(name)}done", b"")

    def forget(self, name: str) -> None:
        """Let others tell a message, that could not be told."""
        for key in self.store.list(f"{self._told(name)}claim-"):
            self.store.delete(key)

    def _numbers(self) -> list[int]:
        matches = (NUMBERED.fullmatch(key.rpartition("/")[2]) for key in self.store.list(f"{self._root}/states/"))
        return sorted(int(each[1]) for each in matches if each)

    def _tidy(self, number: int) -> None:
        for old in self._numbers():
            if old <= number - KEEP:
                self.store.delete(self._key(old))

    def _crowded(self) -> Unreachable:
        return Unreachable(
            f"other monitors of {self.environment!r} write all the time",
            remedy="see how many run: two, a minute apart, are enough",
        )

    @property
    def _root(self) -> str:
        return f"monitor/{self.environment}"

    def _key(self, number: int) -> str:
        return f"{self._root}/states/{number:08d}.json"

    def _told(self, name: str) -> str:
        return f"{self._root}/told/{name}/"
