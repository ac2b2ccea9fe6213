"""Make, list, prove and restore backups outside of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deploylib.backups import prove, repository, restore_mark, restore_test
from deploylib.backups import restore as restore_backup
from deploylib.commands.restores import LOCK_WITHIN, RESTORE_TITLE, describe_restore, put, tell_end, tell_start
from deploylib.environment import Environment
from deploylib.errors import BackupFailed, Interrupted, SettingsError
from deploylib.models import UNPROVEN, Backup, Secret, StageName
from deploylib.models.database import RestoreResult
from deploylib.models.results import Report
from deploylib.models.units import count, volume
from deploylib.postgres import connection
from deploylib.release import Options, aims, database, record_operation
from deploylib.state import Lease

__all__ = ["BESIDE", "DATABASE", "SCRATCH", "backup", "list_backups", "restore", "test_restore"]

SCRATCH, DATABASE, BESIDE = "scratch", "database", "beside"


def backup(
    env: Environment, *, commit: str = "", services: Sequence[str] = (), when_due: bool = False, dry_run: bool = False
) -> Report:
    """Back the database up, and prove the backup.

    Args:
        when_due: only before a migration, or when the last one is old.
    """
    options = Options(
        commit=commit,
        services=tuple(services),
        until=StageName.BACKUP,
        asked=StageName.BACKUP,
        when_due=when_due,
        dry_run=dry_run,
    )
    return aims.bring_forward(env, options)


def list_backups(env: Environment) -> tuple[Backup, ...]:
    """List the backups, newest first; the view is told of unreadable ones."""
    for name in repository.unreadable(env.store, env.name):
        env.progress.note(f"{name}: its manifest cannot be read, so it counts as none")
    return tuple(repository.listing(env.store, env.name))


def test_restore(env: Environment, *, name: str = "", accept: bool = False, reason: str = "") -> Backup:
    """Restore a backup into a scratch Postgres, and compare: the monthly drill.

    Args:
        name: its id; empty: the newest proven one.
        accept: of a dump that cannot be proven, write down that a person goes on with it all the same, and why: for the
            schema and the cause that it has, and for a day.

    Raises:
        BackupFailed: it is damaged, or holds something else.
        SettingsError: there is none, or no place to restore it; or there is nothing to accept, or no reason.
    """
    chosen = repository.find(env.store, env.name, name)
    if accept and (chosen.proof != UNPROVEN or not reason.strip()):
        raise SettingsError(
            "only a dump whose proof has failed can be accepted, and with a reason",
            remedy=f'inv backups.prove{env.flag} --backup ID --accept --reason "…" (inv backup.list)',
        )
    with record_operation(env, "prove") as work:
        done = _proven(env, chosen, work.lines, accept=accept, reason=reason)
        work.title = "⚠ backup accepted without a proof" if accept and done.accepted else ""
        return done


def _proven(env: Environment, chosen: Backup, lines: list[str], *, accept: bool, reason: str) -> Backup:
    began = tell_start(env, f"{chosen.id}, {volume(chosen.size)}")
    try:
        done = prove(chosen, env.backup_edges)
    except (repository.DumpDamaged, restore_test.ScratchDied):
        raise
    except BackupFailed as error:
        if not accept:
            raise
        word = repository.Accepted(at=env.clock.now(), author=env.author, reason=reason.strip())
        lines += [f"{chosen.id} is not proven: {error.message}", f"accepted: {word.reason}"]
        tell_end(env, *lines, since=began)
        return repository.accept(chosen, word, store=env.store)
    lines += [f"{done.id} restored and compared: {count(done.tables, 'table')}", *done.notes]
    tell_end(env, *lines, since=began)
    return done


def restore(
    env: Environment,
    *,
    name: str = "",
    into: str = BESIDE,
    force: bool = False,
    unproven: bool = False,
    confirm: str = "",
) -> RestoreResult:
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
    chosen = repository.find(env.store, env.name, name)
    if into == SCRATCH:
        proven = test_restore(env, name=chosen.id)
        return RestoreResult(proven, proven.proof_seconds, proven.tables, proven.notes)
    url = _address(env) if into == BESIDE else _own(env, chosen, confirm) if into == DATABASE else _named(env, into)
    env.learn(url)
    mark = restore_mark.parse_mark(connection.facts(url))
    if into == DATABASE:
        restore_mark.require_no_mark(mark, env.flag)
    elif mark is not None:
        env.progress.note(f"the database is marked restoring: {mark.line}")
    # Only its own database is what a release stands on. Beside, the store is read and a new database made, which no service
    # names: neither a release nor another restore is in its way, and it is in nobody's. Another one's URL is not ours to hold.
    title = RESTORE_TITLE if into == DATABASE else ""
    with record_operation(env, "restore", needs_lease=into == DATABASE, title=title) as work, _typed(env, chosen, into):
        if into == BESIDE:
            done = _put_beside(env, url, chosen)
        elif work.lease is not None:
            aims.settle_all(env, work.lease)
            if not force:  # before anything is saved: who is refused changes nothing
                restore_mark.require_empty(url, chosen, env.name)
            begun = _saved(env, chosen, work.lease)
            done = put(env, url, chosen, force=force, unproven=unproven, begun=begun, lease=work.lease)
        else:
            done = put(env, url, chosen, force=force, unproven=unproven)
        work.lines.extend(describe_restore(done))
    return done


@contextmanager
def _typed(env: Environment, chosen: Backup, into: str) -> Iterator[None]:
    """Put the words of this command into a remedy.

    It helps where nothing can be restored beside.
    """
    try:
        yield
    except restore_test.NotBeside as error:
        own = f"{_in_place(env, chosen)} --force --unproven --confirm {env.name}"
        words = own if into in {BESIDE, DATABASE} else "the same with --force --unproven"
        raise restore_test.NotBeside(
            error.message, details=error.details, remedy=error.remedy.replace(restore_test.IN_PLACE, words)
        ) from error


def _in_place(env: Environment, chosen: Backup) -> str:
    return f"inv backup.restore{env.flag} --backup {chosen.id} --into {DATABASE}"


def _put_beside(env: Environment, url: Secret, chosen: Backup) -> RestoreResult:
    began = tell_start(env, f"{chosen.id}, {volume(chosen.size)}")
    with connection.lock_database(url, clock=env.clock, within=LOCK_WITHIN):
        done = restore_backup(url, chosen, env.backup_edges, "beside")
    tell_end(env, *describe_restore(done), since=began)
    return done


def _own(env: Environment, chosen: Backup, confirm: str) -> Secret:
    """Find the environment's own database, once its name has been typed."""
    if confirm != env.name:
        raise SettingsError(
            f"this puts a backup in the place of what {env.name!r} holds now",
            remedy=f"stop what writes to it, then {_in_place(env, chosen)} --force --confirm {env.name}",
        )
    return _address(env)


