"""One small class per stage: `plan` only reads, `apply` acts; both say what they found.

A stage composes primitives and keeps what later stages need in its result, so that they find it also on another
machine. Nothing is skipped without a reason.
"""

from deploylib.stages.back import SCHEMA, Rollback, goes_with
from deploylib.stages.context import BETWEEN_JOBS, Checked, Context, Made, Planned, Stage, View
from deploylib.stages.data import Backup, Migrate
from deploylib.stages.gate import GATES, Scan, Tests, examine, judged
from deploylib.stages.marked import half_restored, own_database
from deploylib.stages.ready import Check
from deploylib.stages.release import Deploy, Verify, answered, prove
from deploylib.stages.survey import Changes, alone, not_held
from deploylib.stages.unknown import not_known

__all__ = [
    "BETWEEN_JOBS",
    "GATES",
    "SCHEMA",
    "Backup",
    "Changes",
    "Check",
    "Checked",
    "Context",
    "Deploy",
    "Made",
    "Migrate",
    "Planned",
    "Rollback",
    "Scan",
    "Stage",
    "Tests",
    "Verify",
    "View",
    "alone",
    "answered",
    "examine",
    "goes_with",
    "half_restored",
    "judged",
    "not_held",
    "not_known",
    "own_database",
    "prove",
]
