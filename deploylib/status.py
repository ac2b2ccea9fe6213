"""What is live, since when, and what could be done about it: answers for a person, read from platform and ledger."""

from __future__ import annotations

from datetime import datetime

import msgspec

from deploylib import backup, rollback, stages
from deploylib.errors import DeployError, SettingsError
from deploylib.lease import Lease
from deploylib.ledger import RunState
from deploylib.models import Live, LogLine
from deploylib.outcome import short
from deploylib.stages import Context

__all__ = ["Status", "find", "logs", "read", "release_lease"]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One screen.

    Attributes:
        live: by the platform's word; empty when it could not be asked, and *trouble* says why.
        back_to: run and commit that ``inv rollback`` would restore; empty where there is none.
        last: the last run, its outcome and commit.
        backup: the newest proven backup.
    """

    environment: str
    live: tuple[Live, ...] = ()
    trouble: str = ""
    back_to: str = ""
    last: str = ""
    last_at: datetime | None = None
    backup: str = ""
    backup_at: datetime | None = None


def read(ctx: Context) -> Status:
    """Look at platform, ledger and store."""
    history = list(ctx.ledger.history(ctx.config.name, 50))
    known = next((state for state in history if state.done("check")), None)
    live: tuple[Live, ...] = ()
    trouble = ""
    try:
        if known is not None:
            targets = known.data("check", stages.Checked).targets
            live = tuple(ctx.live_of(target) for target in targets)
        else:
            trouble = "nothing was ever deployed from here"
    except DeployError as error:
        trouble = f"{error.message} ({error.remedy})"
    back = rollback.candidates(history, {one.service: one for one in live}) if live else []
    last = history[0] if history else None
    made = backup.latest(ctx.store, ctx.config.name)
    return Status(
        environment=ctx.config.name,
        live=live,
        trouble=trouble,
        back_to=f"{back[0].commit.short} (run {short(back[0].id)})" if back else "",
        last=_one_line(last) if last else "",
        last_at=last.last if last else None,
        backup=f"{made.id} ({made.proof})" if made else "",
        backup_at=made.created_at if made else None,
    )


def _one_line(state: RunState) -> str:
    outcome = state.report.outcome if state.report else "open: inv deploy goes on"
    return f"{short(state.id)} {state.commit.short} {outcome}"


def release_lease(ctx: Context) -> Lease:
    """Give the environment back in its holder's place; the holder learns of it before its next step.

    Raises:
        SettingsError: nobody holds it, or there is no reason.
    """
    if not ctx.reason.strip():
        remedy = f'inv lease.release --environment {ctx.config.name} --reason "its runner is gone"'
        raise SettingsError("giving a lease back for somebody else needs a reason", remedy=remedy)
    now = ctx.leases.current()
    if now is None or not now.held:
        raise SettingsError(f"nobody holds {ctx.config.name!r}", remedy="inv lease")
    ctx.leases.release(now.number, f"by {ctx.author or 'somebody'}: {ctx.reason}")
    return msgspec.structs.replace(now, state="released", reason=ctx.reason)


def find(ctx: Context, run: str = "") -> RunState:
    """A run by its id or the end of it; the newest one that deployed something where none is named.

    Raises:
        SettingsError: there is none.
    """
    if run:
        found = ctx.ledger.find(ctx.config.name, run)
    else:
        found = next((state for state in ctx.ledger.history(ctx.config.name, 50) if state.triggered), None)
    if found is None:
        raise SettingsError(
            f"there is no run {run!r}" if run else "no run has deployed anything yet", remedy="inv history"
        )
    return found


def logs(ctx: Context, run: str = "", limit: int = 50) -> dict[str, list[LogLine]]:
    """The last lines of what a run's deploys built and started, by ``service build`` and ``service app``."""
    state = find(ctx, run)
    targets = {target.name: target for target in state.data("check", stages.Checked).targets}
    found = {}
    for name, triggered in state.triggered.items():
        target = targets[name]
        began = ctx.render.deploy(target.service_id, triggered.deploy_id).created_at
        for kind in ("build", "app"):
            found[f"{name} {kind}"] = ctx.render.logs(target.owner_id, target.service_id, kind, began, limit)
    return found
