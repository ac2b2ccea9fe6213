"""Backups outside of a run: which there are, the full proof of one, and a restore."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deploylib import backup, flow, mark, operation, postgres, programs, restore, stages
from deploylib.archive import Damaged
from deploylib.errors import BackupFailed, Interrupted, SettingsError
from deploylib.mark import Mark
from deploylib.models import UNPROVEN, Backup, Secret
from deploylib.outcome import StageResult, StageStatus
from deploylib.postgres import Facts
from deploylib.restore import Done, NotBeside
from deploylib.scratch import ScratchDied
from deploylib.stages import Context, Made
from deploylib.units import volume

__all__ = ["BESIDE", "DATABASE", "SCRATCH", "listed", "prove", "put", "restored", "restored_lines"]

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
    with operation.recorded(ctx, "prove") as said:
        return _proven(ctx, chosen, said, accept=accept)


def _proven(ctx: Context, chosen: Backup, said: list[str], *, accept: bool) -> Backup:
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
        word = backup.Accepted(at=ctx.clock.now(), author=ctx.author, reason=ctx.reason.strip())
        said += [f"{chosen.id} is not proven: {error.message}", f"accepted: {word.reason}"]
        _ended(ctx, *said, began=began)
        return backup.accept(chosen, word, store=ctx.store)
    said += [f"{done.id} restored and compared: {done.tables} tables", *done.notes]
    _ended(ctx, *said, began=began)
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
        LeaseHeld: a run or another restore is at work there.
        BackupFailed: the backup is damaged, or cannot be restored.
    """
    chosen = backup.find(ctx.store, ctx.config.name, name)
    if into == SCRATCH:
        proven = prove(ctx, chosen.id)
        return Done(proven, proven.proof_seconds, proven.tables, proven.notes)
    url = _address(ctx) if into == BESIDE else _own(ctx, chosen, confirm) if into == DATABASE else _named(ctx, into)
    ctx.struck.learn(url)
    facts = postgres.facts(url)
    found = mark.of(facts)
    if into == DATABASE:
        mark.require_none(found, ctx.config.flag)
    elif found is not None:
        ctx.view.note(f"the database is marked restoring: {found.line}")
    # Only its own database is what a release stands on. Beside, the store is read and a new database made, which no service
    # names: neither a release nor another restore is in its way, and it is in nobody's. Another one's URL is not ours to hold.
    with operation.recorded(ctx, "restore", holding=into == DATABASE) as said:
        with _typed(ctx, chosen, into):
            if into == BESIDE:
                done = _put_beside(ctx, url, chosen, facts)
            elif into == DATABASE:
                flow.settle(ctx)
                done = put(ctx, url, chosen, force=force, unproven=unproven, begun=_saved(ctx, chosen))
            else:
                done = put(ctx, url, chosen, force=force, unproven=unproven)
        said.extend(restored_lines(done))
    return done


@contextmanager
def _typed(ctx: Context, chosen: Backup, into: str) -> Iterator[None]:
    """What helps where nothing can be restored beside, in the words that are typed here."""
    try:
        yield
    except NotBeside as error:
        own = f"{_in_place(ctx, chosen)} --force --unproven --confirm {ctx.config.name}"
        words = own if into in {BESIDE, DATABASE} else "the same with --force --unproven"
        raise NotBeside(
            error.message, details=error.details, remedy=error.remedy.replace(restore.IN_PLACE, words)
        ) from error


def _in_place(ctx: Context, chosen: Backup) -> str:
    return f"inv backup.restore{ctx.config.flag} --backup {chosen.id} --into {DATABASE}"


def _put_beside(ctx: Context, url: Secret, chosen: Backup, facts: Facts) -> Done:
    began = _began(ctx, f"{chosen.id}, {volume(chosen.size)}")
    with postgres.exclusively(url, clock=ctx.clock, within=LOCK_WITHIN):
        done = restore.beside(url, chosen, **_edges(ctx, facts))
    return _restored(ctx, done, began)


