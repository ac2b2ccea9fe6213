"""Time."""

from __future__ import annotations

from datetime import timedelta

from deploylib.system import Clock, Deadline
from tests.support.fakes import FakeClock


def test_the_real_clock_is_aware_and_runs_forwards() -> None:
    """The time of day is in UTC; waiting a negative time is no error."""
    before = Clock().monotonic()
    Clock().sleep(-1)

    assert timedelta() == Clock().now().utcoffset()
    assert Clock().monotonic() >= before


def test_a_deadline_passes_when_its_time_is_over(clock: FakeClock) -> None:
    """At its very second, and what is left is never negative."""
    deadline = Deadline.after(10, clock)
    seen = []
    for _ in range(4):
        seen.append((deadline.left, deadline.has_passed()))
        clock.sleep(5)

    assert seen == [(10, False), (5, False), (0, True), (0, True)]
