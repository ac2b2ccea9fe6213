"""Judge whether the instrument kept up.

A run in which it did not says nothing, and nothing is corrected afterwards.
"""

from __future__ import annotations

from deploylib.loadtest.figures import percentile
from deploylib.loadtest.measurement import Measurement

__all__ = ["find_faults"]

PROCESSOR = 0.70  # of one processor: beyond it a sender's own queue is measured
SLIP = 20.0  # milliseconds, the 99th percentile
BUSY = 0.80  # of the most users at once
SKIPPED = BROKEN = 0.01  # of the arrivals


def find_faults(measured: Measurement) -> tuple[str, ...]:
    """Say why a measurement is invalid, and what to do.

    Empty: it is not.
    """
    slip = percentile(sorted(measured.slips), 0.99)
    planned, cap = max(1, measured.planned), max(1, measured.in_flight)
    faults = []
    if not measured.requests:
        faults.append("nothing was measured: longer, or at a higher rate")
    elif not any(each.error.isdigit() or not each.error for each in measured.requests):
        fault = f"nobody answered ({', '.join(measured.errors)}), so that it may be the way there as well"
        faults.append(f"{fault}: inv verify tells")
    if measured.processor > PROCESSOR:
        reason = f"the sender took {measured.processor:.0%} of a processor, more than {PROCESSOR:.0%}"
        faults.append(f"{reason}: a lower rate, or FastHttpUser in place of HttpUser")
    if slip > SLIP:
        reason = f"1 % of the requests were sent {slip:.0f} ms too late or later, more than {SLIP:.0f} ms"
        faults.append(
            f"{reason}: again, from a machine that does nothing beside it (deploylib's docs/loadtest.md, Too late)"
        )
    if measured.busiest / cap > BUSY:
        reason = f"{measured.busiest} of {measured.in_flight} users were busy at once, more than {BUSY:.0%}"
        faults.append(f"{reason}: a lower rate, or a higher in_flight")
    if measured.skipped / planned > SKIPPED:
        faults.append(f"{measured.skipped / planned:.1%} of the arrivals were skipped, more than {SKIPPED:.0%}")
    if measured.broken / planned > BROKEN:
        reason = f"{measured.broken} of {measured.planned} tasks broke off in the locustfile itself"
        faults.append(f"{reason} ({measured.trouble}): correct it")
    return tuple(faults)
