"""A rule says when a signal is bad, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from deploylib.models.alerts import Severity
from deploylib.models.signals import Signal
from deploylib.models.units import seconds
from deploylib.settings import RuleSettings, Settings

__all__ = ["AlertRule", "make_rules"]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True)
class AlertRule:
    """When a signal is bad, and what is told of it.

    Attributes:
        limit: its bound, in the signal's own unit; see `DEFAULTS`.
        lasts: seconds that it must be bad before anybody is told.
        recovers: seconds that it must be good before its end is told.
        reminder: seconds after which it is told again; 0: never.
        channels: the only ones that are told; empty: all.
    """

    limit: float = 0.0
    lasts: float = 0.0
    recovers: float = 0.0
    severity: Severity = Severity.WARNING
    reminder: float = 4 * HOUR
    channels: tuple[str, ...] = ()


# Unit of the limit: uptime none; latency seconds of p95; shares in percent; disk_full, certificate, backup and drill days.
# Slow figures (disk, certificate, backup, …) do not flap, so that one look is enough.
DEFAULTS: Mapping[Signal, AlertRule] = {
    Signal.UPTIME: AlertRule(lasts=MINUTE, recovers=MINUTE, severity=Severity.CRITICAL, reminder=HOUR),
    Signal.LATENCY: AlertRule(limit=2.0, lasts=5 * MINUTE, recovers=5 * MINUTE),
    Signal.ERROR_RATE: AlertRule(limit=5.0, lasts=2 * MINUTE, recovers=5 * MINUTE),
    Signal.DISK: AlertRule(limit=85.0),
    Signal.DISK_FULL: AlertRule(limit=7.0, lasts=HOUR),
    Signal.MEMORY: AlertRule(limit=90.0, lasts=5 * MINUTE, recovers=5 * MINUTE),
    # Render, "Connection limits and pooling": the most common incident of its databases.
    Signal.CONNECTIONS: AlertRule(limit=80.0, lasts=MINUTE, recovers=2 * MINUTE),
    Signal.CERTIFICATE: AlertRule(limit=14.0, reminder=DAY),
    Signal.BACKUP: AlertRule(reminder=DAY),  # its limit: twice `backup_every`
    Signal.DRILL: AlertRule(limit=90.0, severity=Severity.NOTE, reminder=7 * DAY),
    Signal.AUTODEPLOY: AlertRule(reminder=DAY),
    Signal.FOREIGN_DEPLOY: AlertRule(severity=Severity.NOTE, reminder=0.0),
}


def make_rules(settings: Settings) -> dict[Signal, AlertRule]:
    """Make the rules in force: ours, changed by the settings.

    A signal that they switch off has none.
    """
    said = settings.monitor.rules
    due = replace(DEFAULTS[Signal.BACKUP], limit=2 * seconds(settings.backup_every) / DAY)
    return {
        signal: _changed(rule, said.get(signal, RuleSettings()), settings.monitor.channels)
        for signal, rule in {**DEFAULTS, Signal.BACKUP: due}.items()
        if said.get(signal, RuleSettings()).on
    }


def _changed(rule: AlertRule, said: RuleSettings, channels: tuple[str, ...]) -> AlertRule:
    lasts = seconds(said.for_) if said.for_ else rule.lasts
    return AlertRule(
        limit=rule.limit if said.limit is None else said.limit,
        lasts=lasts,
        recovers=lasts if said.for_ else rule.recovers,
        severity=Severity(said.severity) if said.severity else rule.severity,
        reminder=rule.reminder if not said.reminder else 0.0 if said.reminder == "never" else seconds(said.reminder),
        channels=said.channels or channels,
    )