def _address(env: Environment) -> Secret:
    """Find where the environment's own database is."""
    url = database.own_database(env)
    if url is None:
        raise SettingsError("the product has no database", remedy="set database in the settings")
    return url


def _named(env: Environment, variable: str) -> Secret:
    if "://" in variable:
        raise SettingsError(
            "a URL in an argument is seen by everybody on this machine",
            remedy=f"export RESTORE_URL=…, and inv backup.restore{env.flag} --into RESTORE_URL",
        )
    value = env.config.environ.get(variable, "").strip()
    if not value:
        raise SettingsError(
            f"there is no variable {variable}",
            remedy=f"--into {BESIDE}, {SCRATCH}, {DATABASE}, or a variable that holds a URL",
        )
    return Secret(value)


def _saved(env: Environment, chosen: Backup, lease: Lease) -> restore_mark.Mark:
    """Back up what is about to be replaced.

    It is a run of its own; the mark that is returned tells the two backups.
    """
    options = Options(until=StageName.BACKUP, asked=StageName.BACKUP)
    report = aims.bring_forward(env, options, spared=(chosen.id,), lease=lease)
    if report.exit_code == Interrupted.exit_code:
        raise Interrupted(report.error, remedy=f"the same again; until then nothing was restored ({report.run})")
    if report.exit_code:
        raise SettingsError(
            f"what is there now could not be backed up: {report.error}", remedy="inv backup, and then the same again"
        )
    backup = report.backed_up.backup
    return restore_mark.Mark(
        id=f"{env.clock.now():%Y%m%dT%H%M%S.%f}",
        environment=env.name,
        backup=chosen.id,
        saved=backup.id if backup is not None else "",
        author=env.author,
    )
