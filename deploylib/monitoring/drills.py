"""When somebody has practised last, by the operations of the history.

Drills are rare among backups and restores, so that the last one may be hundreds of operations ago. What was read once is not read
again: monitors remember the last drill, and up to which operation that is known.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from deploylib.models import Moment, Value
from deploylib.state import History

__all__ = ["READ_AT_ONCE", "DrillRecord", "find_drill"]

DRILLS = frozenset({"drill"})  # operations, as `Opened.operation` has them
READ_AT_ONCE = 50  # operations that are read at once
ABANDONED = timedelta(days=1)  # after which one that has no end will have none


class DrillRecord(Value, frozen=True):
    """The last drill that has come to a good end.

    Attributes:
        at: when; None: none is known.
        until: the id of the newest operation of those that need not be read again.
    """

    at: Moment | None = None
    until: str = ""

    def merge(self, other: DrillRecord) -> DrillRecord:
        """Join what two monitors know."""
        at = max((each.at for each in (self, other) if each.at is not None), default=None)
        return DrillRecord(at=at, until=max(self.until, other.until))


def find_drill(
    history: History, environment: str, known: DrillRecord, now: datetime, *, most: int = READ_AT_ONCE
) -> DrillRecord:
    """Look for a drill among operations newer than those known."""
    at, until = known.at, ""
    for state in history.read_operations(environment, most):
        if state.id <= known.until:
            break
        is_under_way = state.report is None and now - state.at < ABANDONED
        until = "" if is_under_way else until or state.id
        ended_well = state.report is not None and not state.report.exit_code
        if state.opened.operation in DRILLS and ended_well and (at is None or state.last > at):
            at = state.last
    return DrillRecord(at=at, until=until or known.until)
