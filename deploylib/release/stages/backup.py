"""A proven backup, before migrations and every so often."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec

from deploylib import models
from deploylib.backups import create, export, repository, restore_test
from deploylib.errors import DeployError, Interrupted
from deploylib.migrations import Tool
from deploylib.models import BackedUp, Migration, PathFilter, Secret, StageName
from deploylib.models.database import BackupOrder, Copy
from deploylib.models.results import StageResult, StageStatus
from deploylib.models.units import age, count, seconds, volume
from deploylib.postgres import connection
from deploylib.release import changes
from deploylib.release.rehearse import Rehearsal, edges_for_rehearsal, judge_rehearsal
from deploylib.release.run import Run, Stage, plan_stage, result, skip_stage
from deploylib.state import RunState

__all__ = ["Backup"]

LOCK_WITHIN = 60.0

LAST = 20  # operations among which a backup that was asked for is looked for

LEFT_AFTER = 900.0  # seconds: without a lock in the database, another command may still believe that it is its turn

RESERVE = "2m"  # of the target, for what comes after the backup: deploy and proof

A_PERSON_WAITS = 3600.0  # seconds: who asks for a backup wants the strongest proof

PROVEN = {
    "restored": "restored and compared",
    "decoded": "every byte decoded",
    "checksum": "every byte read back",
    "unproven": "not proven, and accepted",
}


class Backup(Stage):
    """A proven backup, before migrations and every so often."""

    name: ClassVar[StageName] = StageName.BACKUP

    def plan(self, run: Run) -> StageResult:
        """Say why there would be one, or none."""
        if (made_before := self._asked_for_before(run)) is not None:
            return made_before
        why, skip = self._why(run)
        return skip_stage(self.name, why) if skip else plan_stage(self.name, why)

    def apply(self, run: Run) -> StageResult:
        """Dump, prove, and only then remove the oldest."""
        if (made_before := self._asked_for_before(run)) is not None:
            return made_before
        why, skip = self._why(run)
        if skip:
            return skip_stage(self.name, why)
        if run.env.config.exported:
            return self._exported(run, why)
        if run.database is None:
            return skip_stage(self.name, why)
        rehearsed = Rehearsal()
        with connection.lock_database(run.database, clock=run.env.clock, within=LOCK_WITHIN):
            repository.clear(run.env.store, run.env.name, older_than=0)
            try:
                backup = self._made(run, run.database, lambda copy: rehearsed.on(run, copy))
            except repository.Unproven as error:
                backup = self._accepted(run, error)
        gone = self._pruned(run)
        line = (
            f"{volume(backup.size)} · {count(backup.tables, 'table')} · schema {backup.schema} · {PROVEN[backup.proof]}"
        )
        lines = [f"{backup.id}  ({why})", *backup.notes, *gone]
        lines += judge_rehearsal(run, rehearsed)
        return result(self.name, line, *lines, data=BackedUp(backup=backup))

    def _asked_for_before(self, run: Run) -> StageResult | None:
        """Find a backup made by itself just before this release.

        None: there is none.
        """
        before = None if run.options.asked == self.name else _backup_for_release(run)
        if before is None:
            return None
        elapsed = age((run.env.clock.now() - before.created_at).total_seconds())
        text = f"{before.id} was made {elapsed} ago (inv backup{run.env.flag})"
        return skip_stage(self.name, text, data=BackedUp(backup=before))

    def _exported(self, run: Run, why: str) -> StageResult:
        """Have the platform export a database that is not opened from here."""
        repository.clear(run.env.store, run.env.name, older_than=LEFT_AFTER)
        try:
            backup = export(
                run.checked.database,
                run.env.render,
                run.env.backup_edges,
                BackupOrder(run.env.name, run.id, run.commit.id, replaced=bool(run.spared)),
                run.deadline,
                every=0.5 if run.env.config.is_local else 5.0,
            )
        except repository.Unproven as error:
            backup = self._accepted(run, error)
        line = (
            f"{volume(backup.size)} · {count(backup.tables, 'table')} · schema {backup.schema} · the platform's export"
        )
        return result(
            self.name, line, f"{backup.id}  ({why})", *backup.notes, *self._pruned(run), data=BackedUp(backup=backup)
        )

    def _made(self, run: Run, url: Secret, also: Callable[[Copy], None]) -> models.Backup:
        """Make the backup, with the strongest proof that there is time for."""
        facts = connection.facts(url, versions=run.planned.migration.versions)
        settings = run.env.config.settings
        left = seconds(settings.target) - (run.env.clock.now() - run.state.at).total_seconds() - seconds(RESERVE)
        asked = run.options.asked == self.name and not run.options.when_due
        history = repository.listing(run.env.store, run.env.name)[:10]
        wanted = restore_test.choose_proof(facts.size, A_PERSON_WAITS if asked else left, history)
        order = BackupOrder(
            run.env.name,
            run.id,
            run.commit.id,
            proof="decoded" if wanted == "checksum" else wanted,
            facts=facts,
            history=history,
            also=also,
            replaced=bool(run.spared),
        )
        return create(url, edges_for_rehearsal(run), order)

    def _accepted(self, run: Run, error: repository.Unproven) -> models.Backup:
        """Find the unproven dump that a person has accepted for this cause.

        Raises:
            Unproven: nobody has said so, or not of this.
        """
        kept = error.kept
        if (known := repository.find_accepted(kept, store=run.env.store, now=run.env.clock.now())) is not None:
            notes = (f"not proven: {kept.cause}", f"accepted by {known.accepted} ({known.id})", *kept.notes)
            return msgspec.structs.replace(kept, notes=notes)
        self._pruned(run)
        raise error

    def _pruned(self, run: Run) -> tuple[str, ...]:
        """Remove the oldest.

        A store that refuses that does not make a good backup a bad one.
        """
        keep = run.env.config.settings.keep_backups
        try:
            removed = repository.prune(run.env.store, run.env.name, keep, spare=run.spared)
        except Interrupted:
            raise
        except DeployError as error:
            return (f"older ones could not be removed: {error.message}",)
        return (f"kept the last {keep}, removed {len(removed)}",) if removed else ()

    def _why(self, run: Run) -> tuple[str, bool]:
        """Say why there is a backup (False), or none (True)."""
        facts, exported = run.checked.facts, run.env.config.exported
        if facts is None and not exported:
            return "the product has no database", True
        if facts is not None and facts.empty and not self._filled(run):
            return "the database is empty", True
        if run.env.config.environment.backups == "none":
            return "the settings say that this environment's data may be lost", True
        if run.options.asked == self.name and not run.options.when_due:
            return ("of what a restore is about to replace" if run.spared else "asked for"), False
        if pending := run.planned.migration.pending:
            return f"before {count(len(pending), 'migration')}", False
        if changed := self._changed_migrations(run):
            return f"{changed} differs from what serves", False
        last = repository.latest(run.env.store, run.env.name)
        if last is None:
            return "there is none yet", False
        elapsed = (run.env.clock.now() - last.created_at).total_seconds()
        if elapsed > seconds(run.env.config.settings.backup_every):
            return f"the last one is {age(elapsed)} old", False
        return f"no migration, and the last one is {age(elapsed)} old", True

    def _filled(self, run: Run) -> bool:
        """Tell whether a database that was empty holds something by now.

        Another tool's list may have made a table.
        """
        if run.database is None or not run.planned.migration.unchecked:
            return False
        return not connection.facts(run.database).empty

    def _changed_migrations(self, run: Run) -> str:
        """List what others may migrate by, as far as files tell.

        Empty: nothing of it changes.
        """
        others = run.planned.migration.elsewhere
        globs = [glob for one in others for glob in one.files]
        if run.env.config.exported:
            with run.env.git.export(run.commit.id) as files:
                place = Tool(files, run.env.config).folder
            globs += [f"{place}/**"] if place else []
        elif not others:
            return ""
        deployed = {change.service: change.live for change in run.planned.changes.services if change.deploy}
        if hidden := next((one for one in others if not one.files and deployed.get(one.service)), None):
            return f"{hidden.what}, was not located: something of {hidden.service}"
        if not globs and not run.env.config.exported:
            return ""
        # Of what is deployed: its command migrates, and what stays as it is may be older than the schema.
        for live in deployed.values():
            if not live.commit:
                continue
            if not run.env.git.has(live.commit):
                return f"{live.service} serves {live.commit[:7]}, which is not known here: nobody can tell what"
            chosen = PathFilter(paths=tuple(globs))
            if (
                path := next(iter(changes.list_touched(chosen, live.commit, run.commit.id, git=run.env.git)), "")
            ) and not globs:
                return "nobody has said in which folder migrations are (migrations.path): something"
            if path:
                return path
        return ""


def _backup_for_release(run: Run) -> models.Backup | None:
    """Find the backup of ``inv backup``, typed before this very release.

    No second one is made of what it holds.

    As long ago at most as a run may take, of the same commit and the same schema, with the same migrations rehearsed on it;
    and nothing was restored, deployed or migrated since.
    """
    if run.env.build is not None:
        return None
    done = list(run.env.history.read_operations(run.env.name, LAST))
    asked = next((one for one in done if one.opened.operation == "backup"), None)
    if asked is None or asked.report is None or asked.report.exit_code:
        return None
    if any(one.opened.operation == "restore" and (one.report is None or one.last > asked.last) for one in done):
        return None
    elapsed = (run.env.clock.now() - asked.last).total_seconds()
    backup, result = asked.backed_up.backup, asked.stages.get("backup")
    if backup is None or result is None or result.status is not StageStatus.DONE or _changed_since(run, asked):
        return None
    same = asked.opened.commit.id == run.commit.id and elapsed < seconds(run.env.config.settings.deadline)
    if not same or _schema(asked.planned.migration) != _schema(run.planned.migration):
        return None
    kept = repository.listing(run.env.store, run.env.name)
    return next((one for one in kept if one.id == backup.id), None)


def _schema(migration: Migration) -> tuple[str, str, tuple[str, ...]]:
    return migration.current, migration.target, tuple(one.id for one in migration.pending)


def _changed_since(run: Run, asked: RunState) -> bool:
    """Tell whether a run has migrated or deployed since."""
    runs = run.env.history.read_runs(run.env.name, LAST)
    return any(one.last > asked.last and (one.intents or one.has_done("migrate")) for one in runs if one.id != run.id)
