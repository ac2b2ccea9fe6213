"""Act in the tool's place: leases, holds; always recorded."""

from __future__ import annotations

import msgspec

from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.models.results import short
from deploylib.release import record_operation
from deploylib.state import Hold, LeaseState

__all__ = ["hold", "lease", "lift", "lifting", "release_lease"]


def lease(env: Environment) -> LeaseState | None:
    """Read who may change the environment now; None: nobody ever asked."""
    return env.leases.read()


def release_lease(env: Environment, *, reason: str) -> LeaseState:
    """Release the environment's lease in its holder's place.

    The holder learns of it before its next step.

    Raises:
        SettingsError: nobody holds it, or there is no reason.
    """
    _require_reason(env, reason, "giving a lease back for somebody else", "lease.release", "its runner is gone")
    now = env.leases.read()
    if now is None or not now.taken:
        raise SettingsError(f"nobody holds {env.name!r}", remedy="inv lease")
    with record_operation(env, "lease", title="⚠ lease given back in its holder's place") as done:
        env.leases.release(now.number, f"by {env.author}: {reason}")
        done.lines.append(f"that of {now.holder.what} {short(now.holder.run)} given back: {reason.strip()}")
    return msgspec.structs.replace(now, state="released", reason=reason)


def hold(env: Environment, *, reason: str, commit: str = "") -> Hold:
    """Refuse every release, also going back, or one commit.

    Raises:
        SettingsError: there is no reason, or no such commit.
    """
    _require_reason(env, reason, "a hold", "hold", "moving the database until noon")
    about = env.git.commit(commit) if commit else None
    with record_operation(env, "hold", about, title="⏸ held") as done:
        placed = env.holds.place([about.id] if about else [], reason.strip(), author=env.author)
        done.lines.append(placed.line)
    return placed


def lift(env: Environment, *, commit: str = "", hold: str = "", reason: str = "") -> tuple[Hold, ...]:
    """Lift the only hold or freeze, or those that are named.

    Whoever ends one for a reason knows nothing of the others: a bad commit is as bad once the database was moved.

    Args:
        commit: lift the holds of this commit.
        hold: lift the one of this id, as ``inv status`` tells it.

    Raises:
        SettingsError: nothing of that kind is held; or several are, and nobody has said which.
    """
    current = env.holds.read()
    if hold:
        chosen = tuple(one for one in current if one.id == hold)
    elif commit:
        full_id = env.git.commit(commit).id
        chosen = tuple(one for one in current if full_id in one.commits)
    else:
        chosen = current if len(current) == 1 else tuple(one for one in current if one.everything)
    if not chosen or (len(chosen) > 1 and not commit):
        raise _which(env, current, several=bool(chosen))
    for lifted in chosen:
        with record_operation(env, "lift", title="▶ hold lifted") as done:
            env.holds.lift(lifted, author=env.author, reason=reason.strip())
            done.lines += [lifted.line, *([f"why it is lifted: {reason.strip()}"] if reason.strip() else [])]
    return chosen


def _which(env: Environment, current: tuple[Hold, ...], *, several: bool) -> SettingsError:
    """Tell that several holds could be meant, or none.

    Each that stands is named, with what lifts it.
    """
    message = "several holds refuse every release" if several else "holds nothing of that kind"
    return SettingsError(
        f"{env.name!r}: {message}" if several else f"{env.name!r} {message}",
        details=tuple(f"{one.line}: {lifting(env, one)}" for one in current),
        remedy="lift the one that is meant, see above" if current else f"inv status{env.flag}",
    )


def lifting(env: Environment, hold: Hold) -> str:
    """Write the command that lifts this hold and no other."""
    return f"inv hold.lift{env.flag} {hold.flag}"


def _require_reason(env: Environment, reason: str, what: str, task: str, example: str) -> None:
    if not reason.strip():
        remedy = f'inv {task} --environment {env.name} --reason "{example}"'
        raise SettingsError(f"{what} needs a reason", remedy=remedy)
