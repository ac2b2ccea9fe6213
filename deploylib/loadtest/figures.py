"""What a measurement comes to: its figures, by path, and any standstill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from deploylib.loadtest.measurement import Measurement, Request
from deploylib.models import Value

__all__ = ["Figures", "PathFigures", "Stall", "count_by_latency", "find_stall", "find_undisturbed", "percentile"]

STANDS_STILL = 500.0  # milliseconds without any answer, while somebody waits for one
BLOCK, FEWEST_BLOCKS = 25, 4  # requests; blocks
BARS = 12
FACTOR = 2 ** (1 / 2)  # from one bar to the next


def percentile(ascending: Sequence[float], share: float) -> float:
    """Find the nearest-rank percentile; 0 where there are no values."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))] if ascending else 0.0


def find_undisturbed(requests: Iterable[Request], share: float) -> float:
    """Find a percentile of service times while no neighbour disturbs.

    Of good answers; 0: none was good. The lower quartile of that of each block of requests: a neighbour slows some blocks, a slower release all of them. From run
    to run it differs by 4 %, where the plain 95th percentile differs by 6 to 30 % (a machine with five times its load).
    """
    times = [each.service for each in sorted(requests, key=lambda each: each.at) if not each.error]
    size = BLOCK if len(times) >= FEWEST_BLOCKS * BLOCK else max(1, len(times))
    blocks = (sorted(times[start : start + size]) for start in range(0, len(times) - size + 1, size))
    return percentile(sorted(percentile(block, share) for block in blocks), 0.25)


class Stall(Value, frozen=True):
    """The longest time without any answer while requests waited.

    Attributes:
        at: seconds from the beginning.
        seconds: that it took.
        waiting: requests that were due before its end and had no answer.
    """

    at: float
    seconds: float
    waiting: int


class PathFigures(Value, frozen=True):
    """One name of the locustfile.

    Times in milliseconds from when a request was due.
    """

    name: str
    requests: int
    errors: int
    p50: float
    p95: float


class Figures(Value, frozen=True):
    """A whole run; times in milliseconds from when a request was due.

    Attributes:
        throughput: good answers a second.
        errors: how often each thing went wrong.
        typical: the server's own median, see `find_undisturbed`.
        tail: likewise the 95th percentile.
    """

    requests: int
    throughput: float
    p50: float
    p90: float
    p95: float
    p99: float
    longest: float
    typical: float
    tail: float
    error_rate: float = 0.0
    errors: dict[str, int] = msgspec.field(default_factory=dict)
    paths: tuple[PathFigures, ...] = ()
    stall: Stall | None = None

    @classmethod
    def of(cls, measured: Measurement) -> Figures:
        """Compute the figures of a measurement."""
        latencies = measured.latencies
        return cls(
            requests=len(measured.requests),
            throughput=round(measured.throughput, 1),
            p50=percentile(latencies, 0.5),
            p90=percentile(latencies, 0.9),
            p95=percentile(latencies, 0.95),
            p99=percentile(latencies, 0.99),
            longest=latencies[-1] if latencies else 0.0,
            typical=find_undisturbed(measured.requests, 0.5),
            tail=find_undisturbed(measured.requests, 0.95),
            error_rate=round(measured.error_rate, 5),
            errors=measured.errors,
            paths=tuple(_by_path(measured.requests)),
            stall=find_stall(measured.requests),
        )


def _by_path(requests: Iterable[Request]) -> Iterable[PathFigures]:
    named: dict[str, list[Request]] = {}
    for request in requests:
        named.setdefault(request.name, []).append(request)
    for name, those in sorted(named.items(), key=lambda item: -len(item[1])):
        times = sorted(each.latency for each in those)
        failed = sum(bool(each.error) for each in those)
        yield PathFigures(
            name=name, requests=len(those), errors=failed, p50=percentile(times, 0.5), p95=percentile(times, 0.95)
        )


def find_stall(requests: Sequence[Request]) -> Stall | None:
    """Find the longest time without any answer while something waited.

    None: there was none of half a second.
    """
    answers = sorted((each.at + each.latency, each.at) for each in requests)
    longest, before = (0.0, 0.0), 0.0
    due = sorted(each.at for each in requests)
    waited = 0
    for number, (answered, _) in enumerate(answers):
        while waited < len(due) and due[waited] <= before:
            waited += 1
        began = before if waited > number else due[number]  # else nobody waited until the next one was due
        longest = max(longest, (answered - began, began))
        before = answered
    took, began = longest
    if took < STANDS_STILL:
        return None
    waiting = sum(began < answered and at < began + took for answered, at in answers)
    return Stall(at=round(began / 1000, 1), seconds=round(took / 1000, 1), waiting=waiting)


def count_by_latency(latencies: Sequence[float]) -> list[tuple[float, int]]:
    """Count latencies in bars that grow by a factor.

    Of each the lower end in milliseconds, and how many; no bar without any. The whole range is shown: the slowest answer has its bar, however rare.
    """
    if not latencies:
        return []
    lower = max(latencies[0], 0.1)
    factor = max(FACTOR, (latencies[-1] / lower) ** (1 / BARS) * 1.0001) if latencies[-1] > lower else FACTOR
    bars: list[tuple[float, int]] = []
    left = list(latencies)
    while left:
        within = sum(1 for each in left if each < lower * factor)
        bars.append((lower, within))
        left, lower = left[within:], lower * factor
    return bars
