"""Slow drift, which no single release shows: ten of 3 % each.

Mann and Kendall's test says whether it goes up at all; how far, the medians of the first and the last five. Otava, which
finds change points, warns itself of the newest point, and needs numpy, scipy and a cloud's client.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import median

from deploylib.loadtest.records import RecordedRun
from deploylib.models import Value

__all__ = ["LOOK_BACK", "Drift", "find_drift"]

LOOK_BACK = 40  # runs
FEWEST_RUNS, ENDS = 10, 5
RISE = 0.10
SURE = 2.5  # standard deviations of the test, one-sided: one in 160 without any drift, of which not all rise so far


class Drift(Value, frozen=True):
    """A slow-down over several runs; typical times in milliseconds."""

    runs: int
    first: float
    last: float

    @property
    def text(self) -> str:
        """The drift in words."""
        rise = self.last / self.first - 1
        return f"typical time crept from {self.first:.1f} to {self.last:.1f} ms over {self.runs} runs ({rise:+.0%})"


def find_drift(records: Sequence[RecordedRun]) -> Drift | None:
    """Look back over records of one key, oldest first.

    None: nothing can be said to have become slower.
    """
    times = [each.figures.typical for each in records[-LOOK_BACK:] if each.figures.typical]
    number = len(times)
    if number < FEWEST_RUNS:
        return None
    score = sum((later > sooner) - (later < sooner) for sooner, later in combinations(times, 2))
    deviation = math.sqrt(number * (number - 1) * (2 * number + 5) / 18)
    first, last = median(times[:ENDS]), median(times[-ENDS:])
    if score - 1 < SURE * deviation or last < first * (1 + RISE):
        return None
    return Drift(runs=number, first=first, last=last)
