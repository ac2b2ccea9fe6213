"""What is not known: platform or store stopped answering after a deploy was asked for."""

from __future__ import annotations

from deploylib.errors import DeployError, NotKnownYet, Unreachable
from deploylib.release.run import Run
from deploylib.system import files

__all__ = ["explain_unknown"]


def explain_unknown(run: Run, error: DeployError) -> NotKnownYet | None:
    """Say that nothing has failed yet: after the commit point nobody answered.

    Returns:
        None before that point, and for an error that somebody has answered with.
    """
    if isinstance(error, NotKnownYet):
        return error
    if not run.state.intents or not isinstance(error, (Unreachable, files.Unwritable)):
        return None
    where = run.env.flag
    return NotKnownYet(
        error.message,
        details=(*error.details, *_as_far_as_known(run)),
        remedy=f"{error.remedy}; then inv finish{where} completes the run or puts back what it changed",
    )


def _as_far_as_known(run: Run) -> list[str]:
    """What this run knows of each service that it was about to change."""
    lines = []
    for name, intent in run.state.intents.items():
        was = intent.previous.commit[:7] or "nothing"
        if name in run.state.shipped:
            lines.append(f"{name}: {intent.commit[:7]} went live, after {was}")
        elif name in run.state.triggered:
            deploy = run.state.triggered[name].deploy_id
            lines.append(
                f"{name}: {deploy} of {intent.commit[:7]} was accepted, after {was}; how it ended is not known"
            )
        else:
            lines.append(
                f"{name}: {intent.commit[:7]} was asked for, after {was}; whether it was accepted is not known"
            )
    return lines
