"""The edge to time.

Nothing else in the library reads a clock or sleeps.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Clock", "Deadline"]


class Clock:
    """The real clock.

    A test gives one of its own in its place.
    """

    def now(self) -> datetime:
        """Read the time of day, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Count seconds that never run backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        time.sleep(max(0.0, seconds))


_REAL = Clock()


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
    def after(cls, seconds: float, clock: Clock = _REAL) -> Deadline:
        """Make the deadline *seconds* from now."""
        return cls(clock.monotonic() + seconds, clock)

    @property
    def left(self) -> float:
        """Count the seconds left, never negative."""
        return max(0.0, self.at - self.clock.monotonic())

    def has_passed(self) -> bool:
        """Tell whether it is too late."""
        return self.clock.monotonic() >= self.at
