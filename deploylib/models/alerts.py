"""Alerts: what is wrong now, or no longer.

A monitor, a load test or anybody's own check makes it; `deploylib.notifications` tells it.
"""

from __future__ import annotations

from enum import StrEnum

from deploylib.models.value import Moment, Value

__all__ = ["Alert", "AlertState", "Link", "Severity"]


class AlertState(StrEnum):
    """The state of an alert: wrong now, or no longer."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How soon a person must look: at once, today, any time."""

    CRITICAL = "critical"
    WARNING = "warning"
    NOTE = "note"


class Link(Value, frozen=True):
    """A link to where more is to be seen."""

    text: str
    url: str


class Alert(Value, frozen=True):
    """One thing that is wrong, or no longer is.

    Attributes:
        id: of this firing; its resolution bears the same one, and so does a repetition, by which it is known.
        title: what is wrong, in plain words, in a line: ``backend answers 503``.
        details: what was seen, a line each.
        remedy: the next command or action of the person who reads it.
        since: when it began.
        run: the release that may be its cause.
        channels: the names of the only channels that are told; empty: all.
    """

    id: str
    environment: str
    state: AlertState
    title: str
    severity: Severity = Severity.WARNING
    details: tuple[str, ...] = ()
    remedy: str = ""
    links: tuple[Link, ...] = ()
    since: Moment | None = None
    run: str = ""
    channels: tuple[str, ...] = ()
