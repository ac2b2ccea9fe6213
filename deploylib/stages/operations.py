"""What was asked for beside the releases, where a release goes on from it."""

from __future__ import annotations

from deploylib import backup
from deploylib.ledger import OPERATIONS, RunState
from deploylib.models import Backup, Migration
from deploylib.outcome import StageStatus
from deploylib.stages.context import Context, Made, Planned
from deploylib.units import seconds

__all__ = ["backup_for_release"]

LAST = 20  # operations that are looked at


def backup_for_release(ctx: Context) -> Backup | None:
    """The backup of ``inv backup``, typed before this very release: no second one is made of what it holds.

    As long ago at most as a run may take, of the same commit and the same schema, with the same migrations rehearsed on it;
    and nothing was restored, deployed or migrated since.
    """
    if ctx.build is not None:
        return None
    done = list(ctx.ledger.history(ctx.config.name, LAST, OPERATIONS))
    asked = next((one for one in done if one.opened.operation == "backup"), None)
    if asked is None or asked.report is None or asked.report.exit_code:
        return None
    if any(one.opened.operation == "restore" and (one.report is None or one.last > asked.last) for one in done):
        return None
    elapsed = (ctx.clock.now() - asked.last).total_seconds()
    made, result = asked.data("backup", Made).backup, asked.stages.get("backup")
    if made is None or result is None or result.status is not StageStatus.DONE or _changed_since(ctx, asked):
        return None
    same = asked.opened.commit.id == ctx.commit.id and elapsed < seconds(ctx.config.settings.deadline)
    if not same or _schema(asked.data("changes", Planned).migration) != _schema(ctx.planned.migration):
        return None
    kept = backup.listing(ctx.store, ctx.config.name)
    return next((one for one in kept if one.id == made.id), None)


def _schema(migration: Migration) -> tuple[str, str, tuple[str, ...]]:
    return migration.current, migration.target, tuple(one.id for one in migration.pending)


def _changed_since(ctx: Context, asked: RunState) -> bool:
    """Whether a run has migrated or deployed since."""
    runs = ctx.ledger.history(ctx.config.name, LAST)
    return any(one.last > asked.last and (one.intents or one.done("migrate")) for one in runs if one.id != ctx.state.id)
