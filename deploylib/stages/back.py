"""Going back: an earlier verified release as one unit, once it is known that it can serve."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar

import msgspec

from deploylib import migrate, postgres, rollback, schema
from deploylib.errors import Blocked, DeployError, Interrupted, MigrationFailed, SettingsError
from deploylib.ledger import Restored, RunState
from deploylib.models import UNKNOWN, Kind, Live, Migration, Order, Secret
from deploylib.outcome import StageResult, StageStatus, short
from deploylib.stages.context import Context, Planned, Stage, result, table
from deploylib.stages.gate import waived
from deploylib.stages.release import carried_out, variables

__all__ = ["SCHEMA", "Rollback", "goes_with"]

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
        live, history, doubt = ctx.live(strict=False), list(ctx.ledger.history(ctx.config.name, 50)), ""
        if ctx.state.restoring is not None:
            release = ctx.ledger.state(ctx.state.restoring.run)
        else:
            bad = {commit for hold in ctx.holds.current() for commit in hold.commits}
            release = rollback.choose(history, live, ctx.to, bad=bad)
            doubt = self._fits(ctx, release, history, live)
        orders = rollback.orders(ctx.checked.targets, release.release, live, ctx.state.intents)
        if not orders:
            raise SettingsError("every service of it serves that already", remedy="inv status")
        found = [doubt] if doubt else []
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

    def _fits(self, ctx: Context, release: RunState, history: list[RunState], live: Mapping[str, Live]) -> str:
        """What is not known of whether its code goes with the schema: that is told, and keeps nobody from going back.

        Raises:
            Blocked: it is known not to.
        """
        if (given := waived(ctx, SCHEMA)) is not None:
            ctx.journal.record("stage", given)
            return ""
        database = _schema(ctx, history)
        found = _compared(ctx, release, history, database, live)
        if found.misfits:
            bad = {commit for hold in ctx.holds.current() for commit in hold.commits}
            others = rollback.candidates(history, live, bad=bad)
            safe = next((one for one in others if _compared(ctx, one, history, database, live).known), None)
            go = f"inv rollback --to {short(safe.id)} ({safe.commit.short}) goes with it; or " if safe else ""
            raise Blocked(
                f"{release.commit.short} does not go with the schema as it is",
                details=found.misfits,
                remedy=f"{go}correct it in a new commit and inv deploy; a backup is never restored by itself",
            )
        if found.doubt:
            doubt = result(SCHEMA, found.doubt, status=StageStatus.SKIPPED, data={"fits": UNKNOWN})
            ctx.journal.record("stage", doubt)
        return found.doubt


def goes_with(ctx: Context, release: RunState, history: list[RunState], live: Mapping[str, Live]) -> schema.Fit:
    """Whether what goes back to a release goes with the schema as it is, as far as anybody knows."""
    return _compared(ctx, release, history, _schema(ctx, history), live)


def _compared(
    ctx: Context, release: RunState, history: list[RunState], database: Migration | str, live: Mapping[str, Live]
) -> schema.Fit:
    stays = {one.service for one in release.release if one.service in live and one.commit == live[one.service].commit}
    stays |= {target.name for target in ctx.checked.targets if target.kind is Kind.STATIC}
    needs = [one for one in release.release if one.commit and one.service not in stays]
    if isinstance(database, str):
        return schema.Fit(unknown=(database,) if needs else ())
    if not database.current and not any(one.schema for one in needs):
        return schema.Fit()  # neither the database nor the code knows of any
    return schema.fit(needs, database, schema.served(history))


def _schema(ctx: Context, history: list[RunState]) -> Migration | str:
    """Where the database is, or why nobody knows.

    It is read with the files of the newest commit that has migrated it, which knows every revision; what another tool has
    applied, the history tells.
    """
    if ctx.config.exported:
        return "the database is not opened from here"
    try:
        if ctx.database is None:
            return Migration()
        if ctx.config.settings.migrations.command:
            applied = schema.recorded(history)
            current = applied[-1].id if applied else ""
            return Migration(current=current, applied=applied, unchecked=migrate.UNCHECKED)
        return _read(ctx, ctx.database, history)
    except Interrupted:
        raise
    except DeployError as error:
        return error.message


def _read(ctx: Context, url: Secret, history: list[RunState]) -> Migration:
    """Where the database is, by alembic; by its own table alone where the commit's migrations cannot be read."""
    migrated = (state.opened.commit.id for state in history if state.done("migrate") and _pending(state))
    commit = next((one for one in migrated if ctx.git.has(one)), ctx.git.commit("HEAD").id)
    with suppress(MigrationFailed, SettingsError), ctx.git.exported(commit) as files:
        if migrate.present(ctx.config, files):
            return migrate.status(ctx.config, files, url, runner=ctx.runner)
    return Migration(current=postgres.facts(url).revision, ahead=True)


def _pending(state: RunState) -> bool:
    return bool(state.data("changes", Planned).migration.pending)
