"""The database: a proven backup, then the schema that the commit needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec

from deploylib import (
    backup,
    changes,
    export,
    hazards,
    mark,
    migrate,
    models,
    postgres,
    programs,
    rehearsal,
    remedies,
    restorable,
    surroundings,
)
from deploylib.errors import DeployError, Interrupted, MigrationFailed, SettingsError
from deploylib.models import PathFilter, Secret
from deploylib.outcome import StageResult, StageStatus
from deploylib.postgres import Facts
from deploylib.proof import Copy
from deploylib.stages import operations
from deploylib.stages.context import Context, Made, Stage, result, skipped
from deploylib.units import age, count, seconds, size, volume

__all__ = ["Backup", "Migrate"]

LOCK_WITHIN = 60.0
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

    name: ClassVar[str] = "backup"

    def plan(self, ctx: Context) -> StageResult:
        """Say why there would be one, or none."""
        if (made_before := self._asked_for_before(ctx)) is not None:
            return made_before
        why, skip = self._why(ctx)
        return skipped(self.name, why) if skip else result(self.name, why, status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Dump, prove, and only then remove the oldest."""
        if (made_before := self._asked_for_before(ctx)) is not None:
            return made_before
        why, skip = self._why(ctx)
        if skip:
            return skipped(self.name, why)
        if ctx.config.exported:
            return self._exported(ctx, why)
        if ctx.database is None:
            return skipped(self.name, why)
        rehearsed = Rehearsal()
        with postgres.exclusively(ctx.database, clock=ctx.clock, within=LOCK_WITHIN):
            backup.clear(ctx.store, ctx.config.name, older_than=0)
            try:
                made = self._made(ctx, ctx.database, lambda copy: rehearsed.on(ctx, copy))
            except backup.Unproven as error:
                made = self._accepted(ctx, error)
        gone = self._pruned(ctx)
        line = f"{volume(made.size)} · {made.tables} tables · schema {made.schema} · {PROVEN[made.proof]}"
        told = [f"{made.id}  ({why})", *made.notes, *gone]
        told += _judged(ctx, rehearsed)
        return result(self.name, line, *told, data={"backup": made})

    def _asked_for_before(self, ctx: Context) -> StageResult | None:
        """The backup that somebody has asked for by itself just now, before this very release; None: there is none."""
        made = None if ctx.asked == self.name else operations.backup_for_release(ctx)
        if made is None:
            return None
        elapsed = age((ctx.clock.now() - made.created_at).total_seconds())
        told = skipped(self.name, f"{made.id} was made {elapsed} ago (inv backup{ctx.config.flag})")
        return msgspec.structs.replace(told, data=msgspec.to_builtins(Made(backup=made)))

    def _exported(self, ctx: Context, why: str) -> StageResult:
        """The platform's export of a database that is not opened from here."""
        backup.clear(ctx.store, ctx.config.name, older_than=LEFT_AFTER)
        try:
            made = export.create(
                ctx.checked.database,
                render=ctx.render,
                store=ctx.store,
                environment=ctx.config.name,
                run=ctx.state.id,
                commit=ctx.commit.id,
                runner=ctx.runner,
                clock=ctx.clock,
                deadline=ctx.deadline,
                configured=ctx.config.settings.postgres_bin,
                every=0.5 if ctx.config.is_local else 5.0,
                progress=ctx.view.transferred,
            )
        except backup.Unproven as error:
            made = self._accepted(ctx, error)
        line = f"{volume(made.size)} · {made.tables} tables · schema {made.schema} · the platform's export"
        return result(self.name, line, f"{made.id}  ({why})", *made.notes, *self._pruned(ctx), data={"backup": made})

    def _made(self, ctx: Context, url: Secret, also: Callable[[Copy], None]) -> models.Backup:
        """The backup, with the strongest proof that the run has time for."""
        facts = postgres.facts(url, versions=ctx.planned.migration.versions)
        settings = ctx.config.settings
        left = seconds(settings.target) - (ctx.clock.now() - ctx.state.at).total_seconds() - seconds(RESERVE)
        asked = ctx.asked == self.name and not ctx.due
        history = backup.listing(ctx.store, ctx.config.name)[:10]
        wanted = backup.strongest(facts.size, A_PERSON_WAITS if asked else left, history)
        return backup.create(
            url,
            facts=facts,
            client=programs.client_for(facts.major, settings.postgres_bin, runner=ctx.runner),
            store=ctx.store,
            environment=ctx.config.name,
            run=ctx.state.id,
            commit=ctx.commit.id,
            runner=ctx.runner,
            clock=ctx.clock,
            wanted="decoded" if wanted == "checksum" else wanted,
            history=history,
            progress=ctx.view.transferred,
            also=also,
        )

    def _accepted(self, ctx: Context, error: backup.Unproven) -> models.Backup:
        """The dump that could not be proven, where a person goes on without: of this schema, and for this very cause.

        Raises:
            Unproven: nobody has said so, or not of this.
        """
        kept = error.kept
        if (known := backup.accepted(kept, store=ctx.store, now=ctx.clock.now())) is not None:
            notes = (f"not proven: {kept.cause}", f"accepted by {known.accepted} ({known.id})", *kept.notes)
            return msgspec.structs.replace(kept, notes=notes)
        self._pruned(ctx)
        raise error

    def _pruned(self, ctx: Context) -> tuple[str, ...]:
        """Remove the oldest; a store that refuses that does not make a good backup a bad one."""
        keep = ctx.config.settings.keep_backups
        try:
            removed = backup.prune(ctx.store, ctx.config.name, keep, spare=ctx.spared)
        except Interrupted:
            raise
        except DeployError as error:
            return (f"older ones could not be removed: {error.message}",)
        return (f"kept the last {keep}, removed {len(removed)}",) if removed else ()

    def _why(self, ctx: Context) -> tuple[str, bool]:
        """The reason for a backup (False) or for none (True)."""
        facts, exported = ctx.checked.facts, ctx.config.exported
        if facts is None and not exported:
            return "the product has no database", True
        if facts is not None and facts.empty and not self._filled(ctx):
            return "the database is empty", True
        if ctx.config.environment.backups == "none":
            return "the settings say that this environment's data may be lost", True
        if ctx.asked == self.name and not ctx.due:
            return "asked for", False
        if pending := ctx.planned.migration.pending:
            return f"before {count(len(pending), 'migration')}", False
        if changed := self._changed_migrations(ctx):
            return f"{changed} differs from what serves", False
        last = backup.latest(ctx.store, ctx.config.name)
        if last is None:
            return "there is none yet", False
        elapsed = (ctx.clock.now() - last.created_at).total_seconds()
        if elapsed > seconds(ctx.config.settings.backup_every):
            return f"the last one is {age(elapsed)} old", False
        return f"no migration, and the last one is {age(elapsed)} old", True

    def _filled(self, ctx: Context) -> bool:
        """Whether a database that was empty holds something by now: another tool's list may have made a table."""
        if ctx.database is None or not ctx.planned.migration.unchecked:
            return False
        return not postgres.facts(ctx.database).empty

    def _changed_migrations(self, ctx: Context) -> str:
        """What others may migrate by, as far as files tell; empty: nothing of it changes."""
        others = ctx.planned.migration.elsewhere
        globs = [glob for one in others for glob in one.files]
        if ctx.config.exported:
            with ctx.git.exported(ctx.commit.id) as files:
                place = migrate.folder(ctx.config, files)
            globs += [f"{place}/**"] if place else []
        elif not others:
            return ""
        deployed = {change.service: change.live for change in ctx.planned.changes.services if change.deploy}
        if hidden := next((one for one in others if not one.files and deployed.get(one.service)), None):
            return f"{hidden.what}, was not located: something of {hidden.service}"
        if not globs and not ctx.config.exported:
            return ""
        # Of what is deployed: its command migrates, and what stays as it is may be older than the schema.
        for one in deployed.values():
            if not one.commit:
                continue
            if not ctx.git.has(one.commit):
                return f"{one.service} serves {one.commit[:7]}, which is not known here: nobody can tell what"
            chosen = PathFilter(paths=tuple(globs))
            if (path := next(iter(changes.touched(chosen, one.commit, ctx.commit.id, git=ctx.git)), "")) and not globs:
                return "nobody has said in which folder migrations are (migrations.path): something"
            if path:
                return path
        return ""


