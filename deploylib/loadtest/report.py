"""A load test, and the trend of many, in lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from deploylib.loadtest.assessment import Assessment
from deploylib.loadtest.degradation import Conclusion
from deploylib.loadtest.drift import find_drift
from deploylib.loadtest.figures import Figures
from deploylib.loadtest.records import RecordedRun
from deploylib.models.units import count

__all__ = ["draw_trend", "tell_load_test"]

WIDTH = 40
PATHS = 8


def tell_load_test(assessment: Assessment) -> tuple[str, ...]:
    """Tell a load test: the conclusion, why, the figures, and a histogram."""
    ruling = assessment.ruling
    lines = [f"{ruling.conclusion}: {assessment.rate:g}/s for {assessment.seconds:g} s on {assessment.service}"]
    lines += ruling.why
    if ruling.conclusion is Conclusion.STEADY:
        lines += [each.text for each in ruling.compared]
    if ruling.conclusion is Conclusion.INVALID:
        lines.append("no verdict: what sends did not keep up; try a lower rate, or a machine with less to do")
    if assessment.figures is not None:
        lines += _figures(assessment.figures)
    if assessment.drift is not None:
        lines.append(assessment.drift.text)
    seeds = ", ".join(str(seed) for seed in assessment.seeds)
    lines.append(
        f"measured {'twice, because it looked slower; seeds' if len(assessment.seeds) > 1 else 'with seed'} {seeds}"
    )
    return (*lines, *_histogram(assessment.bars))


def _figures(figures: Figures) -> Iterator[str]:
    times = [("p50", figures.p50), ("p90", figures.p90), ("p95", figures.p95), ("p99", figures.p99)]
    told = " · ".join(f"{name} {value:.1f}" for name, value in times)
    yield f"{count(figures.requests, 'request')}, {figures.throughput:g}/s answered well: {told} · longest {figures.longest:.0f} ms"
    if figures.stall is not None:
        stall = figures.stall
        yield f"the server stood still for {stall.seconds:.1f} s, {stall.at:.1f} s after the beginning: {stall.waiting} requests waited"
    for kind, number in figures.errors.items():
        yield f"went wrong: {number} times {kind}"
    width = max((len(path.name) for path in figures.paths[:PATHS]), default=0)
    for path in figures.paths[:PATHS]:
        failed = f", {path.errors} failed" if path.errors else ""
        yield f"{path.name:<{width}}  {path.requests:>6}  p50 {path.p50:.1f} · p95 {path.p95:.1f} ms{failed}"


def _histogram(bars: Sequence[tuple[float, int]]) -> Iterator[str]:
    most = max((number for _, number in bars), default=0)
    for lower, number in bars:
        yield f"{lower:>8.1f} ms  {_bar(number, most)} {number}".rstrip()


def draw_trend(records: Iterable[RecordedRun]) -> list[str]:
    """Draw the typical times of one key, oldest first, and drift."""
    those = list(records)
    if not those:
        return ["no load test was recorded: inv loadtest"]
    most = max(each.figures.typical for each in those)
    lines = [
        f"{each.at:%Y-%m-%d %H:%M}  {each.commit[:7]:<7}  {each.figures.typical:>8.1f} ms  "
        f"p95 {each.figures.p95:>8.1f}  {_bar(each.figures.typical, most)}"
        for each in those
    ]
    drift = find_drift(those)
    return [*lines, drift.text if drift is not None else "no drift"]


def _bar(value: float, most: float) -> str:
    return "█" * max(value > 0, round(WIDTH * value / most)) if most else ""
