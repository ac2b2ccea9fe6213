"""Put a backup into a database, or end such a restore."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from deploylib.backups import repository, restore, restore_mark
from deploylib.environment import Environment
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import Backup, Secret
from deploylib.models.database import Into, RestoreResult
from deploylib.models.results import StageResult, StageStatus
from deploylib.models.units import count, volume
from deploylib.postgres import connection
from deploylib.release import database, record_operation
from deploylib.render import local
from deploylib.state import Lease

__all__ = ["LOCK_WITHIN", "RESTORE_TITLE", "describe_restore", "finish_restore", "put", "tell_end", "tell_start"]

RESTORE_TITLE = "⚠ database restored from a backup"
LOCK_WITHIN = 60.0  # seconds, for a backup or a migration that is at work


def put(
    env: Environment,
    url: Secret,
    chosen: Backup,
    *,
    force: bool = False,
    unproven: bool = False,
    begun: restore_mark.Mark | None = None,
    again: bool = False,
    lease: Lease | None = None,
) -> RestoreResult:
    """Put a backup into a database, under its lock.

    Meanwhile nobody else backs it up, migrates it or puts anything into it.

    Args:
        begun: of the environment's own: what its mark shall say, if it needs one.
        again: it is marked, and started over.
        lease: under which the environment's own is changed.

    Raises:
        Held: the environment's own is marked.
        SettingsError: with *again*, it is not marked any more: somebody else has ended it.
        BackupFailed: the backup is damaged, or cannot be restored.
    """
    began = tell_start(env, f"{chosen.id}, {volume(chosen.size)}")
    with connection.lock_database(url, clock=env.clock, within=LOCK_WITHIN):
        mark = restore_mark.find_mark(url)
        if again and mark is None:
            raise SettingsError("somebody else has ended the restore meanwhile", remedy=f"inv status{env.flag}")
        if begun is not None and not again:
            restore_mark.require_no_mark(mark, env.flag)
        edges = replace(env.backup_edges, fence=lease.fence) if lease is not None else env.backup_edges
        into: Into = "unproven" if again or (force and unproven) else "emptied" if force else "empty"
        done = restore(url, chosen, edges, into, begun)
    return _restored(env, done, began)


def _restored(env: Environment, done: RestoreResult, began: float) -> RestoreResult:
    tell_end(env, *describe_restore(done), since=began)
    return done


def describe_restore(done: RestoreResult) -> tuple[str, ...]:
    """Write what a restore comes to."""
    compared = ", compared" if done.compared else ""
    where = f"the new database {done.database}" if done.database else "the database"
    return (f"{done.backup.id} is in {where}: {count(done.tables, 'table')}{compared}", *done.notes)


def tell_start(env: Environment, what: str) -> float:
    """Tell that a restore begins; return when, by the clock's `monotonic`."""
    env.progress.note(what)
    env.progress.began("restore")
    return env.clock.monotonic()


def tell_end(env: Environment, *lines: str, since: float) -> None:
    """Tell how a restore has ended, and how long it took."""
    took = env.clock.monotonic() - since
    env.progress.ended(StageResult(stage="restore", status=StageStatus.DONE, lines=lines, seconds=took))


COMPLETE, BACK = "complete", "back"


def finish_restore(env: Environment, wanted: str = "") -> StageResult | None:
    """End a restore that was left half-way.

    It is one of the environment's own database, where the store or a person says that it is open; None: the database is
    whole.
    """
    if env.config.exported or not (wanted or restore_mark.list_open(env.store, env.name)):
        return None
    if env.build is not None and not wanted:
        step = f"inv finish{env.flag} --database complete, or back"
        env.progress.note(f"a restore of the database has begun and not ended: {step}")
        return None
    if env.config.is_local:
        local.up(env.config, runner=env.runner)
    url = database.own_database(env)
    mark = _marked(env, url)
    if url is None or mark is None:
        if wanted:
            raise SettingsError(
                f"the database of {env.name!r} is not marked: no restore was left half-way",
                remedy="inv finish, without --database; inv backup.restore puts a backup in its place",
            )
        env.progress.note("the database is whole: a restore that was left had not begun, or was at its end")
        return None
    began = env.clock.monotonic()
    chosen = _chosen(env, mark, wanted)
    begun = msgspec.structs.replace(mark, environment=env.name, id=mark.id or f"{env.clock.now():%Y%m%dT%H%M%S.%f}")
    with record_operation(env, "restore", needs_lease=True, title=RESTORE_TITLE) as operation:
        done = put(env, url, chosen, begun=begun, again=True, lease=operation.lease)
        operation.lines.extend(describe_restore(done))
    lines = (f"{chosen.id} is in the database: {count(done.tables, 'table')}", *done.notes)
    took = round(env.clock.monotonic() - began, 3)
    return StageResult(stage="restore", status=StageStatus.DONE, lines=lines, seconds=took)


def _marked(env: Environment, url: Secret | None) -> restore_mark.Mark | None:
    """Find the mark of a database.

    Where it has none, and nobody is at work on it, the store learns that it is whole.
    """
    if url is None:
        return None
    if (mark := restore_mark.find_mark(url)) is not None:
        return mark
    with connection.lock_database(url, clock=env.clock, within=LOCK_WITHIN):
        if (mark := restore_mark.find_mark(url)) is None:
            restore_mark.record_end(env.store, env.name, clock=env.clock)
    return mark


def _chosen(env: Environment, mark: restore_mark.Mark, wanted: str) -> Backup:
    """Choose the backup to put in.

    It is the one that is asked for, or, if that was not and it cannot be read, the fresh one.

    Raises:
        SettingsError: there is none of that name, or nothing was there before.
        BackupFailed: it cannot be read.
    """
    if wanted == BACK:
        if not mark.saved:
            raise SettingsError("nothing was in the database before", remedy="inv finish (completes the restore)")
        return _readable(env, mark.saved)
    if wanted not in {"", COMPLETE}:
        return _readable(env, wanted)
    try:
        return _readable(env, mark.backup)
    except (BackupFailed, SettingsError) as error:
        if not mark.saved or wanted:
            raise
        env.progress.note(f"{error.message}: what was there before is put back ({mark.saved})")
        return _readable(env, mark.saved)


def _readable(env: Environment, name: str) -> Backup:
    """Find the backup of that id, and read all of it."""
    chosen = repository.find(env.store, env.name, name or "(nobody knows which)")
    repository.read_manifest(chosen, store=env.store)
    repository.read_back(chosen, store=env.store)
    return chosen
