"""Looking before anything is touched: what is there to do, and may it be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from deploylib import catalog, changes, check, deploy, elsewhere, hazards, lint, migrate, proven, remedies, schema
from deploylib.errors import ForeignDeploy, Held, MigrationFailed, SettingsError
from deploylib.examined import listed
from deploylib.hold import Hold
from deploylib.ledger import RunState
from deploylib.models import Changes as Decided
from deploylib.models import DeployStatus, Elsewhere, Live, Migration, Target
from deploylib.outcome import StageResult
from deploylib.stages.context import Context, Planned, Stage, result, served, skipped, table
from deploylib.units import age

__all__ = ["Changes", "alone", "decide", "not_held"]


def not_held(ctx: Context) -> None:
    """See that the environment takes this release; nobody waits on a hold.

    Raises:
        Held: it refuses the commit, or everything.
    """
    back = ctx.state.opened.back
    wanted = (ctx.commit.id, *ctx.wanted.values())
    holds = [one for one in ctx.holds.current() if any(one.refuses(commit, back=back) for commit in wanted)]
    if not holds:
        return
    told = [_held(ctx, one) for one in sorted(holds, key=lambda one: not one.everything)]
    (first, remedy), *others = told
    raise Held(
        f"{ctx.config.name} refuses {first}",
        details=tuple(f"it also refuses {text}: {way}" for text, way in others),
        remedy=remedy,
    )


def _held(ctx: Context, hold: Hold) -> tuple[str, str]:
    """What a hold refuses, why and since when; and what is to be done about it."""
    where = ctx.config.flag
    lift = f"inv hold.lift{where}"
    known = (hold.by, f"{age((ctx.clock.now() - hold.at).total_seconds())} ago")
    by = ", ".join(one for one in known if one)
    if not hold.everything:
        remedy = f"correct it in a newer commit, which is let through; or {lift} {hold.flag}, if it was not at fault"
        return f"{ctx.commit.short}: {hold.reason} ({by})", remedy
    remedy = f"inv rollback{where}; or {lift}, once all is well" if hold.run else f"{lift}, once its reason is gone"
    return f"every release: {hold.reason} ({by})", remedy


def alone(ctx: Context, targets: tuple[Target, ...], *, holding: bool) -> dict[str, Live]:
    """See that nobody else deploys.

    Args:
        holding: we hold the environment, so what an earlier run of ours has left on its way is stopped, or it may go
            live later. Otherwise it may be of a run that is at work: also one that is just being asked for.

    Returns:
        What each service serves, as far as these looks have told.

    Raises:
        ForeignDeploy: a deploy on its way is of no run of ours.
        Damaged: it may be of a run that cannot be read.
    """
    live: dict[str, Live] = {}
    now = {triggered.deploy_id for triggered in ctx.state.triggered.values()}
    history = list(ctx.ledger.history(ctx.config.name, 5))
    asked = [(state.triggered, state.intents, state.report is None) for state in history]
    asked += [(state.back_triggered, state.back_intents, state.report is None) for state in history]
    left = {one.deploy_id for triggered, _, _ in asked for one in triggered.values()}
    asking = {name for triggered, intents, is_open in asked if is_open for name in set(intents) - set(triggered)}
    ctx.render.owned.update(_known_deploys(history, targets))
    found = ctx.for_each(lambda target: ctx.render.deploys(target.service_id, limit=5), targets)
    for target, deploys in zip(targets, found, strict=True):
        serving = next((one for one in deploys if one.status is DeployStatus.LIVE), None)
        if serving is not None and all(one.status.terminal for one in deploys):
            live[target.name] = served(target, serving)
        for one in deploys:
            if one.status.terminal or one.id in now or (target.name in asking and not holding):
                continue
            if one.id not in left and not _of_a_lost_run(ctx):
                raise ForeignDeploy(
                    f"{target.name}: {one.id} ({one.commit[:7]}, trigger {one.trigger or 'unknown'}) is on its way",
                    remedy=f"wait for it or cancel it ({target.dashboard_url}), then run the same command again",
                    service=target.name,
                )
            if holding:
                deploy.settle(target, one.id, render=ctx.render, clock=ctx.clock, deadline=ctx.deadline)
    return live


def _known_deploys(history: list[RunState], targets: tuple[Target, ...]) -> set[tuple[str, str]]:
    """The deploys that earlier runs have seen go live at a service, so that nobody asks once more whose they are."""
    seen = {(shipped.service, shipped.deploy_id) for state in history for shipped in state.shipped.values()}
    seen |= {(live.service, live.deploy_id) for state in history for live in state.release}
    return {(target.service_id, deploy_id) for target in targets for name, deploy_id in seen if name == target.name}


def _of_a_lost_run(ctx: Context) -> bool:
    """Whether a deploy of no run that can be read may be of one that cannot.

    Raises:
        Damaged: that run; but not in a rollback, which says itself what shall be live.
    """
    damaged = ctx.ledger.unsettled(ctx.config.name)
    if damaged is not None and not ctx.state.opened.back:
        raise damaged
    return damaged is not None


def decide(ctx: Context, targets: Sequence[Target], live: Mapping[str, Live], wanted: Mapping[str, str]) -> Decided:
    """Which of the services this run deploys.

    Args:
        live: what each of them serves.
        wanted: their commits, where a release of another environment is taken over.
    """

    def recorded(commit: str) -> tuple[str, ...]:
        runs = ctx.ledger.history(ctx.config.name, 50)
        return next((one.opened.recent[1:] for one in runs if commit == next(iter(one.opened.recent), "")), ())

    git, shared = ctx.git, ctx.config.settings.shared
    if wanted:
        source = ctx.promotes.partition("/")[0]
        return changes.promoted(targets, live, wanted, git=git, source=source, recorded=recorded, shared=shared)
    return changes.detect(
        targets,
        live,
        ctx.commit,
        git=git,
        blueprint=check.read_blueprint(ctx.config, git, ctx.commit),
        blueprint_path=ctx.config.settings.blueprint,
        shared=shared,
        only=ctx.only,
        recorded=recorded,
    )


class Changes(Stage):
    """Which services and which migrations this run is about."""

    name: ClassVar[str] = "changes"

    def plan(self, ctx: Context) -> StageResult:
        """The decision itself reads only."""
        return self.apply(ctx)

    def apply(self, ctx: Context) -> StageResult:
        """Compare the commit with what every service serves, and with the schema of the database."""
        if newer := self._newer(ctx):
            text = f"{newer.commit.short} was released (run {newer.id}), and it has this commit in it"
            superseded = Planned(superseded=newer.id)
            return msgspec.structs.replace(skipped(self.name, text), data=msgspec.to_builtins(superseded))
        decided = decide(ctx, ctx.checked.targets, ctx.live(ctx.seen), ctx.wanted)
        migration = self._migration(ctx)
        self._goes_with(ctx, migration)
        linted = self._linted(ctx, migration)
        unproven = self._unproven(ctx, decided)
        also = dict.fromkeys(unproven, "; it was never proven, and is verified now")
        rows = [(change.service, change.reason + also.get(change.service, "")) for change in decided.services]
        if migration.ahead:
            rows.append(("schema", f"{migration.current} is newer than this commit's {migration.target}: left alone"))
        elif migration.pending:
            pending = ", ".join(f"{revision.id} {revision.title}".strip() for revision in migration.pending)
            rows.append(("schema", f"{migration.before} → {migration.target}: {pending}"))
        for one in migration.elsewhere:
            step = remedies.about(ctx.config.name, one.remedy)
            rows.append(("schema", f"{one.what}: not run from here; to take it over: {step}"))
        rows += [("schema", note) for note in migration.notes]
        planned = Planned(changes=decided, migration=migration, wanted=ctx.wanted, unproven=unproven)
        return result(self.name, *table(rows), *linted, data=planned)

    def _unproven(self, ctx: Context, decided: Decided) -> tuple[str, ...]:
        """The services that are left as they are, and have never proven it."""
        left = {change.service: change.live for change in decided.services if not change.deploy}
        return proven.unproven(ctx.ledger.history(ctx.config.name, 50), left)

    def _linted(self, ctx: Context, migration: Migration) -> tuple[str, ...]:
        """What the SQL of the pending migrations is warned of; nothing has run yet.

        Raises:
            MigrationFailed: it would hold up readers or writers, or takes away what serves.
        """
        if not migration.pending or ctx.database is None:
            return ()
        small = ctx.config.settings.migrations.small_table
        examined = lint.examine(migration.pending, catalog.read(ctx.database), runner=ctx.runner, small=small)
        hazards.require(examined)
        said = hazards.remarked(examined)
        said += [f"not examined: {gap.what}: {gap.reason}" for gap in examined.gaps]
        return (*said, *examined.accepted, *migration.unchecked)

    def _goes_with(self, ctx: Context, migration: Migration) -> None:
        """See that what serves goes on working once the migrations are applied: they come before the new code.

        Raises:
            MigrationFailed: a revision says that it goes only with newer code.
        """
        last = ctx.ledger.newest(ctx.config.name, lambda state: state.release, 30)
        if last is None or not migration.pending or not migration.applied:
            return
        now = {name: one.commit for name, one in ctx.live().items()}
        serving = [one for one in last.release if now.get(one.service) == one.commit]
        silent = {one.id: migration.applied[0].id for one in migration.pending}
        if found := schema.fit(serving, schema.after(migration), silent).misfits:
            raise MigrationFailed(
                "what serves would not survive the migrations",
                details=found,
                remedy="release the code that no longer needs the old schema first, and the migration after it",
            )

    def _newer(self, ctx: Context) -> RunState | None:
        """The last release, where its commit has ours in its history and we came too late.

        A job of a CI may have stood in a queue before it began; a person who types an older commit means it, and is
        told to roll back, unless the newer one was released while the command waited.
        """
        last = ctx.ledger.newest(ctx.config.name, lambda state: state.release, 30)
        if last is None or last.commit.id == ctx.commit.id or (ctx.build is None and last.last < ctx.state.at):
            return None
        known = ctx.git.has(last.commit.id) and ctx.git.is_ancestor(ctx.commit.id, last.commit.id)
        return last if known or ctx.commit.id in last.opened.recent else None

    def _migration(self, ctx: Context) -> Migration:
        """Where the schema is and what is pending; and what others run, whether or not there is a database to ask."""
        config = ctx.config
        with ctx.git.exported(ctx.commit.id) as files:
            chosen = config.settings.migrations
            wanted = [one for one in (chosen.path, chosen.config, chosen.files) if one]
            if ctx.checked.facts is not None or config.exported:
                _require_fetched(elsewhere.lost(ctx.git.submodules(ctx.commit.id), files, wanted))
            present, place = migrate.present(config, files), migrate.folder(config, files)
            others: tuple[Elsewhere, ...] = ()
            if not present or (place and not config.exported):
                described = check.read_blueprint(config, ctx.git, ctx.commit)
                others = elsewhere.systems(files, listed(files), described, ours=(place,) if place and present else ())
            if ctx.database is None:
                return Migration(elsewhere=others, notes=_nowhere(present=present) if not config.exported else ())
            found = Migration()
            if present:
                found = migrate.status(config, files, ctx.database, runner=ctx.runner, dry=ctx.dry)
            if found.unchecked:
                found = schema.continued(found, list(ctx.ledger.history(config.name, 50)), files)
            return msgspec.structs.replace(found, elsewhere=others)


def _nowhere(*, present: bool) -> tuple[str, ...]:
    """What is said of migrations that would be ours, where no database is known."""
    said = "the commit has migrations, and no database is known: not run; set database or database_url_env"
    return (said,) if present else ()


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
