"""One small class per stage: `plan` only reads, `apply` acts; both say what they found.

A stage composes primitives and keeps what later stages need in its result, so that they find it also on another
machine. Nothing is skipped without a reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import msgspec

from deploylib import backup, blueprint, changes, check, deploy, local, migrate, postgres, rollback, verify
from deploylib.clock import Clock, Deadline
from deploylib.config import Config, seconds
from deploylib.errors import ForeignDeploy, Interrupted, MigrationFailed
from deploylib.git import Git
from deploylib.ledger import Journal, Ledger, RunState
from deploylib.models import (
    Backup,
    Changes,
    Commit,
    Live,
    Migration,
    Order,
    Proof,
    Secret,
    Shipped,
    StageResult,
    StageStatus,
    Target,
    Verified,
)
from deploylib.postgres import Facts
from deploylib.process import ReadOnlyRunner, Runner
from deploylib.render import Render
from deploylib.store import Folder, Store
from deploylib.visitors import Watch

__all__ = [
    "Backup_",
    "Changes_",
    "Check",
    "Context",
    "Deploy",
    "Migrate",
    "Rollback",
    "Stage",
    "Verify",
    "View",
]

LOCK_WITHIN = 60.0


class View(Protocol):
    """Is told what happens while it happens; the only way out of the library before a run has ended."""

    def opened(self, run: str, environment: str, commit: Commit | None) -> None:
        """A run begins, or goes on."""
        ...

    def note(self, *lines: str) -> None:
        """Something worth knowing."""
        ...

    def began(self, stage: str) -> None:
        """A stage begins."""
        ...

    def progress(self, service: str, text: str) -> None:
        """What a service of the current stage is doing."""
        ...

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """A stage has ended; *ago* seconds ago, when this run had done it before."""
        ...


@dataclass
class Context:
    """What the stages of one command work with; the edges are arguments, so that a test can replace them."""

    config: Config
    runner: Runner
    clock: Clock
    view: View
    ref: str | None = None
    only: tuple[str, ...] = ()
    asked: str = ""
    dry: bool = False
    to: str = ""
    commit: Commit = field(default_factory=lambda: Commit(id=""))
    journal: Journal = field(init=False)
    visitors: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.visitors = Watch(self.clock, every=0.1 if self.config.is_local else 0.5)
        if self.dry:
            self.runner = ReadOnlyRunner(self.runner)

    @cached_property
    def store(self) -> Store:
        """Where ledger and backups are."""
        return Folder(self.config.store)

    @cached_property
    def ledger(self) -> Ledger:
        """The history of runs."""
        return Ledger(self.store, self.clock)

    @cached_property
    def git(self) -> Git:
        """The working copy."""
        return Git(self.config.root, self.runner)

    @cached_property
    def render(self) -> Render:
        """The platform; refuses to write in a dry run."""
        return Render.at(self.config.endpoint(), read_only=self.dry)

    @cached_property
    def deadline(self) -> Deadline:
        """When waiting ends, for the whole run."""
        return Deadline.after(seconds(self.config.settings.deadline), self.clock)

    @cached_property
    def database(self) -> Secret | None:
        """The database's address; None where the product has none."""
        name = self.checked.database
        return self.config.database_url() or (self.render.database_url(name) if name else None)

    @property
    def state(self) -> RunState:
        """What this run has done so far."""
        return self.journal.state

    @property
    def checked(self) -> Checked:
        """What `Check` found."""
        return self.state.data("check", Checked)

    @property
    def planned(self) -> Planned:
        """What `Changes_` decided."""
        return self.state.data("changes", Planned)

    def live(self) -> dict[str, Live]:
        """What each service serves now, by the platform's word."""
        return {target.name: self.live_of(target) for target in self.checked.targets}

    def live_of(self, target: Target) -> Live:
        """What one service serves now."""
        found = self.render.live(target.service_id)
        if found is None:
            return Live(service=target.name, url=target.url)
        return Live(
            service=target.name,
            commit=found.commit,
            deploy_id=found.id,
            since=found.finished_at,
            url=target.url,
        )

    @property
    def pace(self) -> verify.Pace:
        """How verification measures: quick against a loopback server, patient against the world."""
        return verify.Pace(every=0.1, within=20, grace=2, settle=2) if self.config.is_local else verify.Pace()