class Rehearsal:
    """What was tried on a copy that was just restored, before it is done in earnest."""

    def __init__(self) -> None:
        self.reports: list[rehearsal.Report] = []
        self.lacking: list[str] = []
        self.restored: list[restorable.Restorable] = []

    def on(self, ctx: Context, copy: Copy) -> None:
        """Apply the pending migrations, and see whether what comes of them can be dumped and restored once more."""
        migration, settings = ctx.planned.migration, ctx.config.settings
        if not migration.pending:
            return
        if ctx.database is not None:
            copy, lacking = surroundings.brought(copy, surroundings.read(ctx.database))
            self.lacking += lacking
        with ctx.git.exported(ctx.commit.id) as files:
            report = rehearsal.rehearse(ctx.config, files, copy, migration, runner=ctx.writer, live=ctx.database)
        self.reports.append(report)
        if report.revisions and not report.failed:
            client = programs.client_for(postgres.facts(copy).major, settings.postgres_bin, runner=ctx.writer)
            whole_below = size(settings.migrations.restored_whole)
            self.restored.append(restorable.tried(copy, client=client, runner=ctx.writer, whole_below=whole_below))


def _judged(ctx: Context, rehearsed: Rehearsal) -> list[str]:
    """What the rehearsal says of migrations that may run.

    Raises:
        MigrationFailed: they may not.
    """
    pending, told = ctx.planned.migration.pending, []
    if pending and not rehearsed.reports:
        told.append("not rehearsed: the backup was not restored")
    for report in rehearsed.reports:
        examined = rehearsal.verdict(report, pending, ctx.config.settings.migrations)
        hazards.require(examined)
        if any(examined.counted.values()):
            whole = examined.counted["migration"] == len(pending)
            done = " · ".join(count(number, what) for what, number in examined.counted.items())
            part = "" if whole else f" in part, of {count(len(pending), 'migration')}"
            told.append(f"rehearsed on the restored copy{part}: {done}, {examined.seconds:.1f} s")
        told += hazards.remarked(examined)
        told += [f"not rehearsed: {gap.reason}" for gap in examined.gaps]
        told += examined.accepted
    if rehearsed.reports and not rehearsed.restored:
        told.append("not known whether a backup can be restored after it: the rehearsal did not come to its end")
    told += [f"the copy had no {one}" for one in rehearsed.lacking]
    for tried in rehearsed.restored:
        told.append(_restorable(tried, ctx.config.settings.migrations.restored_whole))
    return told


