"""Alerts are told after their state was won, each by one monitor."""

from __future__ import annotations

from collections.abc import Callable

from deploylib.errors import DeployError, Interrupted
from deploylib.models.alerts import Alert
from deploylib.monitoring.records import MonitorRecords, Outgoing
from deploylib.notifications import Delivery, Messenger

__all__ = ["tell_outgoing"]


def tell_outgoing(
    records: MonitorRecords, outgoing: tuple[Outgoing, ...], messenger: Messenger, note: Callable[[Delivery], object]
) -> tuple[Outgoing, ...]:
    """Tell what is to be told, in order.

    What another monitor is telling is left to it.

    Args:
        note: is given each delivery.

    Returns:
        what was told, or waits in the outbox to be.
    """
    alerts, stuck = [], set[str]()
    for each in outgoing:
        if each.alert.id in stuck:
            continue  # the end of an alert is not told before its beginning
        if not records.claim(each.name):
            if not records.has_told(each.name):
                stuck.add(each.alert.id)
            continue
        if _is_safe(each.alert, messenger, note):
            records.settle(each.name)
            alerts.append(each)
        else:
            records.forget(each.name)
            stuck.add(each.alert.id)
    return tuple(alerts)


def _is_safe(alert: Alert, messenger: Messenger, note: Callable[[Delivery], object]) -> bool:
    """Tell whether every channel has it, or it waits for those."""
    sent = messenger.tell_alert(alert)
    for each in sent:
        note(each)
    if all(each.delivered or each.final for each in sent):
        return True
    try:
        return any(
            waiting.message.alert is not None and waiting.message.alert.id == alert.id
            for waiting in messenger.outbox().read_waiting()
        )
    except Interrupted:
        raise
    except DeployError:
        return False
