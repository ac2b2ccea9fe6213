"""What the platform measures: disk, memory, connections; and who deploys.

Every figure that it does not give is *not examined*: an account without metrics, a plan without them, a disk that there is none of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from deploylib.errors import DeployError, Interrupted
from deploylib.models import Database, Deploy, Kind, Service, Target
from deploylib.models.connection_limits import connection_limit
from deploylib.models.metrics import MetricSeries
from deploylib.models.signals import Signal
from deploylib.models.units import count
from deploylib.monitoring.readings import Reading, make_unknown
from deploylib.monitoring.rules import AlertRule
from deploylib.monitoring.states import Look
from deploylib.render import Client

__all__ = [
    "MeasuredSubject",
    "days_to_full",
    "has_figures",
    "judge_autodeploy",
    "judge_connection_count",
    "judge_disk",
    "judge_foreign",
    "judge_share",
]

RECENT = timedelta(minutes=15)  # figures that are older say nothing of now
ENDED = timedelta(minutes=2)  # behind the newest figure: its instance has ended, of which the platform keeps the series
SHORTEST = timedelta(hours=6)  # of a disk's record, for a guess when it will be full
LONGEST_RECORD = timedelta(days=3)
COARSE = 3600  # seconds between two figures of it
POINTS = 4
NO_FIGURE = "the platform gives no figure"
NO_DISK = ", and has none where there is no disk"


@dataclass(frozen=True)
class MeasuredSubject:
    """A service or a database at the platform.

    Attributes:
        service: its name where it is a service: a release of it may be the cause.
    """

    name: str
    id: str
    service: str = ""


def judge_disk(
    client: Client, subject: MeasuredSubject, rules: Mapping[str, AlertRule], now: datetime
) -> list[Reading]:
    """Tell how full a disk is, and when it will be."""
    try:
        used = client.metrics("disk-usage", subject.id, since=now - LONGEST_RECORD, every=COARSE)
        latest = client.metrics("disk-usage", subject.id, since=now - RECENT)
        size = client.metrics("disk-capacity", subject.id, since=now - RECENT)
    except Interrupted:
        raise
    except DeployError as error:
        return [
            make_unknown(signal, subject.name, error.message)
            for signal in (Signal.DISK, Signal.DISK_FULL)
            if signal in rules
        ]
    readings = []
    share = _share(latest, size)
    if rule := rules.get(Signal.DISK):
        readings.append(
            _judge(
                Signal.DISK,
                subject,
                share,
                rule,
                "disk",
                "enlarge the disk in the Render Dashboard; it cannot be made smaller",
            )
        )
    if rule := rules.get(Signal.DISK_FULL):
        readings.append(_judge_growth(subject, used, size, rule))
    return readings


def _judge_growth(
    subject: MeasuredSubject, used: Sequence[MetricSeries], size: Sequence[MetricSeries], rule: AlertRule
) -> Reading:
    capacity = max((one.last or 0.0 for one in _running(size)), default=0.0)
    records = [_join(used)] if subject.service else _running(used, timedelta(seconds=2 * COARSE))
    days = [days_to_full(one, capacity) for one in records] if capacity else []
    known = [each for each in days if each is not None]
    if not capacity:
        return make_unknown(Signal.DISK_FULL, subject.name, f"disk: {NO_FIGURE}{NO_DISK}")
    if not known:
        return make_unknown(Signal.DISK_FULL, subject.name, "disk: too short a record for its growth")
    left = min(known)
    text = (
        "disk: does not grow" if left == float("inf") else f"disk: full in {count(round(left), 'day')}, as it grows now"
    )
    good = left >= rule.limit
    return Reading(
        signal=Signal.DISK_FULL,
        subject=subject.name,
        look=Look.GOOD if good else Look.BAD,
        text=text,
        title="" if good else f"the disk of {subject.name} is full within {count(rule.limit, 'day')}",
        remedy="" if good else "enlarge the disk in the Render Dashboard, or find what grows",
    )


def days_to_full(series: MetricSeries, capacity: float) -> float | None:
    """Guess by a straight line when a disk will be full.

    Returns:
        days; infinite where it does not grow; None where the record is too short for that.
    """
    points = series.points
    if len(points) < POINTS or points[-1].at - points[0].at < SHORTEST:
        return None
    times = [(point.at - points[0].at) / timedelta(days=1) for point in points]
    middle, mean = sum(times) / len(times), sum(point.value for point in points) / len(points)
    spread = sum((time - middle) ** 2 for time in times)
    slope = sum((time - middle) * (point.value - mean) for time, point in zip(times, points, strict=True)) / spread
    return max(0.0, capacity - points[-1].value) / slope if slope > 0 else float("inf")


def judge_share(client: Client, subject: MeasuredSubject, rule: AlertRule, now: datetime) -> Reading:
    """Tell how much of its memory a service or database uses."""
    since = now - RECENT
    try:
        share = _share(
            client.metrics("memory", subject.id, since=since), client.metrics("memory-limit", subject.id, since=since)
        )
    except Interrupted:
        raise
    except DeployError as error:
        return make_unknown(Signal.MEMORY, subject.name, error.message)
    return _judge(Signal.MEMORY, subject, share, rule, "memory", "inv logs: does it leak? Else a larger plan")


def judge_connection_count(client: Client, database: Database, rule: AlertRule, now: datetime) -> Reading:
    """Tell how many of its connections a database has."""
    name = database.name
    most = connection_limit(database.plan.replace("_", "-")) if database.plan else None
    if most is None:
        return make_unknown(
            Signal.CONNECTIONS, name, f"connections: the plan {database.plan or '(not told)'} is not known"
        )
    try:
        series = client.metrics("active-connections", database.id, since=now - RECENT)
    except Interrupted:
        raise
    except DeployError as error:
        return make_unknown(Signal.CONNECTIONS, name, error.message)
    counts = [one.last for one in _running(series) if one.last is not None]
    if not counts:
        return make_unknown(Signal.CONNECTIONS, name, f"connections: {NO_FIGURE}")
    used = sum(counts)
    share = 100 * used / most
    good = share <= rule.limit
    return Reading(
        signal=Signal.CONNECTIONS,
        subject=name,
        look=Look.GOOD if good else Look.BAD,
        text=f"{used:.0f} of {most} connections",
        title="" if good else f"{name} has more than {rule.limit:g} % of its connections in use",
        remedy="" if good else "fewer instances or smaller pools, PgBouncer, or a larger plan",
    )


def judge_autodeploy(services: Iterable[Service], names: Mapping[str, str]) -> list[Reading]:
    """Tell of each service whether pushes deploy it, before any gate.

    Args:
        names: of our services, by the platform's id.
    """
    readings = []
    for service in services:
        if (name := names.get(service.id)) is None:
            continue
        readings.append(
            Reading(
                signal=Signal.AUTODEPLOY,
                subject=name,
                look=Look.BAD if service.auto_deploy else Look.GOOD,
                text=f"autodeploy is {'on' if service.auto_deploy else 'off'}",
                title=f"autodeploy of {name} is on: every push ships before the gates" if service.auto_deploy else "",
                remedy="inv check --fix" if service.auto_deploy else "",
            )
        )
    return readings


def judge_foreign(target: Target, live: Callable[[], Deploy | None], is_ours: Callable[[Deploy], bool]) -> Reading:
    """Tell whether what is live was deployed by somebody else.

    Args:
        is_ours: whether the history knows of a deploy.
    """
    try:
        deploy = live()
    except Interrupted:
        raise
    except DeployError as error:
        return make_unknown(Signal.FOREIGN_DEPLOY, target.name, error.message)
    if deploy is None or is_ours(deploy):
        text = f"live: {deploy.id}" if deploy is not None else "nothing is live"
        return Reading(signal=Signal.FOREIGN_DEPLOY, subject=target.name, look=Look.GOOD, text=text)
    return Reading(
        signal=Signal.FOREIGN_DEPLOY,
        subject=target.name,
        look=Look.BAD,
        text=f"{deploy.id} ({deploy.trigger or 'trigger not told'}) is live: a person, the Dashboard, a CLI or an agent",
        title=f"{target.name} serves a deploy that was not made here",
        remedy="inv status; inv deploy releases what is checked out",
    )


def has_figures(target: Target) -> bool:
    """Tell whether the platform measures the programs of a service at all."""
    return target.kind not in {Kind.STATIC, Kind.CRON}


def _running(series: Sequence[MetricSeries], ended: timedelta = ENDED) -> list[MetricSeries]:
    """Leave out the series of instances that have ended.

    They stay in the answer for as long as they are in the time that was asked for.
    """
    newest = max((one.points[-1].at for one in series if one.points), default=None)
    return [one for one in series if newest is not None and one.points and newest - one.points[-1].at <= ended]


def _join(series: Sequence[MetricSeries]) -> MetricSeries:
    """Join what a service's instances, one after another, say of its disk."""
    points = sorted((point for one in series for point in one.points), key=lambda point: point.at)
    return MetricSeries(points=tuple(points))


def _share(used: Sequence[MetricSeries], size: Sequence[MetricSeries]) -> float | None:
    """Take the highest share in percent.

    None: there are no figures.
    """
    most = max((one.last for one in _running(used) if one.last is not None), default=None)
    whole = max((one.last for one in _running(size) if one.last), default=None)
    return None if most is None or not whole else 100 * most / whole


def _judge(
    signal: Signal, subject: MeasuredSubject, share: float | None, rule: AlertRule, what: str, remedy: str
) -> Reading:
    if share is None:
        return make_unknown(signal, subject.name, f"{what}: {NO_FIGURE}{NO_DISK if signal is Signal.DISK else ''}")
    good = share <= rule.limit
    return Reading(
        signal=signal,
        subject=subject.name,
        look=Look.GOOD if good else Look.BAD,
        text=f"{what} {share:.0f} % used",
        title="" if good else f"the {what} of {subject.name} is more than {rule.limit:g} % used",
        remedy="" if good else remedy,
        service=subject.service if signal is Signal.MEMORY else "",
    )
