"""A whole load test: measured, judged, kept.

What looks slower is measured again, up to twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from deploylib.errors import DeployError, Interrupted
from deploylib.loadtest.degradation import Conclusion, Objectives, Ruling, combine_rulings, judge_run, needs_another
from deploylib.loadtest.drift import LOOK_BACK, find_drift
from deploylib.loadtest.figures import Figures, count_by_latency
from deploylib.loadtest.measurement import Measurement, Workload, measure
from deploylib.loadtest.records import Key, RecordedRun, Records, Subject
from deploylib.loadtest.report import Assessment
from deploylib.loadtest.validity import find_faults
from deploylib.system import process

__all__ = ["assess"]


def assess(
    workload: Workload,
    subject: Subject,
    records: Records,
    *,
    before: Measurement | None = None,
    has_time: Callable[[], bool] = lambda: True,
    runner: process.Runner = process.SYSTEM,
) -> Assessment:
    """Test one service under load.

    Args:
        has_time: for a third measurement; without, degraded is what both of two say.
        before: what this process has measured of the release that was live before, by the same workload.

    Raises:
        SettingsError: the locustfile is none, or asks for what it may not; or locust is not installed.
        NotExamined: what sends has died.
        Unreachable: the store did not tell the runs before.
    """
    objectives = Objectives(p95=subject.p95, error_rate=subject.error_rate)
    paired = Figures.of(before) if before is not None and not find_faults(before) else None

    def judge_once(measured: Measurement, earlier: Sequence[RecordedRun], elsewhere: int) -> Ruling:
        if faults := find_faults(measured):
            return Ruling(conclusion=Conclusion.INVALID, why=faults)
        return judge_run(Figures.of(measured), earlier, objectives, before=paired, elsewhere=elsewhere)

    taken = [measure(workload, runner)]
    key = Key.of(workload, subject, taken[0].generator)
    earlier, elsewhere = records.read(key, LOOK_BACK), records.count_elsewhere(key)
    rulings = [judge_once(taken[0], earlier, elsewhere)]
    while needs_another(rulings) and (len(taken) == 1 or has_time()):
        taken.append(measure(msgspec.structs.replace(workload, seed=workload.seed + len(taken)), runner))
        rulings.append(judge_once(taken[-1], earlier, elsewhere))
    ruling = combine_rulings(rulings)
    alike = [each for each, its in zip(taken, rulings, strict=True) if its.conclusion is ruling.conclusion]
    measured = alike[-1] if alike else taken[-1]
    figures, drift, unkept = Figures.of(measured), None, ""
    if ruling.conclusion is not Conclusion.INVALID:
        record = RecordedRun(
            run=subject.run,
            at=subject.at,
            commit=subject.commit,
            key=key,
            figures=figures,
            put_back=subject.puts_back and ruling.conclusion is Conclusion.DEGRADED,
        )
        unkept = _keep(records, record, measured)
        drift = find_drift((*earlier, record))
    return Assessment(
        subject=subject,
        workload=workload,
        ruling=ruling,
        seeds=tuple(each.seed for each in taken),
        figures=figures,
        bars=tuple(count_by_latency(measured.latencies)),
        drift=drift,
        unkept=unkept,
    )


def _keep(records: Records, record: RecordedRun, measured: Measurement) -> str:
    """Keep a record.

    Returns:
        why it could not be kept; it was measured all the same.
    """
    try:
        records.add(record, measured)
    except Interrupted:
        raise
    except DeployError as error:
        return error.message
    return ""