class Checked(msgspec.Struct, frozen=True):
    """What the check leaves: the services, and the database as it was found."""

    targets: tuple[Target, ...] = ()
    database: str = ""
    facts: Facts | None = None


class Planned(msgspec.Struct, frozen=True):
    """What this run is about: services and schema, decided once."""

    changes: Changes = Changes()
    migration: Migration = Migration()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not self.changes.deploying and not self.migration.pending


class Stage(Protocol):
    """One step of a run."""

    name: ClassVar[str]

    def plan(self, ctx: Context) -> StageResult:
        """Say what `apply` would do; reads only."""
        ...

    def apply(self, ctx: Context) -> StageResult:
        """Do it."""
        ...


def _result(stage: str, *lines: str, status: StageStatus = StageStatus.DONE, data: Any = None) -> StageResult:
    return StageResult(
        stage=stage, status=status, lines=lines, data=msgspec.to_builtins(data) if data else {}
    )


def _skipped(stage: str, reason: str) -> StageResult:
    return _result(stage, f"skipped: {reason}", status=StageStatus.SKIPPED)


def _table(rows: list[tuple[str, str]]) -> tuple[str, ...]:
    """Two columns, the first as wide as it needs."""
    width = max((len(name) for name, _ in rows), default=0)
    return tuple(f"{name:<{width}}  {text}" for name, text in rows)


class Check:
    """Working copy, Blueprint, platform, database: everything that can be known before anything is touched."""

    name: ClassVar[str] = "check"

    def plan(self, ctx: Context) -> StageResult:
        """The check itself reads only."""
        return self.apply(ctx)

    def apply(self, ctx: Context) -> StageResult:
        """Look, and refuse with every finding at once."""
        config = ctx.config
        described = check.read_blueprint(config, ctx.git, ctx.commit)
        names = check.services(config, described, ctx.only)
        findings = check.disk(config.store, config.settings.minimum_free)
        if described is not None and ctx.ref is None:
            findings += check.untracked_in_services(ctx.git, described)
        check.require(findings)
        self._local(ctx)
        targets, findings = check.targets(config, described, names, list(ctx.render.services()), ctx.git)
        check.require(findings + self._not_pushed(ctx))
        self._foreign(ctx, targets)
        database = config.environment.database or self._only_database(described)
        found = Checked(targets=targets, database=database)
        url = config.database_url() or (ctx.render.database_url(database) if database else None)
        facts = postgres.facts(url) if url else None
        text = "no database"
        if facts is not None:
            text = f"Postgres {facts.major}"
            backup.client_for(facts.major, config.settings.postgres_bin, runner=ctx.runner)
        source = "tree clean" if ctx.ref is None else f"commit {ctx.commit.short}"
        where = config.settings.blueprint if described else "settings"
        line = f"{where} valid · {source} · {len(targets)} services · {text}"
        return _result(self.name, line, data=msgspec.structs.replace(found, facts=facts))

    def _local(self, ctx: Context) -> None:
        """Start the local Render where the environment is one; what it cannot run is refused first."""
        if not ctx.config.is_local:
            return
        first = not local.running(ctx.config)
        local.validate(ctx.config, runner=ctx.runner)
        # Starting it is no write to the product: also a dry run needs something that answers.
        runner = ctx.runner.real if isinstance(ctx.runner, ReadOnlyRunner) else ctx.runner
        if first:
            ctx.view.note("Starting a local Render (no account needed) …")
        said = local.up(ctx.config, runner=runner)
        if first:
            versions = ", ".join(
                sorted({f"Postgres {d['version']}" for d in said.get("databases", {}).values()})
            )
            ctx.view.note(f"{versions or 'no database'} · edge on 127.0.0.1 · stop it: inv local.down")

    def _not_pushed(self, ctx: Context) -> list[check.Finding]:
        """The platform builds from the remote: a commit that is only here cannot be deployed."""
        if ctx.config.is_local:
            return []
        branches = {service.branch for service in ctx.render.services() if service.branch}
        if any(ctx.git.is_pushed(ctx.commit.id, branch) for branch in branches):
            return []
        text = f"{ctx.commit.short} is on none of the remote branches {', '.join(sorted(branches))}"
        return [check.Finding(text, "git push, then git fetch")]

    def _foreign(self, ctx: Context, targets: tuple[Target, ...]) -> None:
        """A deploy on its way that is of no run of ours means that somebody else is at work.

        One that an earlier run of ours has left is stopped, so that it cannot go live later.
        """
        now = {triggered.deploy_id for triggered in ctx.state.triggered.values()}
        left = {
            triggered.deploy_id
            for state in ctx.ledger.history(ctx.config.name, 5)
            for triggered in state.triggered.values()
        }
        for target in targets:
            for one in ctx.render.deploys(target.service_id, limit=5):
                if one.status.terminal or one.id in now:
                    continue
                if one.id in left and not ctx.dry:
                    deploy.settle(target, one.id, render=ctx.render, clock=ctx.clock, deadline=ctx.deadline)
                elif one.id not in left:
                    raise ForeignDeploy(
                        f"{target.name}: {one.id} ({one.commit[:7]}, trigger {one.trigger or 'unknown'}) is on its way",
                        remedy=f"wait for it or cancel it ({target.dashboard_url}), then run the same command again",
                        service=target.name,
                    )

    def _only_database(self, described: blueprint.Blueprint | None) -> str:
        databases = described.databases if described else ()
        return databases[0].name if len(databases) == 1 else ""


