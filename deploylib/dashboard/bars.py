"""The newest runs as bars, a part for each stage.

Below the line stands how long it took to recover from a failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log1p

from deploylib.models import StageName, Value
from deploylib.models.results import StageStatus
from deploylib.models.summaries import RunSummary
from deploylib.models.units import age

__all__ = ["Bar", "Chart", "Part", "draw"]

WIDTH, GAP = 14.0, 4.0
ABOVE, BELOW, ROOM = 150.0, 36.0, 18.0  # for bars, for recoveries, for the sign over a bar
OURS = frozenset(StageName)
SIGNS = {"succeeded": "✓", "": "…"}


class Part(Value, frozen=True):
    """A rectangle of a bar: a stage of its run."""

    kind: str
    y: float
    height: float
    title: str
    failed: bool = False


class Bar(Value, frozen=True):
    """A run as a bar.

    Attributes:
        sign: how it ended, for who sees no colour.
        recovery: height of the bar below the line; 0: there was nothing to recover from, or nobody knows how long it took.
    """

    x: float
    y: float
    sign: str
    title: str
    parts: tuple[Part, ...]
    recovery: float = 0.0
    failed: bool = False


class Chart(Value, frozen=True):
    """All bars, oldest first, and the size of the drawing."""

    width: float
    height: float
    line: float
    bars: tuple[Bar, ...]
    longest: str
    kinds: tuple[str, ...]


def draw(runs: Sequence[RunSummary], recovered: Mapping[str, float | None]) -> Chart:
    """Draw runs, which come newest first.

    Args:
        recovered: seconds until all was well again, by run.
    """
    longest = max((_seconds(run) for run in runs), default=0.0) or 1.0
    slowest = max((seconds or 0.0 for seconds in recovered.values()), default=0.0) or 1.0
    bars = []
    for place, run in enumerate(reversed(runs)):
        parts, y = [], ROOM + ABOVE
        for stage in run.stages:
            height = stage.seconds / longest * ABOVE
            y -= height
            failed = stage.status is StageStatus.FAILED
            title = f"{stage.stage}: {age(stage.seconds)}{', failed' if failed else ''}"
            kind = stage.stage if stage.stage in OURS else "other"
            if height or failed:
                shown = max(height, 2.0) if failed else height
                parts.append(Part(kind=kind, y=_round(y), height=_round(shown), title=title, failed=failed))
        seconds = recovered.get(run.id)
        bars.append(
            Bar(
                x=_round(place * (WIDTH + GAP)),
                y=_round(y),
                sign=SIGNS.get(run.outcome, "✗" if run.exit_code else "–"),
                title=_title(run, seconds),
                parts=tuple(parts),
                recovery=_round(log1p(seconds or 0.0) / log1p(slowest) * BELOW),
                failed=bool(run.exit_code),
            )
        )
    kinds = dict.fromkeys(part.kind for bar in bars for part in bar.parts)
    return Chart(
        width=max(1.0, len(bars) * (WIDTH + GAP)),
        height=ROOM + ABOVE + BELOW,
        line=ROOM + ABOVE,
        bars=tuple(bars),
        longest=age(longest),
        kinds=tuple(kind for kind in (*StageName, "other") if kind in kinds),
    )


def _seconds(run: RunSummary) -> float:
    return sum(stage.seconds for stage in run.stages)


def _title(run: RunSummary, recovered: float | None) -> str:
    back = f", recovered after {age(recovered)}" if recovered is not None else ""
    return f"{run.commit.short}: {run.outcome or 'still open'}, {age(_seconds(run))}{back}"


def _round(number: float) -> float:
    return round(number, 2)
