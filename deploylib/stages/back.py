"""Going back: an earlier verified release as one unit, once it is known that it can serve."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from deploylib import migrate, rollback, schema
from deploylib.errors import Blocked, SettingsError
from deploylib.ledger import Restored, RunState
from deploylib.models import Migration, Order
from deploylib.outcome import StageResult, StageStatus, short
from deploylib.stages.context import Context, Planned, Stage, result, table
from deploylib.stages.gate import waived
from deploylib.stages.release import carried_out, variables

__all__ = ["SCHEMA", "Rollback", "outside"]

SCHEMA = "schema"


class Rollback(Stage):
    """An earlier verified release, from its kept artifacts; the schema stays as it is."""

    name: ClassVar[str] = "rollback"

    def plan(self, ctx: Context) -> StageResult:
        """Say what would be restored, and what comes back with it."""
        release, orders, notes = self._chosen(ctx)
        rows = [(order.target.name, f"{order.previous.commit[:7]} → {order.commit[:7]}") for order in orders]
        head = f"release of run {short(release.id)}, {release.commit.short}; the schema stays as it is"
        return result(self.name, head, *table(rows), *notes, status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Restore; what was chosen is recorded first, so that a rollback that was killed goes on to the same release."""
        release, orders, notes = self._chosen(ctx)
        ctx.view.note(
            f"back to run {short(release.id)}, {release.commit.short} {release.commit.subject!r}",
            "the schema stays as it is; each service gets that deploy's environment variables again",
            *notes,
        )
        if ctx.state.restoring is None:
            ctx.journal.record("restoring", Restored(run=release.id, commit=release.commit))
        ctx.commit = release.commit
        return carried_out(self.name, ctx, orders)

    def _chosen(self, ctx: Context) -> tuple[RunState, list[Order], list[str]]:
        """The release, what each service does, and what a person should know.

        Raises:
            SettingsError: there is nothing to go back to.
            Blocked: its code does not go with the schema.
        """
        live, history = ctx.live(strict=False), list(ctx.ledger.history(ctx.config.name, 50))
        if ctx.state.restoring is not None:
            release = ctx.ledger.state(ctx.state.restoring.run)
        else:
            bad = {commit for hold in ctx.holds.current() for commit in hold.commits}
            release = rollback.choose(history, live, ctx.to, bad=bad)
            self._fits(ctx, release, history)
        orders = rollback.orders(ctx.checked.targets, release.release, live, ctx.state.intents)
        if not orders:
            raise SettingsError("every service of it serves that already", remedy="inv status")
        found = ["the schema was not looked at: the database is not opened from here"] if ctx.config.exported else []
        ready = []
        for order in orders:
            recorded = rollback.variables(history, order.target.name, order.from_deploy)
            ready.append(msgspec.structs.replace(order, variables=recorded))
            then = set(recorded)
            names = variables(ctx, order.target) if then else ()
            if back := sorted(then - set(names)):
                found.append(f"{order.target.name}: comes back, as it was then: {', '.join(back)}")
            if gone := sorted(set(names) - then) if then else []:
                found.append(f"{order.target.name}: was not there then, and goes: {', '.join(gone)}")
        return release, ready, found

    def _fits(self, ctx: Context, release: RunState, history: list[RunState]) -> None:
        if (given := waived(ctx, SCHEMA)) is not None:
            ctx.journal.record("stage", given)
            return
        found = outside(ctx, release, history)
        if not found:
            return
        safe = next((state for state in history if state.release and not outside(ctx, state, history)), None)
        go = f"inv rollback --to {short(safe.id)} ({safe.commit.short}) goes with it; or " if safe is not None else ""
        raise Blocked(
            f"{release.commit.short} does not go with the schema as it is",
            details=tuple(found),
            remedy=f"{go}correct it in a new commit and inv deploy; a backup is never restored by itself",
        )


def outside(ctx: Context, release: RunState, history: list[RunState]) -> list[str]:
    """Why a release does not go with the schema; empty when it does, or where nothing of it needs one."""
    if ctx.database is None or not any(one.schema for one in release.release):
        return []
    return schema.gaps(release.release, _schema(ctx, history), schema.served(history))


def _schema(ctx: Context, history: list[RunState]) -> Migration:
    """Where the database is, read with the files of the newest commit that has migrated it, which knows every revision."""
    if ctx.database is None:
        return Migration()
    migrated = (state.opened.commit.id for state in history if state.done("migrate") and _pending(state))
    commit = next((one for one in migrated if ctx.git.has(one)), ctx.git.commit("HEAD").id)
    with ctx.git.exported(commit) as files:
        if not migrate.present(ctx.config, files):
            return Migration()
        return migrate.status(ctx.config, files, ctx.database, runner=ctx.runner)


def _pending(state: RunState) -> bool:
    return bool(state.data("changes", Planned).migration.pending)
