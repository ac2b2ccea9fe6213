"""What a person may do in the tool's place: give a lease back, hold an environment, lift a hold; always with a reason."""

from __future__ import annotations

import msgspec

from deploylib.errors import SettingsError
from deploylib.hold import Hold
from deploylib.lease import Lease
from deploylib.stages import Context

__all__ = ["lift_hold", "place_hold", "release_lease"]


def release_lease(ctx: Context) -> Lease:
    """Give the environment back in its holder's place; the holder learns of it before its next step.

    Raises:
        SettingsError: nobody holds it, or there is no reason.
    """
    _reason(ctx, "giving a lease back for somebody else", "lease.release", "its runner is gone")
    now = ctx.leases.current()
    if now is None or not now.held:
        raise SettingsError(f"nobody holds {ctx.config.name!r}", remedy="inv lease")
    ctx.leases.release(now.number, f"by {ctx.author or 'somebody'}: {ctx.reason}")
    return msgspec.structs.replace(now, state="released", reason=ctx.reason)


def place_hold(ctx: Context, commit: str = "") -> Hold:
    """Refuse every release from now on, also going back; or only those of one commit.

    Raises:
        SettingsError: there is no reason, or no such commit.
    """
    _reason(ctx, "a hold", "hold", "moving the database until noon")
    commits = [ctx.git.commit(commit).id] if commit else []
    return ctx.holds.place(commits, ctx.reason.strip(), author=ctx.author)


def lift_hold(ctx: Context, commit: str = "") -> tuple[Hold, ...]:
    """Let releases through again: lift every hold, or only those of one commit.

    Raises:
        SettingsError: nothing is held.
    """
    held = ctx.holds.current()
    if commit:
        found = ctx.git.commit(commit).id
        held = tuple(one for one in held if found in one.commits)
    if not held:
        raise SettingsError(f"{ctx.config.name!r} holds nothing of that kind", remedy="inv status")
    for one in held:
        ctx.holds.lift(one, author=ctx.author, reason=ctx.reason.strip())
    return held


def _reason(ctx: Context, what: str, task: str, example: str) -> None:
    if not ctx.reason.strip():
        remedy = f'inv {task} --environment {ctx.config.name} --reason "{example}"'
        raise SettingsError(f"{what} needs a reason", remedy=remedy)
