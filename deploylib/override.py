"""What a person may do in the tool's place: give a lease back, hold an environment, lift a hold; always recorded."""

from __future__ import annotations

import msgspec

from deploylib import operation
from deploylib.errors import SettingsError
from deploylib.hold import Hold
from deploylib.lease import Lease
from deploylib.outcome import short
from deploylib.stages import Context

__all__ = ["lift_hold", "lifting", "place_hold", "release_lease"]


def release_lease(ctx: Context) -> Lease:
    """Give the environment back in its holder's place; the holder learns of it before its next step.

    Raises:
        SettingsError: nobody holds it, or there is no reason.
    """
    _reason(ctx, "giving a lease back for somebody else", "lease.release", "its runner is gone")
    now = ctx.leases.current()
    if now is None or not now.held:
        raise SettingsError(f"nobody holds {ctx.config.name!r}", remedy="inv lease")
    with operation.recorded(ctx, "lease") as said:
        ctx.leases.release(now.number, f"by {ctx.author}: {ctx.reason}")
        said.append(f"that of {now.holder.what} {short(now.holder.run)} given back: {ctx.reason.strip()}")
    return msgspec.structs.replace(now, state="released", reason=ctx.reason)


def place_hold(ctx: Context, commit: str = "") -> Hold:
    """Refuse every release from now on, also going back; or only those of one commit.

    Raises:
        SettingsError: there is no reason, or no such commit.
    """
    _reason(ctx, "a hold", "hold", "moving the database until noon")
    about = ctx.git.commit(commit) if commit else None
    with operation.recorded(ctx, "hold", about) as said:
        hold = ctx.holds.place([about.id] if about else [], ctx.reason.strip(), author=ctx.author)
        said.append(hold.line)
    return hold


def lift_hold(ctx: Context, commit: str = "", hold: str = "") -> tuple[Hold, ...]:
    """Let releases through again: lift the only hold, or the one that refuses every release, or those that are named.

    Whoever ends one for a reason knows nothing of the others: a bad commit is as bad once the database was moved.

    Args:
        commit: lift the holds of this commit.
        hold: lift the one of this id, as ``inv status`` tells it.

    Raises:
        SettingsError: nothing of that kind is held; or several are, and nobody has said which.
    """
    current = ctx.holds.current()
    if hold:
        chosen = tuple(one for one in current if one.id == hold)
    elif commit:
        found = ctx.git.commit(commit).id
        chosen = tuple(one for one in current if found in one.commits)
    else:
        chosen = current if len(current) == 1 else tuple(one for one in current if one.everything)
    if not chosen or (len(chosen) > 1 and not commit):
        raise _which(ctx, current, several=bool(chosen))
    for one in chosen:
        with operation.recorded(ctx, "lift") as said:
            ctx.holds.lift(one, author=ctx.author, reason=ctx.reason.strip())
            said.append(one.line)
    return chosen


def _which(ctx: Context, current: tuple[Hold, ...], *, several: bool) -> SettingsError:
    """Several holds could be meant, or none is of that kind: each that stands, with what lifts it."""
    told = "several holds refuse every release" if several else "holds nothing of that kind"
    return SettingsError(
        f"{ctx.config.name!r}: {told}" if several else f"{ctx.config.name!r} {told}",
        details=tuple(f"{one.line}: {lifting(ctx, one)}" for one in current),
        remedy="lift the one that is meant, see above" if current else f"inv status{ctx.config.flag}",
    )


def lifting(ctx: Context, hold: Hold) -> str:
    """What a person types to lift this one and no other."""
    return f"inv hold.lift{ctx.config.flag} {hold.flag}"


def _reason(ctx: Context, what: str, task: str, example: str) -> None:
    if not ctx.reason.strip():
        remedy = f'inv {task} --environment {ctx.config.name} --reason "{example}"'
        raise SettingsError(f"{what} needs a reason", remedy=remedy)
