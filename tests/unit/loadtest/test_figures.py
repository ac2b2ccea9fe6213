"""What a measurement comes to."""

from __future__ import annotations

import msgspec
import pytest

from deploylib.loadtest.figures import Figures, count_by_latency, find_stall, find_undisturbed, percentile
from deploylib.loadtest.measurement import Measurement, Request
from tests.support.measurements import measured


def steady(number: int = 1000, time: float = 10.0) -> list[Request]:
    """One request each ten milliseconds, answered in time."""
    return [Request("newest", 10.0 * index, time, time) for index in range(number)]


def test_percentiles_are_values_that_were_measured() -> None:
    """The nearest one; none of nothing."""
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert percentile([1.0, 2.0], 0.99) == 2.0
    assert percentile([], 0.5) == 0.0


def test_a_server_that_stands_still_is_found() -> None:
    """All that was due in these two seconds is answered at their end."""
    frozen = [
        Request("newest", each.at, 5000.0 - each.at + 10, 10.0) if 3000 <= each.at < 5000 else each for each in steady()
    ]
    stall = find_stall(frozen)

    assert stall is not None
    assert 1.9 <= stall.seconds <= 2.1
    assert 2.9 <= stall.at <= 3.1
    assert 190 <= stall.waiting <= 202


def test_nobody_stands_still_where_nobody_asks() -> None:
    """A pause of the schedule is none of the server."""
    apart = [each for each in steady() if not 3000 <= each.at < 5000]

    assert find_stall(apart) is None
    assert find_stall(steady()) is None
    assert find_stall([]) is None


def test_a_neighbours_burst_does_not_change_the_typical_time() -> None:
    """A third of the run is three times as slow; the plain percentile is far off."""
    burst = [
        Request("newest", each.at, 3 * each.latency, 3 * each.service) if each.at < 3300 else each
        for each in measured().requests
    ]

    for share in (0.5, 0.95):
        assert find_undisturbed(burst, share) < 1.1 * find_undisturbed(measured().requests, share)
    assert percentile(sorted(each.service for each in burst), 0.95) > 2 * find_undisturbed(burst, 0.95)


@pytest.mark.parametrize("number", [3, 80, 1000])
def test_a_slower_release_changes_it(number: int) -> None:
    """By what it is slower, however few the requests are."""
    slower = find_undisturbed(measured(typical=39.0, number=number).requests, 0.5)

    assert slower == pytest.approx(1.3 * find_undisturbed(measured(number=number).requests, 0.5))


def test_a_slow_twentieth_of_the_requests_changes_the_tail_and_nothing_else() -> None:
    """Which a median does not see."""
    slow = [
        Request("newest", each.at, each.latency, each.service * (3 if index % 12 == 0 else 1))
        for index, each in enumerate(measured().requests)
    ]

    assert find_undisturbed(slow, 0.95) > 1.2 * find_undisturbed(measured().requests, 0.95)
    assert find_undisturbed(slow, 0.5) < 1.1 * find_undisturbed(measured().requests, 0.5)


def test_errors_are_counted_by_kind_and_path() -> None:
    """They are part of the latencies, and not of the good answers."""
    requests = (
        Request("newest", 0, 10, 10),
        Request("older", 10, 20, 20, "503"),
        Request("older", 20, 5000, 5000, "no answer"),
        Request("older", 30, 20, 20, "503"),
    )
    figures = Figures.of(Measurement(requests=requests, seconds=2))

    assert figures.errors == {"503": 2, "no answer": 1}
    assert figures.error_rate == 0.75
    assert figures.throughput == 0.5
    assert figures.longest == 5000
    assert [(path.name, path.requests, path.errors) for path in figures.paths] == [("older", 3, 3), ("newest", 1, 0)]


def test_the_histogram_shows_each_answer() -> None:
    """Also one that is a thousand times as slow, in few bars."""
    times = sorted([each.latency for each in measured().requests] + [30_000.0])
    bars = count_by_latency(times)

    assert sum(number for _, number in bars) == len(times)
    assert len(bars) <= 13
    assert bars[-1][1] == 1
    assert count_by_latency([]) == []
    assert count_by_latency([5.0, 5.0]) == [(5.0, 2)]


def test_nothing_comes_to_nothing() -> None:
    """A run without a request has figures all the same."""
    figures = Figures.of(Measurement())

    assert (figures.requests, figures.typical, figures.longest) == (0, 0.0, 0.0)
    assert msgspec.convert(msgspec.to_builtins(figures), Figures) == figures