class Changes_:  # noqa: N801 - the value of that name is what it decides
    """Which services and which migrations this run is about."""

    name: ClassVar[str] = "changes"

    def plan(self, ctx: Context) -> StageResult:
        """The decision itself reads only."""
        return self.apply(ctx)

    def apply(self, ctx: Context) -> StageResult:
        """Compare the commit with what every service serves, and with the schema of the database."""
        decided = changes.detect(
            ctx.checked.targets,
            ctx.live(),
            ctx.commit,
            git=ctx.git,
            blueprint=check.read_blueprint(ctx.config, ctx.git, ctx.commit),
            blueprint_path=ctx.config.settings.blueprint,
            shared=ctx.config.settings.shared,
            only=ctx.only,
        )
        migration = self._migration(ctx)
        rows = [(change.service, change.reason) for change in decided.services]
        if migration.ahead:
            rows.append(
                ("schema", f"{migration.current} is newer than this commit's {migration.target}: left alone")
            )
        elif migration.pending:
            pending = ", ".join(f"{revision.id} {revision.title}".strip() for revision in migration.pending)
            rows.append(("schema", f"{migration.current or 'empty'} → {migration.target}: {pending}"))
        return _result(self.name, *_table(rows), data=Planned(changes=decided, migration=migration))

    def _migration(self, ctx: Context) -> Migration:
        if ctx.database is None:
            return Migration()
        with ctx.git.exported(ctx.commit.id) as files:
            if not any(migrate.location(ctx.config, files)):
                return Migration()
            return migrate.status(ctx.config, files, ctx.database, runner=ctx.runner)


