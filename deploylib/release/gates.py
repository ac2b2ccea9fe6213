"""Gates: what a person may leave out, with a reason."""

from __future__ import annotations

from deploylib.models import StageName, Waived
from deploylib.models.results import StageResult
from deploylib.release.run import Run, skipped

__all__ = ["GATES", "skip_gate"]

GATES = (StageName.TESTS, StageName.SCAN)


def skip_gate(run: Run, gate: StageName) -> StageResult | None:
    """A gate that a person leaves out; it is recorded, and told with the end of the run."""
    if gate not in run.options.skip:
        return None
    by = Waived(skipped_by=run.env.author, reason=run.options.reason)
    return skipped(gate, f"by {by.skipped_by}: {by.reason}", data=by)
