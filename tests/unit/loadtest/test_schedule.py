"""When requests are due."""

from __future__ import annotations

import statistics
from itertools import pairwise

from deploylib.loadtest.schedule import plan_arrivals

WEIGHTS = {"Reader": 9.0, "Writer": 1.0}


def test_the_same_seed_makes_the_same_schedule() -> None:
    """Of moments, and of who arrives; another one makes another."""
    first = plan_arrivals(50, 20, 7, WEIGHTS)

    assert first == plan_arrivals(50, 20, 7, WEIGHTS)
    assert first != plan_arrivals(50, 20, 8, WEIGHTS)


def test_arrivals_are_a_poisson_process_of_the_rate() -> None:
    """As many as asked for, and the gaps are exponential: their deviation is their mean. Even spacing has none."""
    arrivals = plan_arrivals(100, 100, 1, WEIGHTS)
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(arrivals)]

    assert 9700 < len(arrivals) < 10300
    assert 0.0097 < statistics.mean(gaps) < 0.0103
    assert 0.95 < statistics.stdev(gaps) / statistics.mean(gaps) < 1.05
    assert all(0 <= moment < 100 for moment, _ in arrivals)


def test_users_arrive_by_their_weights() -> None:
    """Nine readers for each writer."""
    kinds = [kind for _, kind in plan_arrivals(100, 100, 3, WEIGHTS)]

    assert 0.88 < kinds.count("Reader") / len(kinds) < 0.92