class Backup_:  # noqa: N801 - likewise
    """A proven backup, before migrations and every so often."""

    name: ClassVar[str] = "backup"

    def plan(self, ctx: Context) -> StageResult:
        """Say why there would be one, or none."""
        why, skip = self._why(ctx)
        return _skipped(self.name, why) if skip else _result(self.name, why, status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Dump, prove, and only then remove the oldest."""
        why, skip = self._why(ctx)
        if skip or ctx.database is None:
            return _skipped(self.name, why)
        config = ctx.config
        with postgres.exclusively(ctx.database, clock=ctx.clock, within=LOCK_WITHIN):
            facts = postgres.facts(ctx.database)
            client = backup.client_for(facts.major, config.settings.postgres_bin, runner=ctx.runner)
            made = backup.create(
                ctx.database,
                facts=facts,
                client=client,
                store=ctx.store,
                environment=config.name,
                run=ctx.state.id,
                commit=ctx.commit.id,
                runner=ctx.runner,
                clock=ctx.clock,
            )
        removed = backup.prune(ctx.store, config.name, config.settings.keep_backups)
        line = f"{_bytes(made.size)} · {made.tables} tables · schema {made.revision or 'none'} · every byte decoded"
        gone = (f"kept the last {config.settings.keep_backups}, removed {len(removed)}",) if removed else ()
        return _result(self.name, line, f"{made.id}  ({why})", *gone, data={"backup": made})

    def _why(self, ctx: Context) -> tuple[str, bool]:
        """The reason for a backup (False) or for none (True)."""
        facts = ctx.checked.facts
        if facts is None:
            return "the product has no database", True
        if facts.empty:
            return "the database is empty", True
        if ctx.config.environment.backups == "none":
            return "the settings say that this environment's data may be lost", True
        if ctx.asked == self.name:
            return "asked for", False
        if pending := ctx.planned.migration.pending:
            return f"before {len(pending)} migration{'s' if len(pending) > 1 else ''}", False
        last = backup.latest(ctx.store, ctx.config.name)
        if last is None:
            return "there is none yet", False
        age = (ctx.clock.now() - last.created_at).total_seconds()
        if age > seconds(ctx.config.settings.backup_every):
            return f"the last one is {_age(age)} old", False
        return f"no migration, and the last one is {_age(age)} old", True


class Migrate:
    """Bring the schema to the revision that the commit needs, before any code that needs it."""

    name: ClassVar[str] = "migrate"

    def plan(self, ctx: Context) -> StageResult:
        """Say what would be executed."""
        migration = ctx.planned.migration
        if not migration.pending:
            return _skipped(self.name, self._none(ctx))
        sql = migration.sql.strip().splitlines() or ["(its SQL depends on the data)"]
        line = f"{migration.current or 'empty'} → {migration.target}"
        return _result(self.name, line, *sql, status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Apply what is pending, under the lock that backups take too."""
        migration, url = ctx.planned.migration, ctx.database
        if not migration.pending or url is None:
            return _skipped(self.name, self._none(ctx))
        with (
            ctx.git.exported(ctx.commit.id) as files,
            postgres.exclusively(url, clock=ctx.clock, within=LOCK_WITHIN),
        ):
            self._require_backup(ctx, postgres.facts(url))
            within = min(120.0, ctx.deadline.left())
            applied = migrate.upgrade(
                ctx.config, files, url, migration.target, runner=ctx.runner, within=within
            )
        count = f"{len(applied)} revision{'s' if len(applied) != 1 else ''}"
        line = f"{migration.current or 'empty'} → {migration.target} · {count}"
        waited = tuple(f"{one.id} waited for a lock, {one.tries} tries" for one in applied if one.tries > 1)
        return _result(self.name, line, *waited, data={"applied": applied})

    def _none(self, ctx: Context) -> str:
        if ctx.database is None:
            return "the product has no database"
        migration = ctx.planned.migration
        if not migration.target:
            return "the commit has no migrations"
        return (
            "the schema is ahead of the commit" if migration.ahead else f"the schema is at {migration.target}"
        )

    def _require_backup(self, ctx: Context, facts: Facts) -> None:
        """No migration of data that this run has not backed up at that very revision."""
        if facts.empty or ctx.config.environment.backups == "none":
            return
        made = ctx.state.data("backup", _Made).backup
        if made is None or made.revision != facts.revision:
            raise MigrationFailed(
                f"the schema is at {facts.revision or 'nothing'}, and this run has no backup of that",
                remedy="inv deploy, which makes one first",
            )


class _Made(msgspec.Struct, frozen=True):
    backup: Backup | None = None


class Deploy:
    """All changed services at once."""

    name: ClassVar[str] = "deploy"

    def plan(self, ctx: Context) -> StageResult:
        """Say what would be deployed, and what would be put back."""
        chosen = ctx.planned.changes
        if not chosen.deploying:
            return _skipped(self.name, "no service changed")
        rows = [(name, self._way_back(chosen.of(name).live)) for name in chosen.deploying]
        return _result(self.name, *_table(rows), status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Deploy, while visitors are counted."""
        chosen = ctx.planned.changes
        if not chosen.deploying:
            return _skipped(self.name, "no service changed")
        orders = [
            Order(target=target, commit=ctx.commit.id, previous=chosen.of(target.name).live)
            for target in ctx.checked.targets
            if target.name in chosen.deploying and target.name not in ctx.state.shipped
        ]
        return _carried_out(self.name, ctx, orders)

    def _way_back(self, live: Live) -> str:
        return (
            f"would be put back to {live.commit[:7]}" if live.commit else "first deploy: nothing to put back"
        )


class Rollback:
    """An earlier verified release, from its kept artifacts."""

    name: ClassVar[str] = "rollback"

    def plan(self, ctx: Context) -> StageResult:
        """Say what would be restored."""
        release, orders = self._orders(ctx)
        rows = [(order.target.name, f"{order.previous.commit[:7]} → {order.commit[:7]}") for order in orders]
        head = f"release of run {release.id[-4:]}, {release.opened.commit.short}; the schema stays as it is"
        return _result(self.name, head, *_table(rows), status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Restore."""
        release, orders = self._orders(ctx)
        ctx.view.note(
            f"back to run {release.id[-4:]}, {release.opened.commit.short} {release.opened.commit.subject!r}",
            "the schema stays as it is; each service gets that deploy's environment variables again",
        )
        return _carried_out(self.name, ctx, orders)

    def _orders(self, ctx: Context) -> tuple[RunState, list[Order]]:
        live = ctx.live()
        release = rollback.choose(ctx.ledger.history(ctx.config.name, 50), live, ctx.to)
        return release, rollback.orders(ctx.checked.targets, release.release, live)


def _carried_out(stage: str, ctx: Context, orders: list[Order]) -> StageResult:
    ctx.visitors.start(
        order.target.url + (order.target.health_path or "/")
        for order in orders
        if order.target.url and order.previous.commit
    )
    deploy.bring(
        orders,
        render=ctx.render,
        clock=ctx.clock,
        deadline=ctx.deadline,
        record=ctx.journal.record,
        progress=ctx.view.progress,
        intents=ctx.state.intents,
        triggered=ctx.state.triggered,
    )
    return _result(stage, *_table([(name, _shipped_text(one)) for name, one in ctx.state.shipped.items()]))


def _shipped_text(one: Shipped) -> str:
    build = f"build {one.build_seconds:.1f}s · " if one.build_seconds else ""
    return f"{build}start {one.start_seconds:.1f}s · live"


class Verify:
    """What this run deployed must prove itself; outside a run, what the ledger says is live."""

    name: ClassVar[str] = "verify"

    def plan(self, ctx: Context) -> StageResult:
        """Say what would be asked."""
        names = ", ".join(ctx.planned.changes.deploying)
        if not names:
            return _skipped(self.name, "nothing was deployed")
        return _result(self.name, f"would ask {names} for {ctx.commit.short}", status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Ask all of them at once."""
        migration = ctx.planned.migration
        shipped = ctx.state.shipped
        if not shipped:
            return _skipped(self.name, "nothing was deployed")
        expected = {
            name: verify.Expected(
                one.commit, one.previous.commit, "" if migration.ahead else migration.target
            )
            for name, one in shipped.items()
        }
        proven = prove(ctx, expected)
        rows = [(one.service, f"{one.text}{_level(one)}") for one in proven]
        advice = _advice(proven)
        return _result(self.name, *_table(rows), *advice, data={"verified": proven})


def prove(ctx: Context, expected: dict[str, verify.Expected]) -> tuple[Verified, ...]:
    """Verify several services at once; the first failure ends the others at their next request."""
    stop = threading.Event()

    def progress(service: str, text: str) -> None:
        if stop.is_set():
            raise Interrupted("verification was ended", remedy="inv verify", service=service)
        ctx.view.progress(service, text)

    def one(target: Target) -> Verified:
        known = expected[target.name]
        return verify.until_proven(
            target, known, render=ctx.render, clock=ctx.clock, pace=ctx.pace, progress=progress
        )

    chosen = [target for target in ctx.checked.targets if target.name in expected]
    with ThreadPoolExecutor(max_workers=max(1, len(chosen))) as pool:
        try:
            return tuple(pool.map(one, chosen))
        finally:
            stop.set()


def _level(one: Verified) -> str:
    return "" if one.proof is Proof.COMMIT else f"  (proof: {one.proof})"


def _advice(proven: tuple[Verified, ...]) -> tuple[str, ...]:
    """The advice, once for all services that share it."""
    seen: dict[tuple[str, ...], list[str]] = {}
    for one in proven:
        if one.advice:
            seen.setdefault(one.advice, []).append(one.service)
    return tuple(
        line for advice, names in seen.items() for line in (f"{', '.join(names)}: {advice[0]}", *advice[1:])
    )


def _bytes(count: int) -> str:
    units: Callable[[float], str] = lambda value: f"{value:.1f}" if value < 10 else f"{value:.0f}"  # noqa: E731, PLR2004
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":  # noqa: PLR2004 - SI units
            return f"{units(count)} {unit}" if unit != "B" else f"{count} B"
        count = round(count / 1000, 1)  # type: ignore[assignment]
    raise AssertionError(count)


def _age(age: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if age >= length:
            return f"{age / length:.0f} {unit}"
    return f"{age:.0f} s"
