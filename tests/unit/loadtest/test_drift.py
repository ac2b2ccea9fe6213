"""Slow drift, which no single release shows."""

from __future__ import annotations

import random

import msgspec

from deploylib.loadtest.degradation import Conclusion, Objectives, judge_run
from deploylib.loadtest.drift import find_drift
from tests.support.measurements import record


def test_ten_releases_of_three_percent_are_found() -> None:
    """None of which is a degradation by itself."""
    runs = [record(number, typical=30.0 * 1.03**number) for number in range(11)]
    drift = find_drift(runs)

    assert judge_run(runs[6].figures, runs[:6], Objectives()).conclusion is Conclusion.STEADY
    assert drift is not None
    assert drift.runs == 11
    assert 1.15 < drift.last / drift.first < 1.3
    assert "crept from" in drift.text


def test_they_are_found_after_many_that_did_not_change() -> None:
    """Thirty releases do not hide ten."""
    runs = [record(number, typical=30.0 * 1.03 ** max(0, number - 30)) for number in range(41)]

    assert find_drift(runs) is not None


def test_noise_is_no_drift() -> None:
    """Two hundred histories without any: hardly one of them is taken for one."""
    chance, one = random.Random(1), record(1)  # noqa: S311 - the same each time
    times = [[30 * chance.lognormvariate(0, 0.05) for _ in range(20)] for _ in range(200)]
    figures = [[msgspec.structs.replace(one.figures, typical=each) for each in run] for run in times]
    histories = [[msgspec.structs.replace(one, figures=each) for each in run] for run in figures]

    assert sum(find_drift(runs) is not None for runs in histories) <= 2


def test_getting_faster_is_no_drift_and_neither_are_few_runs() -> None:
    """It is only looked for upwards, and in ten runs at least."""
    assert find_drift([record(number, typical=30.0 / 1.03**number) for number in range(20)]) is None
    assert find_drift([record(number, typical=30.0 * 1.03**number) for number in range(9)]) is None
