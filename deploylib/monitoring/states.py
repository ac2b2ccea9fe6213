"""A signal's state, and how a look moves it on.

A pure function of the state, the look, the rule and the time. Every kind of signal goes through the same table:

    state       good                      bad                         unknown
    ok          ok                        pending                     unknown
    pending     ok                        firing after ``for``        unknown
    firing      recovering                firing, reminded            unknown, and still told
    recovering  ok after ``for``          firing, without a word      unknown, and still told
    unknown     ok, or recovering         pending, or firing          unknown

Nothing is ever told of *unknown*: what was told stays told until somebody has looked. A look that is older than the last one
changes nothing, so that a monitor which comes late undoes no other's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from deploylib.models import Moment, Value
from deploylib.monitoring.rules import AlertRule

__all__ = ["AlertStep", "Condition", "Firing", "Look", "Quiet", "Standing", "advance"]


class Look(StrEnum):
    """One look: what it has shown."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


class Condition(StrEnum):
    """The state of a signal."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    UNKNOWN = "unknown"


class AlertStep(StrEnum):
    """A step of an alert that is to be told."""

    FIRES = "fires"
    REMINDS = "reminds"
    RESOLVES = "resolves"


class Firing(Value, frozen=True):
    """An alert that was told and is not resolved.

    Attributes:
        since: the first bad look of it.
        told_at: when it was told last.
        reminders: how often it was told again.
        run: the release that was under way when it began.
        title: as it was told, so that its end has the same words.
    """

    since: Moment
    told_at: Moment
    reminders: int = 0
    run: str = ""
    title: str = ""


class Standing(Value, frozen=True):
    """The standing of a signal.

    Attributes:
        since: when it came to this condition.
        looked: the last look at it.
        firing: what people have been told, and wait for the end of.
        run: the release during which it turned bad.
        text: what the last look has shown.
    """

    condition: Condition = Condition.OK
    since: Moment | None = None
    looked: Moment | None = None
    firing: Firing | None = None
    run: str = ""
    text: str = ""


@dataclass(frozen=True)
class Quiet:
    """The reason why nothing is told now.

    Attributes:
        silenced: nobody is told that something is wrong; its end is told to whom its beginning was.
        run: the release under way that may be the cause.
    """

    silenced: bool = False
    run: str = ""


LOUD = Quiet()


def advance(
    standing: Standing, look: Look, rule: AlertRule, now: datetime, quiet: Quiet = LOUD
) -> tuple[Standing, AlertStep | None]:
    """Move a signal's state on by one look.

    Returns:
        the new state, and what is to be told of it.
    """
    if standing.looked is not None and now < standing.looked:
        return standing, None
    condition = _next(standing, look)
    same = condition is standing.condition
    run = (standing.run or quiet.run) if condition in {Condition.PENDING, Condition.FIRING} else ""
    moved = msgspec.structs.replace(
        standing, condition=condition, since=standing.since if same else now, looked=now, run=run
    )
    if condition is Condition.PENDING:
        return _fire(moved, rule, now, quiet)
    if condition is Condition.FIRING:
        return _remind(moved, rule, now, quiet)
    if condition is Condition.RECOVERING and _has_lasted(moved, rule.recovers, now):
        return msgspec.structs.replace(moved, condition=Condition.OK, since=now, firing=None), AlertStep.RESOLVES
    return moved, None


def _next(standing: Standing, look: Look) -> Condition:
    """Choose the condition that a look leads to."""
    is_known = standing.firing is not None
    if look is Look.UNKNOWN:
        return Condition.UNKNOWN
    if look is Look.GOOD:
        return Condition.RECOVERING if is_known else Condition.OK
    return Condition.FIRING if is_known else Condition.PENDING


def _fire(standing: Standing, rule: AlertRule, now: datetime, quiet: Quiet) -> tuple[Standing, AlertStep | None]:
    if quiet.silenced or not _has_lasted(standing, rule.lasts, now):
        return standing, None
    firing = Firing(since=standing.since or now, told_at=now, run=standing.run)
    return msgspec.structs.replace(standing, condition=Condition.FIRING, since=now, firing=firing), AlertStep.FIRES


def _remind(standing: Standing, rule: AlertRule, now: datetime, quiet: Quiet) -> tuple[Standing, AlertStep | None]:
    firing = standing.firing
    if firing is None or quiet.silenced or not rule.reminder or now - firing.told_at < timedelta(seconds=rule.reminder):
        return standing, None
    again = msgspec.structs.replace(firing, told_at=now, reminders=firing.reminders + 1)
    return msgspec.structs.replace(standing, firing=again), AlertStep.REMINDS


def _has_lasted(standing: Standing, seconds: float, now: datetime) -> bool:
    return standing.since is not None and now - standing.since >= timedelta(seconds=seconds)