def _restorable(tried: restorable.Restorable, limit: str) -> str:
    """What the second restore says of the migrations.

    Raises:
        MigrationFailed: it is not possible after them: there would be no backup any more.
    """
    if tried.cause:
        raise MigrationFailed(
            f"after the migrations the database could not be restored from a backup: {tried.cause}",
            details=tried.details,
            remedy=tried.remedy,
        )
    if tried.unknown:
        return f"not known whether a backup can be restored after it: {tried.unknown}"
    if tried.whole:
        return "after it the copy was dumped and restored once more"
    return (
        f"after it the copy's definitions were dumped and restored once more, without its rows: {volume(tried.size)} are "
        f"more than migrations.restored_whole, {limit}"
    )


class Migrate(Stage):
    """Bring the schema to the revision that the commit needs, before any code that needs it."""

    name: ClassVar[str] = "migrate"

    def plan(self, ctx: Context) -> StageResult:
        """Say what would be executed."""
        migration = ctx.planned.migration
        if not migration.pending:
            return skipped(self.name, self._none(ctx))
        sql = migration.sql.strip().splitlines() or ["(its SQL depends on the data)"]
        line = f"{migration.before} → {migration.target}"
        told = self._on_a_backup(ctx) if ctx.rehearse else []
        return result(self.name, line, *sql, *told, status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Apply what is pending, under the lock that backups take too."""
        migration, url = ctx.planned.migration, ctx.database
        if not migration.pending or url is None:
            return skipped(self.name, self._none(ctx))
        with ctx.git.exported(ctx.commit.id) as files, postgres.exclusively(url, clock=ctx.clock, within=LOCK_WITHIN):
            facts = postgres.facts(url, versions=migration.versions)
            mark.require_none(mark.of(facts), ctx.config.flag)
            self._require_backup(ctx, facts)
            within = min(120.0, ctx.deadline.left())
            applied = migrate.upgrade(ctx.config, files, url, migration.target, runner=ctx.runner, within=within)
        line = f"{migration.before} → {migration.target} · {count(len(applied), 'revision')}"
        waited = tuple(
            f"{one.id} waited for a lock, {one.tries} tries: {'; '.join(one.waited_for) or 'nobody knows whose'}"
            for one in applied
            if one.tries > 1
        )
        dropped = tuple(f"{one.id}: {name} was invalid, and dropped first" for one in applied for name in one.dropped)
        lifted = tuple(
            f"{one.id}: {text} took away the limit for locks; set again" for one in applied for text in one.lifted
        )
        return result(self.name, line, *waited, *dropped, *lifted, data={"applied": applied})

    def _on_a_backup(self, ctx: Context) -> list[str]:
        """Rehearse on the newest backup of the schema as it is; a dry run makes none of its own."""
        current = "" if ctx.planned.migration.unchecked else ctx.planned.migration.current
        there = backup.listing(ctx.store, ctx.config.name)
        found = next((one for one in there if one.proven and one.revision == current), None)
        if found is None:
            return [
                f"not rehearsed: there is no backup at {current or 'this schema'} (inv backup{ctx.config.flag} makes one)"
            ]
        rehearsed = Rehearsal()
        try:
            self._copied(ctx, found, rehearsed)
        except rehearsal.OtherRevision:
            return [
                f"not rehearsed: backup {found.id} is at another revision than the database (inv backup{ctx.config.flag})"
            ]
        except SettingsError as error:
            return [f"not rehearsed: {error.message} ({remedies.about(ctx.config.name, error.remedy)})"]
        elapsed = age((ctx.clock.now() - found.created_at).total_seconds())
        return [f"on backup {found.id}, {elapsed} old", *_judged(ctx, rehearsed)]

    def _copied(self, ctx: Context, found: models.Backup, rehearsed: Rehearsal) -> None:
        backup.copied(
            found,
            store=ctx.store,
            client=programs.client_for(found.major, ctx.config.settings.postgres_bin, runner=ctx.writer),
            runner=ctx.writer,
            progress=ctx.view.transferred,
            also=lambda copy: rehearsed.on(ctx, copy),
        )

    def _none(self, ctx: Context) -> str:
        if ctx.config.exported:
            return "the pre-deploy command's: the database is not opened from here"
        migration = ctx.planned.migration
        if not migration.target and migration.elsewhere:
            return f"not ours to run: {migration.elsewhere[0].what}"
        if ctx.database is None:
            return migration.notes[0] if migration.notes else "the product has no database"
        if migration.unchecked:
            return f"nothing is pending, by {ctx.config.settings.migrations.pending!r}"
        if not migration.target:
            return "the commit has no migrations"
        return "the schema is ahead of the commit" if migration.ahead else f"the schema is at {migration.target}"

    def _require_backup(self, ctx: Context, facts: Facts) -> None:
        """No migration of data that this run has not backed up at that very revision."""
        if facts.empty or ctx.config.environment.backups == "none":
            return
        made = ctx.state.data("backup", Made).backup
        if made is None or made.revision != facts.revision:
            raise MigrationFailed(
                f"the schema is at {facts.revision or 'nothing'}, and this run has no backup of that",
                remedy="inv deploy, which makes one first",
            )
