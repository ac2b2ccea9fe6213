"""What was left half-way is brought to its end: a database that is marked *restoring*, and then an open run.

The database comes first, as no release can be verified on half of one. A job of CI that only closes its run does not decide
what a person's restore comes to, unless it is told to.
"""

from __future__ import annotations

import msgspec

from deploylib import attempt, backup, backups, flow, local, manifest, mark, operation, postgres, stages
from deploylib.errors import BackupFailed, SettingsError
from deploylib.mark import Mark
from deploylib.models import Backup, Secret
from deploylib.outcome import Report, StageResult, StageStatus
from deploylib.stages import Context

__all__ = ["BACK", "COMPLETE", "RESTORED", "finish"]

COMPLETE, BACK = "complete", "back"
RESTORED = "restored"  # the outcome, where nothing else was open


def finish(ctx: Context, run: str = "", database: str = "") -> Report:
    """End a restore that was left half-way, and an open run; see `flow.finish`.

    Args:
        run: its id or the end of it; default: this CI run's, or the newest one that is open.
        database: what a database that is marked shall hold: ``complete``, the backup that was being put in (the default, but
            in CI only where it is said); ``back``, what was there before; or the id of a backup.

    Raises:
        SettingsError: nothing was left of what *database* asks for.
        LeaseHeld: somebody else is at work there.
        BackupFailed: neither backup can be restored; the database stays marked.
    """
    done = _database(ctx, database)
    report = flow.finish(ctx, run)
    if done is None:
        return report
    outcome = RESTORED if report.outcome == attempt.NOTHING else report.outcome
    return msgspec.structs.replace(report, outcome=outcome, stages=(done, *report.stages))


def _database(ctx: Context, wanted: str) -> StageResult | None:
    """End a restore of the environment's own database, where the store or a person says that one is open; None: it is whole."""
    if ctx.config.exported or not (wanted or mark.left_open(ctx.store, ctx.config.name)):
        return None
    if ctx.build is not None and not wanted:
        step = f"inv finish{ctx.config.flag} --database complete, or back"
        ctx.view.note(f"a restore of the database has begun and not ended: {step}")
        return None
    if ctx.config.is_local:
        local.up(ctx.config, runner=ctx.runner)
    url = stages.own_database(ctx)
    found = _marked(ctx, url)
    if url is None or found is None:
        if wanted:
            raise SettingsError(
                f"the database of {ctx.config.name!r} is not marked: no restore was left half-way",
                remedy="inv finish, without --database; inv backup.restore puts a backup in its place",
            )
        ctx.view.note("the database is whole: a restore that was left had not begun, or was at its end")
        return None
    began = ctx.clock.monotonic()
    chosen = _chosen(ctx, found, wanted)
    said = msgspec.structs.replace(
        found, environment=ctx.config.name, id=found.id or f"{ctx.clock.now():%Y%m%dT%H%M%S.%f}"
    )
    with operation.recorded(ctx, "restore", holding=True) as told:
        done = backups.put(ctx, url, chosen, begun=said, again=True)
        told.extend(backups.restored_lines(done))
    lines = (f"{chosen.id} is in the database: {done.tables} tables", *done.notes)
    took = round(ctx.clock.monotonic() - began, 3)
    return StageResult(stage="restore", status=StageStatus.DONE, lines=lines, seconds=took)


def _marked(ctx: Context, url: Secret | None) -> Mark | None:
    """The mark of a database; where it has none, and nobody is at work on it, the store learns that it is whole."""
    if url is None:
        return None
    if (found := mark.read(url)) is not None:
        return found
    with postgres.exclusively(url, clock=ctx.clock, within=backups.LOCK_WITHIN):
        if (found := mark.read(url)) is None:
            mark.end(ctx.store, ctx.config.name, clock=ctx.clock)
    return found


def _chosen(ctx: Context, found: Mark, wanted: str) -> Backup:
    """The backup that is put in: the one that is asked for, or, if that was not and it cannot be read, the fresh one.

    Raises:
        SettingsError: there is none of that name, or nothing was there before.
        BackupFailed: it cannot be read.
    """
    if wanted == BACK:
        if not found.saved:
            raise SettingsError("nothing was in the database before", remedy="inv finish (completes the restore)")
        return _readable(ctx, found.saved)
    if wanted not in {"", COMPLETE}:
        return _readable(ctx, wanted)
    try:
        return _readable(ctx, found.backup)
    except (BackupFailed, SettingsError) as error:
        if not found.saved or wanted:
            raise
        ctx.view.note(f"{error.message}: what was there before is put back ({found.saved})")
        return _readable(ctx, found.saved)


def _readable(ctx: Context, name: str) -> Backup:
    """The backup of that id, once all of it was read."""
    chosen = backup.find(ctx.store, ctx.config.name, name or "(nobody knows which)")
    manifest.manifest(chosen, store=ctx.store)
    backup.read_back(chosen, store=ctx.store)
    return chosen
