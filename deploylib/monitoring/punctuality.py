"""A monitor learns how often it looks, and notices gaps.

Schedules come late, those of GitHub by hours. What is late is judged by the rounds before, not by what somebody has guessed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from deploylib.models.units import age

__all__ = ["KEPT_ROUNDS", "describe_rhythm", "find_gap", "note_round"]

KEPT_ROUNDS = 50
LEARNED = 10  # intervals below which nobody knows what is late
BLIND = 1.5  # times the usual: one round of those that could not see is missing
SHORTEST = 600.0  # seconds: a shorter absence is none


def note_round(rounds: Sequence[datetime], now: datetime) -> tuple[datetime, ...]:
    """Add a round to those that are remembered."""
    return tuple(sorted((*rounds, now))[-KEPT_ROUNDS:])


def find_gap(rounds: Sequence[datetime], now: datetime, blind_since: datetime | None = None) -> datetime | None:
    """Find since when nobody has seen anything.

    Only where that is longer than these rounds explain.

    Args:
        rounds: in which somebody saw.
        blind_since: a round has told that it could not see; then less is long, but another monitor's round between is none.

    Returns:
        the moment; None: somebody has looked as often as always.
    """
    intervals = _intervals(rounds)
    if len(intervals) < LEARNED:
        return blind_since
    longest = max(3 * _p95(intervals), 2 * median(intervals), SHORTEST)
    if blind_since is not None:
        longest = BLIND * _p95(intervals)
    return rounds[-1] if (now - rounds[-1]) > timedelta(seconds=longest) else None


def describe_rhythm(rounds: Sequence[datetime]) -> str:
    """Tell how often is looked; empty before that is known."""
    intervals = _intervals(rounds)
    if len(intervals) < LEARNED:
        return ""
    return f"a round every {age(median(intervals))}, 95 of 100 within {age(_p95(intervals))}"


def _intervals(rounds: Sequence[datetime]) -> list[float]:
    return [(later - earlier).total_seconds() for earlier, later in pairwise(rounds)]


def _p95(intervals: Sequence[float]) -> float:
    return sorted(intervals)[math.ceil(0.95 * len(intervals)) - 1]
