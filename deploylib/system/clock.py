"""The edge to time: nothing else in the library reads a clock or sleeps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["SYSTEM", "Clock", "Deadline", "SystemClock"]


class Clock(Protocol):
    """What the library needs of time."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        ...


class SystemClock:
    """The real clock."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        time.sleep(max(0.0, seconds))


SYSTEM: Clock = SystemClock()


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which waiting ends.

    Attributes:
        at: the monotonic second at which it passes.
        clock: the clock it is read on.
    """

    at: float
    clock: Clock

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> Deadline:
        """The deadline *seconds* from now."""
        return cls(clock.monotonic() + seconds, clock)

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock.monotonic())

    def passed(self) -> bool:
        """Whether it is too late."""
        return self.clock.monotonic() >= self.at
