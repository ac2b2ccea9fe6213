"""Judge the upkeep: backups and drills, due now and then."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from deploylib.models import UNPROVEN, Backup
from deploylib.models.signals import Signal
from deploylib.models.units import age, count
from deploylib.monitoring.readings import Reading, make_unknown
from deploylib.monitoring.rules import AlertRule
from deploylib.monitoring.states import Look

__all__ = ["judge_backups", "judge_drill"]


def judge_backups(
    name: str, backups: list[Backup], rule: AlertRule, now: datetime, unreadable: Collection[str] = ()
) -> Reading:
    """Tell how old the newest proven backup is.

    Args:
        name: of the database.
        backups: newest first.
        unreadable: keys of others, of which nobody knows how good they are.
    """
    proven = [backup for backup in backups if backup.proof != UNPROVEN]
    if not proven and unreadable:
        return make_unknown(Signal.BACKUP, name, f"{count(len(unreadable), 'backup')} cannot be read")
    if not proven:
        return _bad(name, "there is no proven backup", f"{name} has no proven backup")
    newest, last = backups[0], proven[0]
    old = now - last.created_at
    text = f"backup {age(old.total_seconds())} old, {last.proof}"
    if old > timedelta(days=rule.limit):
        return _bad(name, text, f"the newest proven backup of {name} is older than {count(rule.limit, 'day')}")
    if newest is not last:
        return _bad(name, f"{text}; a newer one is not: {newest.cause}", f"the newest backup of {name} is not proven")
    return Reading(signal=Signal.BACKUP, subject=name, look=Look.GOOD, text=text)


def judge_drill(last: datetime | None, rule: AlertRule, now: datetime) -> Reading:
    """Tell how long ago somebody has practised.

    Where nobody ever did, that is not known to be wanted.
    """
    if last is None:
        return make_unknown(Signal.DRILL, "", "no drill is recorded")
    old = now - last
    text = f"last drill {age(old.total_seconds())} ago"
    if old <= timedelta(days=rule.limit):
        return Reading(signal=Signal.DRILL, subject="", look=Look.GOOD, text=text)
    title = f"nobody has practised for {count(rule.limit, 'day')}"
    return Reading(
        signal=Signal.DRILL,
        subject="",
        look=Look.BAD,
        text=text,
        title=title,
        remedy="inv drill lists what can be practised",
    )


def _bad(name: str, text: str, title: str) -> Reading:
    return Reading(signal=Signal.BACKUP, subject=name, look=Look.BAD, text=text, title=title, remedy="inv backup")
