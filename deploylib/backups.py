"""Backups outside of a run: which there are, the full proof of one, and a restore."""

from __future__ import annotations

from typing import Any

from deploylib import backup, check, flow, postgres, programs, restore
from deploylib.archive import Damaged
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import UNPROVEN, Backup, Secret
from deploylib.outcome import StageResult, StageStatus
from deploylib.restore import Done
from deploylib.scratch import ScratchDied
from deploylib.stages import Context
from deploylib.units import volume

__all__ = ["BESIDE", "DATABASE", "SCRATCH", "listed", "prove", "restored"]

LOCK_WITHIN = 60.0  # seconds, for a backup or a migration that is at work
SCRATCH, DATABASE, BESIDE = "scratch", "database", "beside"


def listed(ctx: Context) -> list[Backup]:
    """The backups of the environment, newest first; those that cannot be read are told."""
    for name in backup.unreadable(ctx.store, ctx.config.name):
        ctx.view.note(f"{name}: its manifest cannot be read, so it counts as none")
    return backup.listing(ctx.store, ctx.config.name)


def prove(ctx: Context, name: str = "", *, accept: bool = False) -> Backup:
    """Restore a backup into a scratch Postgres and compare it with what was backed up: the monthly drill.

    Args:
        name: its id; empty: the newest proven one.
        accept: of a dump that cannot be proven, write down that a person goes on with it all the same, and why: for the
            schema and the cause that it has, and for a day.

    Raises:
        BackupFailed: it is damaged, or holds something else.
        SettingsError: there is none, or no place to restore it; or there is nothing to accept, or no reason.
    """
    chosen = backup.find(ctx.store, ctx.config.name, name)
    if accept and (chosen.proof != UNPROVEN or not ctx.reason.strip()):
        raise SettingsError(
            "only a dump whose proof has failed can be accepted, and with a reason",
            remedy=f'inv backup.prove{ctx.config.flag} --backup ID --accept --reason "…" (inv backup.list)',
        )
    began = _began(ctx, f"{chosen.id}, {volume(chosen.size)}")
    client = programs.client_for(chosen.major, ctx.config.settings.postgres_bin, runner=ctx.runner)
    try:
        done = backup.prove(
            chosen, store=ctx.store, client=client, runner=ctx.runner, clock=ctx.clock, progress=ctx.view.transferred
        )
    except (Damaged, ScratchDied):
        raise
    except BackupFailed as error:
        if not accept:
            raise
        word = backup.Accepted(at=ctx.clock.now(), author=ctx.author or "somebody", reason=ctx.reason.strip())
        _ended(ctx, f"{chosen.id} is not proven: {error.message}", f"accepted: {word.reason}", began=began)
        return backup.accept(chosen, word, store=ctx.store)
    _ended(ctx, f"{done.id} restored and compared: {done.tables} tables", *done.notes, began=began)
    return done


def restored(
    ctx: Context, name: str = "", into: str = BESIDE, *, force: bool = False, unproven: bool = False, confirm: str = ""
) -> Done:
    """Restore a backup, and compare what is there then with it.

    Args:
        name: its id; empty: the newest proven one.
        into: ``beside``, a new database on the server of the environment's own; ``scratch``, which is thrown away;
            ``database``, the environment's own, of which a fresh backup is made first; or the name of a variable that
            holds a URL.
        force: empty the database first, if it is not.
        unproven: without the proof that the same restore can be done beside.
        confirm: the environment's name, typed by somebody who means its own database.

    Raises:
        SettingsError: no such backup or variable; it was not confirmed; the database is not empty.
        BackupFailed: the backup is damaged, or cannot be restored.
    """
    chosen = backup.find(ctx.store, ctx.config.name, name)
    if into == SCRATCH:
        proven = prove(ctx, chosen.id)
        return Done(proven, proven.proof_seconds, proven.tables, proven.notes)
    url = _address(ctx) if into == BESIDE else _own(ctx, confirm) if into == DATABASE else _named(ctx, into)
    ctx.struck.learn(url)
    facts = postgres.facts(url)
    if into == DATABASE:
        _saved(ctx)
    began = _began(ctx, f"{chosen.id}, {volume(chosen.size)}")
    client = programs.client_for(facts.major, ctx.config.settings.postgres_bin, runner=ctx.runner)
    edges: dict[str, Any] = {"store": ctx.store, "client": client, "runner": ctx.runner, "clock": ctx.clock}
    with postgres.exclusively(url, clock=ctx.clock, within=LOCK_WITHIN):
        if into == BESIDE:
            done = restore.beside(url, chosen, **edges, progress=ctx.view.transferred)
        else:
            done = restore.into(url, chosen, **edges, force=force, unproven=unproven, progress=ctx.view.transferred)
    compared = ", compared" if done.compared else ""
    where = f"the new database {done.database}" if done.database else "the database"
    _ended(ctx, f"{chosen.id} is in {where}: {done.tables} tables{compared}", *done.notes, began=began)
    return done


def _own(ctx: Context, confirm: str) -> Secret:
    """The environment's own database, for somebody who has typed its name."""
    if confirm != ctx.config.name:
        raise SettingsError(
            f"this puts a backup in the place of what {ctx.config.name!r} holds now",
            remedy=f"stop what writes to it, then the same with --confirm {ctx.config.name}",
        )
    return _address(ctx)


def _address(ctx: Context) -> Secret:
    """Where the environment's own database is."""
    name = check.database(ctx.config, check.read_blueprint(ctx.config, ctx.git, ctx.git.commit("HEAD")))
    url = check.address(ctx.config, ctx.render, name)
    if url is None:
        raise SettingsError("the product has no database", remedy="set database in the settings")
    return url


def _named(ctx: Context, variable: str) -> Secret:
    if "://" in variable:
        raise SettingsError(
            "a URL in an argument is seen by everybody on this machine",
            remedy="export RESTORE_URL=…, and --into RESTORE_URL",
        )
    value = ctx.config.environ.get(variable, "").strip()
    if not value:
        raise SettingsError(
            f"there is no variable {variable}",
            remedy=f"--into {BESIDE}, {SCRATCH}, {DATABASE}, or a variable that holds a URL",
        )
    return Secret(value)


def _saved(ctx: Context) -> None:
    """A fresh backup of what is about to be replaced, under a run of its own."""
    report = flow.run(ctx, until="backup")
    if report.exit_code:
        raise SettingsError(
            f"what is there now could not be backed up: {report.error}", remedy="inv backup, and then the same again"
        )


def _began(ctx: Context, what: str) -> float:
    ctx.view.note(what)
    ctx.view.began("restore")
    return ctx.clock.monotonic()


def _ended(ctx: Context, *lines: str, began: float) -> None:
    took = ctx.clock.monotonic() - began
    ctx.view.ended(StageResult(stage="restore", status=StageStatus.DONE, lines=lines, seconds=took))
