"""The schedule: when requests are due.

A Poisson process, as visitors are who know nothing of each other. Even spacing would hide queues, and a user who waits for the last answer hides a server that stands still. The same seed
makes the same schedule, also of who arrives.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

__all__ = ["Arrival", "plan_arrivals"]

Arrival = tuple[float, str]  # seconds from the beginning; the kind of user


def plan_arrivals(rate: float, seconds: float, seed: int, weights: Mapping[str, float]) -> list[Arrival]:
    """Plan who arrives when.

    Args:
        rate: arrivals a second, on average.
        seconds: that the schedule is long.
        seed: of the same schedule again.
        weights: of each kind of user, as locust has them.
    """
    chance = random.Random(seed)  # noqa: S311 - a schedule is no secret
    kinds, shares = list(weights), list(weights.values())
    moment, arrivals = chance.expovariate(rate), list[Arrival]()
    while moment < seconds:
        arrivals.append((moment, chance.choices(kinds, shares)[0]))
        moment += chance.expovariate(rate)
    return arrivals
