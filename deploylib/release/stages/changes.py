"""Which services and which migrations a run is about."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from deploylib.errors import MigrationFailed, SettingsError
from deploylib.migrations import Tool, compatibility, discovery, lint_revisions, read_catalog, rules
from deploylib.models import Changes as Decided
from deploylib.models import Elsewhere, Migration, Planned, StageName, remedies
from deploylib.models.results import StageResult
from deploylib.release import preflight, recorded_schema, verified_deploys
from deploylib.release.changes import decide
from deploylib.release.run import Run, Stage, result, skip_stage, table
from deploylib.release.serving import live
from deploylib.scanners import list_files
from deploylib.state import RunState

__all__ = ["Changes"]


class Changes(Stage):
    """Which services and which migrations this run is about."""

    name: ClassVar[StageName] = StageName.CHANGES

    def plan(self, run: Run) -> StageResult:
        """Make the decision, which only reads."""
        return self.apply(run)

    def apply(self, run: Run) -> StageResult:
        """Compare the commit with what serves, and with the schema."""
        if newer := self._newer(run):
            text = f"{newer.commit.short} was released (run {newer.id}), and it has this commit in it"
            return skip_stage(self.name, text, data=Planned(superseded=newer.id))
        serving = live(run.env, run.checked.targets, run.seen)
        decided = decide(run, run.checked.targets, serving, run.wanted)
        migration = self._migration(run)
        self._goes_with(run, migration)
        linted = self._linted(run, migration)
        unproven = self._unproven(run, decided)
        also = dict.fromkeys(unproven, "; it was never proven, and is verified now")
        if again := [name for name in self._asked_after(run, decided, migration) if name not in unproven]:
            unproven = (*unproven, *again)
            also |= dict.fromkeys(again, "; it is verified once more after the migration")
        rows = [(change.service, change.reason + also.get(change.service, "")) for change in decided.services]
        if migration.ahead:
            rows.append(("schema", f"{migration.current} is newer than this commit's {migration.target}: left alone"))
        elif migration.pending:
            pending = ", ".join(f"{revision.id} {revision.title}".strip() for revision in migration.pending)
            rows.append(("schema", f"{migration.before} → {migration.target}: {pending}"))
        for other in migration.elsewhere:
            step = remedies.about(run.env.name, other.remedy)
            rows.append(("schema", f"{other.what}: not run from here; to take it over: {step}"))
        rows += [("schema", note) for note in migration.notes]
        planned = Planned(changes=decided, migration=migration, wanted=dict(run.wanted), unproven=unproven)
        return result(self.name, *table(rows), *linted, data=planned)

    def _unproven(self, run: Run, decided: Decided) -> tuple[str, ...]:
        """List services left as they are and never proven."""
        left = {change.service: change.live for change in decided.services if not change.deploy}
        return verified_deploys.find_unproven(run.env.history.read_runs(run.env.name, 50), left)

    def _asked_after(self, run: Run, decided: Decided, migration: Migration) -> tuple[str, ...]:
        """List services left as they are that a migration may break.

        A smoke request is one that every release must answer, and this one changes what they read.
        """
        left = (change for change in decided.services if not change.deploy and change.live.commit)
        return tuple(one.service for one in left if migration.pending and run.env.config.smoke(one.service))

    def _linted(self, run: Run, migration: Migration) -> tuple[str, ...]:
        """Lint the SQL of the pending migrations, and give the warnings.

        Nothing has run yet.

        Raises:
            MigrationFailed: it would hold up readers or writers, or takes away what serves.
        """
        if not migration.pending or run.database is None:
            return ()
        small = run.env.config.settings.migrations.small_table
        examined = lint_revisions(migration.pending, read_catalog(run.database), runner=run.env.runner, small=small)
        rules.require_harmless(examined)
        lines = rules.list_remarks(examined)
        lines += [f"not examined: {gap.what}: {gap.reason}" for gap in examined.gaps]
        return (*lines, *examined.accepted, *migration.unchecked)

    def _goes_with(self, run: Run, migration: Migration) -> None:
        """See that what serves goes on working once the migrations are applied.

        They come before the new code.

        Raises:
            MigrationFailed: a revision says that it goes only with newer code.
        """
        last = run.env.history.find_newest(run.env.name, lambda state: state.release, 30)
        if last is None or not migration.pending or not migration.applied:
            return
        now = {name: one.commit for name, one in live(run.env, run.checked.targets).items()}
        serving = [one for one in last.release if now.get(one.service) == one.commit]
        # With what is applied it serves already, whatever that says of older code.
        there = tuple(msgspec.structs.replace(one, tolerates="") for one in migration.applied)
        after = compatibility.apply_pending(msgspec.structs.replace(migration, applied=there))
        silent = {one.id: [("", there[0].id)] for one in after.applied}
        if misfits := compatibility.fit(serving, after, silent).misfits:
            raise MigrationFailed(
                "what serves would not survive the migrations",
                details=misfits,
                remedy="release the code that no longer needs the old schema first, and the migration after it",
            )

    def _newer(self, run: Run) -> RunState | None:
        """Find the last release if it contains our commit.

        A job of a CI may have stood in a queue before it began; a person who types an older commit means it, and is
        told to roll back, unless the newer one was released while the command waited.
        """
        last = run.env.history.find_newest(run.env.name, lambda state: state.release, 30)
        if last is None or last.commit.id == run.commit.id or (run.env.build is None and last.last < run.state.at):
            return None
        known = run.env.git.has(last.commit.id) and run.env.git.is_ancestor(run.commit.id, last.commit.id)
        return last if known or run.commit.id in last.opened.recent else None

    def _migration(self, run: Run) -> Migration:
        """Read where the schema is, and what is pending.

        And what others run, whether or not there is a database to ask.
        """
        config = run.env.config
        with run.env.git.export(run.commit.id) as files:
            chosen = config.settings.migrations
            wanted = [one for one in (chosen.path, chosen.config, chosen.files) if one]
            if run.checked.facts is not None or config.exported:
                _require_fetched(discovery.find_unfetched(run.env.git.submodules(run.commit.id), files, wanted))
            tool = Tool(files, config, run.env.runner)
            present, place = tool.has_migrations, tool.folder
            others: tuple[Elsewhere, ...] = ()
            if not present or (place and not config.exported):
                described = preflight.read_blueprint(config, run.env.git, run.commit)
                others = discovery.find_others(
                    files, list_files(files), described, ours=(place,) if place and present else ()
                )
            if run.database is None:
                return Migration(elsewhere=others, notes=_nowhere(present=present) if not config.exported else ())
            migration = Migration()
            if present:
                migration = tool.read_status(run.database, dry=run.options.dry_run)
            if migration.unchecked:
                migration = recorded_schema.continue_migration(
                    migration, list(run.env.history.read_runs(config.name, 50)), files
                )
            return msgspec.structs.replace(migration, elsewhere=others)


def _nowhere(*, present: bool) -> tuple[str, ...]:
    """Remark on migrations for which no database is known."""
    message = "the commit has migrations, and no database is known: not run; set database or database_url_env"
    return (message,) if present else ()


def _require_fetched(lost: tuple[str, ...]) -> None:
    """See that migrations are where somebody can look for them.

    Raises:
        SettingsError: they are in a submodule that is not here.
    """
    if lost:
        raise SettingsError(
            f"{lost[0]} is a submodule that this clone has not fetched: nobody can tell which migrations are in it",
            remedy="git submodule update --init --recursive; in GitHub Actions submodules: recursive of actions/checkout",
        )
