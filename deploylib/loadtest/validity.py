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
SKIPPED = 0.01  # of the arrivals


def find_faults(measured: Measurement) -> tuple[str, ...]:
    """Say why a measurement is invalid; empty: it is not."""
    slip = percentile(sorted(measured.slips), 0.99)
    skipped = measured.skipped / measured.planned if measured.planned else 0.0
    busy = measured.busiest / measured.in_flight if measured.in_flight else 0.0
    faults = []
    if not measured.requests:
        faults.append("nothing was measured")
    if measured.processor > PROCESSOR:
        faults.append(f"the sender took {measured.processor:.0%} of a processor, more than {PROCESSOR:.0%}")
    if slip > SLIP:
        faults.append(f"1 % of the requests were sent {slip:.0f} ms too late or later, more than {SLIP:.0f} ms")
    if busy > BUSY:
        faults.append(f"{measured.busiest} of {measured.in_flight} users were busy at once, more than {BUSY:.0%}")
    if skipped > SKIPPED:
        faults.append(f"{skipped:.1%} of the arrivals were skipped, more than {SKIPPED:.0%}")
    return tuple(faults)