def put(
    ctx: Context,
    url: Secret,
    chosen: Backup,
    *,
    force: bool = False,
    unproven: bool = False,
    begun: Mark | None = None,
    again: bool = False,
) -> Done:
    """Put a backup into a database, while nobody else backs it up, migrates it or puts anything into it.

    Args:
        begun: of the environment's own, which is held then: what its mark shall say, if it needs one.
        again: it is marked, and started over.

    Raises:
        Held: the environment's own is marked.
        SettingsError: with *again*, it is not marked any more: somebody else has ended it.
        BackupFailed: the backup is damaged, or cannot be restored.
    """
    facts, began = postgres.facts(url), _began(ctx, f"{chosen.id}, {volume(chosen.size)}")
    with postgres.exclusively(url, clock=ctx.clock, within=LOCK_WITHIN):
        found = mark.read(url)
        if again and found is None:
            raise SettingsError("somebody else has ended the restore meanwhile", remedy=f"inv status{ctx.config.flag}")
        if begun is not None and not again:
            mark.require_none(found, ctx.config.flag)
        done = restore.into(
            url,
            chosen,
            **_edges(ctx, facts),
            force=force or again,
            unproven=unproven or again,
            begun=begun,
            fence=ctx.tenure.fence if begun is not None else lambda: None,
        )
    return _restored(ctx, done, began)


def _edges(ctx: Context, facts: Facts) -> dict[str, Any]:
    client = programs.client_for(facts.major, ctx.config.settings.postgres_bin, runner=ctx.runner)
    return {
        "store": ctx.store,
        "client": client,
        "runner": ctx.runner,
        "clock": ctx.clock,
        "progress": ctx.view.transferred,
    }


def _restored(ctx: Context, done: Done, began: float) -> Done:
    _ended(ctx, *restored_lines(done), began=began)
    return done


def restored_lines(done: Done) -> tuple[str, ...]:
    """What a restore comes to."""
    compared = ", compared" if done.compared else ""
    where = f"the new database {done.database}" if done.database else "the database"
    return (f"{done.backup.id} is in {where}: {done.tables} tables{compared}", *done.notes)


def _own(ctx: Context, chosen: Backup, confirm: str) -> Secret:
    """The environment's own database, for somebody who has typed its name."""
    if confirm != ctx.config.name:
        raise SettingsError(
            f"this puts a backup in the place of what {ctx.config.name!r} holds now",
            remedy=f"stop what writes to it, then {_in_place(ctx, chosen)} --force --confirm {ctx.config.name}",
        )
    return _address(ctx)


def _address(ctx: Context) -> Secret:
    """Where the environment's own database is."""
    url = stages.own_database(ctx)
    if url is None:
        raise SettingsError("the product has no database", remedy="set database in the settings")
    return url


def _named(ctx: Context, variable: str) -> Secret:
    if "://" in variable:
        raise SettingsError(
            "a URL in an argument is seen by everybody on this machine",
            remedy=f"export RESTORE_URL=…, and inv backup.restore{ctx.config.flag} --into RESTORE_URL",
        )
    value = ctx.config.environ.get(variable, "").strip()
    if not value:
        raise SettingsError(
            f"there is no variable {variable}",
            remedy=f"--into {BESIDE}, {SCRATCH}, {DATABASE}, or a variable that holds a URL",
        )
    return Secret(value)


def _saved(ctx: Context, chosen: Backup) -> Mark:
    """A fresh backup of what is about to be replaced, under a run of its own; returns what tells the two."""
    ctx.spared = (chosen.id,)
    report = flow.run(ctx, until="backup")
    if report.exit_code == Interrupted.exit_code:
        raise Interrupted(report.error, remedy=f"the same again; until then nothing was restored ({report.run})")
    if report.exit_code:
        raise SettingsError(
            f"what is there now could not be backed up: {report.error}", remedy="inv backup, and then the same again"
        )
    made = ctx.state.data("backup", Made).backup
    return Mark(
        id=f"{ctx.clock.now():%Y%m%dT%H%M%S.%f}",
        environment=ctx.config.name,
        backup=chosen.id,
        saved=made.id if made is not None else "",
        author=ctx.author,
    )


def _began(ctx: Context, what: str) -> float:
    ctx.view.note(what)
    ctx.view.began("restore")
    return ctx.clock.monotonic()


def _ended(ctx: Context, *lines: str, began: float) -> None:
    took = ctx.clock.monotonic() - began
    ctx.view.ended(StageResult(stage="restore", status=StageStatus.DONE, lines=lines, seconds=took))
