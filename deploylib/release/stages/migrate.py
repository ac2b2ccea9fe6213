"""The schema that the commit needs, before any code that needs it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from deploylib import models
from deploylib.backups import repository, restore_mark, restore_test
from deploylib.errors import MigrationFailed, SettingsError
from deploylib.migrations import Tool, rehearsal
from deploylib.models import Facts, StageName, remedies
from deploylib.models.results import StageResult
from deploylib.models.units import age, count
from deploylib.postgres import connection
from deploylib.release.rehearse import Rehearsal, edges_for_rehearsal, judge_rehearsal
from deploylib.release.run import Run, Stage, plan_stage, result, skip_stage

__all__ = ["Migrate"]

LOCK_WITHIN = 60.0


class Migrate(Stage):
    """Brings the schema to what the commit needs, before code."""

    name: ClassVar[StageName] = StageName.MIGRATE

    def plan(self, run: Run) -> StageResult:
        """Say what would be executed."""
        migration = run.planned.migration
        if not migration.pending:
            return skip_stage(self.name, self._none(run))
        sql = migration.sql.strip().splitlines() or ["(its SQL depends on the data)"]
        line = f"{migration.before} → {migration.target}"
        remarks = self._on_a_backup(run) if run.options.rehearse else []
        return plan_stage(self.name, line, *sql, *remarks)

    def apply(self, run: Run) -> StageResult:
        """Apply what is pending, under the lock that backups take too."""
        migration, url = run.planned.migration, run.database
        if not migration.pending or url is None:
            return skip_stage(self.name, self._none(run))
        with (
            run.env.git.export(run.commit.id) as files,
            connection.lock_database(url, clock=run.env.clock, within=LOCK_WITHIN),
        ):
            facts = connection.facts(url, versions=migration.versions)
            restore_mark.require_no_mark(restore_mark.parse_mark(facts), run.env.flag)
            self._require_backup(run, facts)
            within = min(120.0, run.deadline.left)
            applied = Tool(files, run.env.config, run.env.runner).upgrade(url, migration.target, within=within)
        line = f"{migration.before} → {migration.target} · {count(len(applied), 'revision')}"
        waited = tuple(
            f"{revision.id} waited for a lock, {revision.tries} tries: {'; '.join(revision.waited_for) or 'nobody knows whose'}"
            for revision in applied
            if revision.tries > 1
        )
        dropped = tuple(f"{one.id}: {name} was invalid, and dropped first" for one in applied for name in one.dropped)
        lifted = tuple(
            f"{revision.id}: {text} took away the limit for locks; set again"
            for revision in applied
            for text in revision.lifted
        )
        return result(self.name, line, *waited, *dropped, *lifted, data={"applied": applied})

    def _on_a_backup(self, run: Run) -> list[str]:
        """Rehearse on the newest backup of the schema as it is.

        A dry run makes none of its own.
        """
        current = "" if run.planned.migration.unchecked else run.planned.migration.current
        there = repository.listing(run.env.store, run.env.name)
        backup = next((one for one in there if one.proven and one.revision == current), None)
        if backup is None:
            return [
                f"not rehearsed: there is no backup at {current or 'this schema'} (inv backup{run.env.flag} makes one)"
            ]
        rehearsed = Rehearsal()
        try:
            self._copied(run, backup, rehearsed)
        except rehearsal.OtherRevision:
            return [
                f"not rehearsed: backup {backup.id} is at another revision than the database (inv backup{run.env.flag})"
            ]
        except SettingsError as error:
            return [f"not rehearsed: {error.message} ({remedies.about(run.env.name, error.remedy)})"]
        elapsed = age((run.env.clock.now() - backup.created_at).total_seconds())
        return [f"on backup {backup.id}, {elapsed} old", *judge_rehearsal(run, rehearsed)]

    def _copied(self, run: Run, backup: models.Backup, rehearsed: Rehearsal) -> None:
        edges = replace(edges_for_rehearsal(run), runner=run.env.writer)
        restore_test.try_copy(backup, edges, lambda copy: rehearsed.on(run, copy))

    def _none(self, run: Run) -> str:
        if run.env.config.exported:
            return "the pre-deploy command's: the database is not opened from here"
        migration = run.planned.migration
        if not migration.target and migration.elsewhere:
            return f"not ours to run: {migration.elsewhere[0].what}"
        if run.database is None:
            return migration.notes[0] if migration.notes else "the product has no database"
        if migration.unchecked:
            return f"nothing is pending, by {run.env.config.settings.migrations.pending!r}"
        if not migration.target:
            return "the commit has no migrations"
        return "the schema is ahead of the commit" if migration.ahead else f"the schema is at {migration.target}"

    def _require_backup(self, run: Run, facts: Facts) -> None:
        """See that this run has backed up that very revision."""
        if facts.empty or run.env.config.environment.backups == "none":
            return
        backup = run.state.backed_up.backup
        if backup is None or backup.revision != facts.revision:
            raise MigrationFailed(
                f"the schema is at {facts.revision or 'nothing'}, and this run has no backup of that",
                remedy="inv deploy, which makes one first",
            )
