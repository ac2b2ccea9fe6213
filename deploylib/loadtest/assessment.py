"""A whole load test: measured, judged, kept.

What looks bad is measured once more.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from deploylib.loadtest.degradation import BASELINE, Conclusion, Objectives, Ruling, confirm, judge_run
from deploylib.loadtest.drift import LOOK_BACK, Drift, find_drift
from deploylib.loadtest.figures import Figures, count_by_latency
from deploylib.loadtest.measurement import Measurement, Workload, measure
from deploylib.loadtest.records import Key, RecordedRun, Records
from deploylib.loadtest.validity import find_faults
from deploylib.models import Value
from deploylib.system import process

__all__ = ["Assessment", "Subject", "assess"]


class Subject(Value, frozen=True):
    """What is tested.

    Attributes:
        puts_back: a degraded release is put back, so that its record is not held against later ones.
    """

    key: Key
    run: str
    commit: str
    at: datetime
    puts_back: bool = False


class Assessment(Value, frozen=True):
    """What a load test has shown.

    Attributes:
        figures: of the last measurement; None where it was invalid.
        seeds: of the schedules that were sent.
        bars: latencies, as `count_by_latency` counts them.
    """

    ruling: Ruling
    service: str
    rate: float
    seconds: float
    seeds: tuple[int, ...] = ()
    figures: Figures | None = None
    bars: tuple[tuple[float, int], ...] = ()
    drift: Drift | None = None

    @property
    def is_degraded(self) -> bool:
        """Whether the release is slower, or misses an objective."""
        return self.ruling.conclusion is Conclusion.DEGRADED


def assess(
    workload: Workload,
    subject: Subject,
    objectives: Objectives,
    records: Records,
    *,
    before: Measurement | None = None,
    runner: process.Runner = process.SYSTEM,
) -> Assessment:
    """Test one service under load.

    Args:
        before: what the same workload has measured of the release that was live before, by this process.

    Raises:
        SettingsError: the locustfile is none, or asks for what it may not; or locust is not installed.
        ProgramFailed: what sends has died.
    """
    earlier = records.read(subject.key, LOOK_BACK)
    elsewhere = 0 if earlier else records.count_elsewhere(subject.key)
    paired = Figures.of(before) if before is not None and not find_faults(before) else None
    ruling, seeds = None, list[int]()
    while True:
        measured = measure(workload, runner)
        seeds.append(workload.seed)
        if faults := find_faults(measured):
            ruling = Ruling(conclusion=Conclusion.INVALID, why=faults)
            return _told(ruling, workload, subject, seeds, measured)
        figures = Figures.of(measured)
        latest = judge_run(figures, earlier[-BASELINE:], objectives, before=paired, elsewhere=elsewhere)
        if ruling is not None:
            ruling = confirm(ruling, latest)
            break
        ruling = latest
        if latest.conclusion is not Conclusion.DEGRADED:
            break
        workload = msgspec.structs.replace(workload, seed=workload.seed + 1)
    degraded = ruling.conclusion is Conclusion.DEGRADED
    record = RecordedRun(
        run=subject.run,
        at=subject.at,
        commit=subject.commit,
        key=subject.key,
        figures=figures,
        put_back=degraded and subject.puts_back,
    )
    records.add(record, measured)
    return _told(ruling, workload, subject, seeds, measured, drift=find_drift((*earlier, record)))


def _told(
    ruling: Ruling,
    workload: Workload,
    subject: Subject,
    seeds: list[int],
    measured: Measurement,
    *,
    drift: Drift | None = None,
) -> Assessment:
    return Assessment(
        ruling=ruling,
        service=subject.key.service,
        rate=workload.rate,
        seconds=workload.seconds,
        seeds=tuple(seeds),
        figures=Figures.of(measured) if measured.requests else None,
        bars=tuple(count_by_latency(measured.latencies)),
        drift=drift,
    )
