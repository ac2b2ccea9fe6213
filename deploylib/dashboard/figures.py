"""The four figures of software delivery, and what each of them counts.

Each tells the runs that it counts, and those that it leaves out with the reason.
The words are DORA's (dora.dev): deployment frequency, lead time for changes, change failure rate, failed deployment recovery
time. What others guess from a list of deploys is recorded here: put back, gone back from, superseded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from statistics import median

from deploylib.errors import ForeignDeploy
from deploylib.models import Value
from deploylib.models.results import SUPERSEDED
from deploylib.models.summaries import RunSummary
from deploylib.models.units import age, count

__all__ = ["FEWEST", "WINDOW", "Ancestry", "Counted", "Fate", "Figure", "LeftOut", "figures", "judge_failures"]

WINDOW = timedelta(days=90)
FEWEST = 10  # of what is counted: a figure of fewer says more of chance than of the team
WEEK = timedelta(weeks=1)

Ancestry = Mapping[str, tuple[datetime, tuple[str, ...]]]
"""When each commit was committed, and its parents."""


class Counted(Value, frozen=True):
    """A run that a figure counts, and what it adds to it."""

    run: str
    text: str


class LeftOut(Value, frozen=True):
    """A run that a figure leaves out, and why."""

    run: str
    reason: str


class Figure(Value, frozen=True):
    """One of the four figures.

    Attributes:
        value: a week, seconds, or a share of one; None: too few are counted, or nobody could look.
        text: it in words.
    """

    name: str
    text: str
    value: float | None = None
    counted: tuple[Counted, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def figures(runs: Sequence[RunSummary], ancestry: Ancestry | None, now: datetime) -> tuple[Figure, ...]:
    """Measure what the runs of the last `WINDOW` came to.

    Args:
        runs: newest first; older ones tell what had been released by then.
        ancestry: of their commits; None: there is no clone here, or its history is cut off.
    """
    recent = list(takewhile(lambda run: now - run.at <= WINDOW, runs))
    return (_frequency(recent, now), _lead_time(runs, recent, ancestry), *_failures(runs, recent))


def _frequency(recent: Sequence[RunSummary], now: datetime) -> Figure:
    counted = [Counted(run=run.id, text=f"{run.ended:%Y-%m-%d}") for run in recent if _why_no_release(run) == ""]
    left = _left_out(recent, _why_no_release)
    name, text, value = "Deployment frequency", _too_few(len(counted), "release"), None
    if not text:
        value = len(counted) / (max(now - recent[-1].at, WEEK) / WEEK)
        text = f"{value:.1f} a week"
    return Figure(name=name, text=text, value=value, counted=tuple(counted), left_out=left)


def _why_no_release(run: RunSummary) -> str:
    """Tell why a run is no release; empty: it is one."""
    if not run.outcome:
        return "still open"
    if run.back:
        return "a rollback"
    if run.outcome == SUPERSEDED:
        return "superseded by a newer release"
    if not run.shipped:
        return "stopped before anything went live" if run.exit_code else "nothing to deploy"
    return "" if run.succeeded else f"failed: {run.outcome}"


def _lead_time(runs: Sequence[RunSummary], recent: Sequence[RunSummary], ancestry: Ancestry | None) -> Figure:
    name = "Lead time for changes"
    if ancestry is None:
        return Figure(name=name, text="not examined: no clone with the whole history is here")
    brought = _brought(runs, ancestry)

    def why_not(run: RunSummary) -> str:
        if why := _why_no_release(run):
            return why
        commits = brought.get(run.id)
        if commits is None:
            known = run.commit.id in ancestry
            return "the first that is known" if known else "its commit is not in this clone"
        return "" if commits else "brought no new commit"

    waited = {
        run.id: [max(0.0, (run.ended - ancestry[commit][0]).total_seconds()) for commit in brought[run.id] or ()]
        for run in recent
        if why_not(run) == ""
    }
    counted = tuple(
        Counted(run=run, text=f"{count(len(each), 'commit')}, median {age(median(each))}")
        for run, each in waited.items()
    )
    text, value = _too_few(len(counted), "release"), None
    if not text:
        value = median(seconds for each in waited.values() for seconds in each)
        text = f"{age(value)} from commit to live"
    return Figure(name=name, text=text, value=value, counted=counted, left_out=_left_out(recent, why_not))


def _brought(runs: Sequence[RunSummary], ancestry: Ancestry) -> dict[str, set[str] | None]:
    """Find the commits that each release was the first to bring.

    None where nobody knows what was live before it.
    """
    released: set[str] = set()
    brought: dict[str, set[str] | None] = {}
    for run in reversed(runs):
        if _why_no_release(run) or run.commit.id not in ancestry:
            continue
        new, waiting = set[str](), [run.commit.id]
        while waiting:
            commit = waiting.pop()
            if commit in ancestry and commit not in released and commit not in new:
                new.add(commit)
                waiting += ancestry[commit][1]
        brought[run.id] = new if released else None
        released |= new
    return brought


def _failures(runs: Sequence[RunSummary], recent: Sequence[RunSummary]) -> tuple[Figure, Figure]:
    """Measure the changes that have failed, and the recovery from them."""

    def why_no_change(run: RunSummary) -> str:
        if run.shipped and run.outcome == ForeignDeploy.outcome:
            return "somebody else's deploy took its place"
        why = _why_no_release(run)
        return "" if run.shipped and why.startswith("failed") else why

    changes = [run for run in recent if why_no_change(run) == ""]
    fates = judge_failures(runs)
    failed = [run for run in changes if run.id in fates]
    left = _left_out(recent, why_no_change)
    few = _too_few(len(changes), "change")
    share = None if few else len(failed) / len(changes)
    rate = Figure(
        name="Change failure rate",
        text=few or f"{share:.0%}: {len(failed)} of {len(changes)}",
        value=share,
        counted=tuple(
            Counted(run=run.id, text=fates[run.id].what if run.id in fates else "went well") for run in changes
        ),
        left_out=left,
    )
    return rate, _recovery([(run.id, fates[run.id]) for run in failed], few, left)


class Fate(Value, frozen=True):
    """How a change has failed.

    Attributes:
        seconds: until all was well again; None: *why* nobody can say.
    """

    what: str
    seconds: float | None = None
    why: str = ""


def judge_failures(runs: Sequence[RunSummary]) -> dict[str, Fate]:
    """Judge the changes that have failed, by run.

    One has failed where something of it went live and the run did not succeed, or a rollback went back from it. All is well
    when what served before it does again: at the end of the run that has put it back, or of the first that succeeded after it.

    Args:
        runs: newest first.
    """
    undone: dict[str, RunSummary] = {}
    for place, back in enumerate(runs):
        for commit in back.left:
            older = (run for run in runs[place + 1 :] if _why_no_release(run) == "" and run.commit.id == commit)
            if (run := next(older, None)) is not None:
                undone.setdefault(run.id, back)
    fates = {}
    for place, run in enumerate(runs):
        what = _failed(run) or ("gone back from" if run.id in undone else "")
        if not what:
            continue
        later = next((each for each in reversed(runs[:place]) if each.succeeded), None)
        ended = undone[run.id].ended if run.id in undone else run.ended if run.put_back and not run.stuck else None
        ended = ended or (later.ended if later is not None else None)
        if run.went_live is None:
            fates[run.id] = Fate(what=what, why="its record does not say when it went live")
        elif ended is None:
            fates[run.id] = Fate(what=what, why="not recovered from yet")
        else:
            fates[run.id] = Fate(what=what, seconds=max(0.0, (ended - run.went_live).total_seconds()))
    return fates


def _failed(run: RunSummary) -> str:
    """Tell how a run has failed of which something went live.

    Empty where it has not, or where somebody else came between.
    """
    why = _why_no_release(run) if run.shipped and run.outcome != ForeignDeploy.outcome else ""
    return why if why.startswith("failed") else ""


def _recovery(failed: Sequence[tuple[str, Fate]], few: str, left: tuple[LeftOut, ...]) -> Figure:
    seconds = {run: fate.seconds for run, fate in failed if fate.seconds is not None}
    unknown = tuple(LeftOut(run=run, reason=fate.why) for run, fate in failed if fate.seconds is None)
    text, value = few, None
    if not few and not failed:
        text = "no change has failed"
    elif not few and not seconds:
        text = "not known of any failure"
    elif not few:
        value = median(seconds.values())
        text = f"{age(value)}, of {count(len(seconds), 'failure')}"
    return Figure(
        name="Failed deployment recovery time",
        text=text,
        value=value,
        counted=tuple(Counted(run=run, text=age(each)) for run, each in seconds.items()),
        left_out=(*unknown, *left),
    )


def _left_out(runs: Iterable[RunSummary], why_not: Callable[[RunSummary], str]) -> tuple[LeftOut, ...]:
    return tuple(LeftOut(run=run.id, reason=why) for run in runs if (why := why_not(run)))


def _too_few(number: int, thing: str) -> str:
    return f"too few: {count(number, thing)}" if number < FEWEST else ""
