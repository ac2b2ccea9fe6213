"""A load test, and the trend of many, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deploylib.loadtest.degradation import Conclusion, Ruling
from deploylib.loadtest.drift import Drift, find_drift
from deploylib.loadtest.figures import Figures
from deploylib.loadtest.measurement import Workload
from deploylib.loadtest.records import RecordedRun, Subject
from deploylib.models import Value
from deploylib.models.units import count

__all__ = ["Assessment", "Trend"]

WIDTH = 40
PATHS = 8


class Assessment(Value, frozen=True):
    """The assessment of a release by a load test.

    Attributes:
        ruling: of the last measurement, in the light of the first one where there were two.
        seeds: of the schedules that were sent.
        bars: latencies, as `count_by_latency` counts them.
        unkept: why no later one is compared with it.
    """

    subject: Subject
    workload: Workload
    ruling: Ruling
    seeds: tuple[int, ...]
    figures: Figures
    bars: tuple[tuple[float, int], ...] = ()
    drift: Drift | None = None
    unkept: str = ""

    @property
    def is_degraded(self) -> bool:
        """Whether the release is slower, or misses an objective."""
        return self.ruling.conclusion is Conclusion.DEGRADED

    @property
    def is_invalid(self) -> bool:
        """Whether the instrument did not keep up, so that it says nothing."""
        return self.ruling.conclusion is Conclusion.INVALID

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines for people: the conclusion, why, the figures, a histogram."""
        ruling, load = self.ruling, self.workload
        lines = [f"{ruling.conclusion}: {load.rate:g}/s for {load.seconds:g} s on {self.subject.service}", *ruling.why]
        if ruling.conclusion is Conclusion.STEADY:
            lines += [each.text for each in ruling.compared]
        if self.is_invalid:
            lines.append("so it says nothing of the release")
        lines += _figures(self.figures)
        if self.drift is not None:
            lines.append(self.drift.text)
        times = {1: "seed", 2: "measured twice, because it looked worse; seeds"}
        how = times.get(len(self.seeds), f"measured {len(self.seeds)} times, because it looked worse; seeds")
        lines.append(f"{how} {', '.join(str(seed) for seed in self.seeds)}")
        if self.unkept:
            lines.append(f"no later run is compared with this one, which could not be kept: {self.unkept}")
        return (*lines, *_histogram(self.bars))


class Trend(Value, frozen=True):
    """The load tests like the last one, oldest first."""

    runs: tuple[RecordedRun, ...]
    drift: Drift | None = None

    @classmethod
    def of(cls, runs: tuple[RecordedRun, ...]) -> Trend:
        """Look for drift in load tests."""
        return cls(runs=runs, drift=find_drift(runs))

    @property
    def lines(self) -> tuple[str, ...]:
        """A line and a bar for each run, and what has drifted."""
        if not self.runs:
            return ("no load test was recorded: inv loadtest",)
        most = max(each.figures.typical for each in self.runs)
        lines = [
            f"{each.at:%Y-%m-%d %H:%M}  {each.commit[:7]:<7}  {each.figures.typical:>8.1f} ms  "
            f"p95 {each.figures.p95:>8.1f}  {_bar(each.figures.typical, most)}"
            for each in self.runs
        ]
        return (*lines, self.drift.text if self.drift is not None else "no drift")


def _figures(figures: Figures) -> Iterator[str]:
    times = [("p50", figures.p50), ("p90", figures.p90), ("p95", figures.p95), ("p99", figures.p99)]
    percentiles = " · ".join(f"{name} {value:.1f}" for name, value in times)
    yield f"{count(figures.requests, 'request')}, {figures.throughput:g}/s answered well: {percentiles} · longest {figures.longest:.0f} ms"
    if figures.stall is not None:
        stall = figures.stall
        yield f"the server stood still for {stall.seconds:.1f} s, {stall.at:.1f} s after the beginning: {count(stall.waiting, 'request')} waited"
    for kind, number in figures.errors.items():
        yield f"went wrong: {count(number, 'time')} {kind}"
    width = max((len(path.name) for path in figures.paths[:PATHS]), default=0)
    for path in figures.paths[:PATHS]:
        failed = f", {path.errors} failed" if path.errors else ""
        yield f"{path.name:<{width}}  {path.requests:>6}  p50 {path.p50:.1f} · p95 {path.p95:.1f} ms{failed}"


def _histogram(bars: Sequence[tuple[float, int]]) -> Iterator[str]:
    most = max((number for _, number in bars), default=0)
    for lower, number in bars:
        yield f"{lower:>8.1f} ms  {_bar(number, most)} {number}".rstrip()


def _bar(value: float, most: float) -> str:
    return "█" * max(value > 0, round(WIDTH * value / most)) if most else ""
