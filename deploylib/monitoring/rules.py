"""A rule says when a signal is bad, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from deploylib.errors import SettingsError
from deploylib.models.alerts import Severity
from deploylib.models.signals import Signal
from deploylib.models.units import seconds
from deploylib.monitoring.own_signals import RegisteredSignal, check_signals
from deploylib.settings import RuleSettings, Settings

__all__ = ["AlertRule", "make_rules", "require_own"]

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
DEFAULTS: Mapping[str, AlertRule] = {
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
    Signal.DRILL: AlertRule(limit=35.0, severity=Severity.NOTE, reminder=7 * DAY),
    Signal.AUTODEPLOY: AlertRule(reminder=DAY),
    Signal.FOREIGN_DEPLOY: AlertRule(severity=Severity.NOTE, reminder=0.0),
}


def make_rules(settings: Settings) -> dict[str, AlertRule]:
    """Make the rules in force: ours and own, changed by the settings.

    A signal that they switch off has none.

    Raises:
        SettingsError: a signal of a team's own is none.
    """
    due = replace(DEFAULTS[Signal.BACKUP], limit=2 * seconds(settings.backup_every) / DAY)
    rules: dict[str, AlertRule] = dict(DEFAULTS)
    rules |= {Signal.BACKUP: due, **{name: _make_own(each) for name, each in check_signals().items()}}
    changed = {**{str(signal): rule for signal, rule in settings.monitor.rules.items()}, **settings.monitor.own}
    return {
        name: _changed(rule, changed.get(name, RuleSettings()), settings.monitor.channels)
        for name, rule in rules.items()
        if changed.get(name, RuleSettings()).on
    }


def require_own(settings: Settings) -> None:
    """See that what the settings say of own signals is of some.

    Raises:
        SettingsError: one of them is not registered.
    """
    own = check_signals()
    if unknown := sorted(settings.monitor.own.keys() - own.keys()):
        raise SettingsError(
            f"[monitor.own.{unknown[0]}]: there is no signal {unknown[0]!r} of your own",
            remedy=f'@deploylib.signal("{unknown[0]}", …) in tasks.py; there are: {", ".join(own) or "none"}',
        )


def _make_own(own: RegisteredSignal) -> AlertRule:
    """Make the rule of a signal of a team's own."""
    bounds = (bound for bound in (own.above, own.below) if bound is not None)
    if own.severity not in list(Severity):
        remedy = f"severity= in tasks.py, one of: {', '.join(Severity)}"
        raise SettingsError(f"the signal {own.name!r} has no severity {own.severity!r}", remedy=remedy)
    seconds(own.deadline, f"the signal {own.name!r}: deadline")
    lasts = seconds(own.lasts, f"the signal {own.name!r}: lasts")
    return AlertRule(
        limit=float(next(bounds)),
        lasts=lasts,
        recovers=lasts,
        severity=Severity(own.severity),
        reminder=0.0 if own.reminder == "never" else seconds(own.reminder, f"the signal {own.name!r}: reminder"),
    )


def _changed(rule: AlertRule, changed: RuleSettings, channels: tuple[str, ...]) -> AlertRule:
    lasts = seconds(changed.for_) if changed.for_ else rule.lasts
    return AlertRule(
        limit=rule.limit if changed.limit is None else changed.limit,
        lasts=lasts,
        recovers=lasts if changed.for_ else rule.recovers,
        severity=Severity(changed.severity) if changed.severity else rule.severity,
        reminder=rule.reminder
        if not changed.reminder
        else 0.0
        if changed.reminder == "never"
        else seconds(changed.reminder),
        channels=changed.channels or channels,
    )
