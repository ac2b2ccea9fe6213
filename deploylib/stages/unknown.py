"""What is not known: platform or store stopped answering after a deploy was asked for."""

from __future__ import annotations

from deploylib import disk
from deploylib.errors import DeployError, NotKnownYet, Unreachable
from deploylib.stages.context import Context

__all__ = ["not_known"]


def not_known(ctx: Context, error: DeployError) -> NotKnownYet | None:
    """Say that nothing has failed yet: after the commit point nobody answered.

    Returns:
        None before that point, and for an error that somebody has answered with.
    """
    if isinstance(error, NotKnownYet):
        return error
    if not ctx.state.intents or not isinstance(error, (Unreachable, disk.Unwritable)):
        return None
    where = ctx.config.flag
    return NotKnownYet(
        error.message,
        details=(*error.details, *_as_far_as_known(ctx)),
        remedy=f"{error.remedy}; then inv finish{where} completes the run or puts back what it changed",
    )


def _as_far_as_known(ctx: Context) -> list[str]:
    """What this run knows of each service that it was about to change."""
    lines = []
    for name, intent in ctx.state.intents.items():
        was = intent.previous.commit[:7] or "nothing"
        if name in ctx.state.shipped:
            lines.append(f"{name}: {intent.commit[:7]} went live, after {was}")
        elif name in ctx.state.triggered:
            deploy = ctx.state.triggered[name].deploy_id
            lines.append(
                f"{name}: {deploy} of {intent.commit[:7]} was accepted, after {was}; how it ended is not known"
            )
        else:
            lines.append(
                f"{name}: {intent.commit[:7]} was asked for, after {was}; whether it was accepted is not known"
            )
    return lines
