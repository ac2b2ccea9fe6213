"""Monitors have recorded what is wrong, told, and silenced."""

from __future__ import annotations

from datetime import timedelta

from deploylib.environment import Environment
from deploylib.models import Moment, Value
from deploylib.models.alerts import Severity
from deploylib.monitoring.drills import find_drill
from deploylib.monitoring.records import MonitorRecords
from deploylib.monitoring.rules import AlertRule, make_rules
from deploylib.monitoring.silences import AlertSilence, Silences

__all__ = ["OpenAlert", "OpenAlerts", "read_last_drill", "read_open_alerts"]

OLD = timedelta(days=1)  # a schedule of GitHub's comes late by hours, and not by a day


class OpenAlert(Value, frozen=True):
    """An alert that was told, and whose end nobody has seen.

    Attributes:
        signal: what was looked at, with its subject: ``uptime/backend``.
        text: what the last look has shown, which may be that nobody could look.
        run: the release that may be its cause.
    """

    signal: str
    title: str
    severity: Severity
    since: Moment
    text: str = ""
    run: str = ""


class OpenAlerts(Value, frozen=True):
    """The alerts of an environment.

    Attributes:
        alerts: that fire, the oldest first.
        silences: that last.
        looked: when a monitor has looked last; None: none ever has.
        old: that is so long ago that nobody knows what is wrong now.
    """

    alerts: tuple[OpenAlert, ...] = ()
    silences: tuple[AlertSilence, ...] = ()
    looked: Moment | None = None
    old: bool = False


def read_open_alerts(env: Environment) -> OpenAlerts:
    """Read the alerts that fire, and the silences that last.

    Raises:
        Damaged: what the monitors have recorded cannot be read.
        Unreachable: the store does not answer.
    """
    now, rules = env.clock.now(), make_rules(env.config.settings)
    _, state = MonitorRecords(env.store, env.name, env.clock).read()
    alerts = [
        OpenAlert(
            signal=key,
            title=standing.firing.title,
            severity=rules.get(key.partition("/")[0], AlertRule()).severity,
            since=standing.firing.since,
            text=standing.text,
            run=standing.firing.run,
        )
        for key, standing in state.standings.items()
        if standing.firing is not None
    ]
    looked = max((each.looked for each in state.standings.values() if each.looked is not None), default=None)
    last = max([*state.rounds, *([looked] if looked is not None else [])], default=None)
    return OpenAlerts(
        alerts=tuple(sorted(alerts, key=lambda alert: alert.since)),
        silences=Silences(env.store, env.name).read(now),
        looked=last,
        old=last is not None and now - last > OLD,
    )


def read_last_drill(env: Environment, *, most: int = 5) -> Moment | None:
    """Read when somebody has practised last.

    By the newest operations, and by what monitors remember of those before; None: no drill is known.

    Raises:
        Damaged: what the monitors have recorded cannot be read.
        Unreachable: the store does not answer.
    """
    _, state = MonitorRecords(env.store, env.name, env.clock).read()
    return find_drill(env.history, env.name, state.drill, env.clock.now(), most=most).at
