"""What the stages of one command work with, and what they leave for each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec

from deploylib import acceptance, check, ci, formats, process, proven, remedies, threads, verify
from deploylib.clock import Clock, Deadline
from deploylib.config import Config
from deploylib.errors import Contradiction, SettingsError
from deploylib.git import Git
from deploylib.hold import Holds
from deploylib.lease import Holder, Leases, Tenure
from deploylib.ledger import Journal, Ledger, RunState
from deploylib.models import Backup, Changes, Commit, Deploy, DeployStatus, Live, Migration, Secret, Target
from deploylib.needs import Finding
from deploylib.outcome import StageResult, StageStatus
from deploylib.postgres import Facts
from deploylib.process import ReadOnlyRunner, Runner
from deploylib.render import Refused, Render
from deploylib.s3 import Bucket
from deploylib.store import Damaged, Folder, Store
from deploylib.struck import Struck
from deploylib.units import seconds
from deploylib.visitors import Watch

S = TypeVar("S")
T = TypeVar("T")
AT_ONCE = 8  # requests; more of them would only wait for each other
A_COMMAND = 60.0  # seconds without a sign of life: a command shows one every twenty
BETWEEN_JOBS = 900.0  # jobs of one run: until the next runner has started, and installed what it needs

__all__ = [
    "BETWEEN_JOBS",
    "Checked",
    "Context",
    "Made",
    "Planned",
    "Stage",
    "View",
    "result",
    "served",
    "skipped",
    "table",
]


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

    def transferred(self, size: int, of: int) -> None:
        """So many more bytes of the current stage's work are done, *of* so many in all; 0: nobody knows."""
        ...

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """A stage has ended; *ago* seconds ago, when this run had done it before."""
        ...


@dataclass
class Context:
    """What the stages of one command work with; the edges are arguments, so that a test can replace them.

    Attributes:
        ref: the commit to release; None: what is checked out.
        only: the only services to deploy; empty: all.
        asked: the command that was typed, where it stands for one stage.
        dry: look only.
        rehearse: in a dry run, rehearse what is pending on a copy of the newest backup.
        to: run, commit or deploy that a rollback restores.
        promotes: the environment and the run whose verified release is brought here, ``staging/<run>``.
        wanted: the commit of each service, by name, where a release is brought from elsewhere.
        skip: gates to leave out, for *reason*.
        wait: how long to wait for another run; by default not at all, and in CI for as long as a run may take.
        due: make a backup only when one is due.
        spared: ids of backups that are not to be removed for a newer one.
        decides: this command brings its run to an end, and so puts back what went wrong.
        struck: secrets, that nothing that is printed, told or recorded may show.
        coming: the stages that this command is to do, by name.
        lying: what lies in the folder is looked at, committed or not.
        noticed: what must be put right, and was seen before the first stage.
        seen: what the services served when the environment was taken, for the stage that comes right after.
    """

    config: Config
    runner: Runner
    clock: Clock
    view: View
    ref: str | None = None
    only: tuple[str, ...] = ()
    asked: str = ""
    dry: bool = False
    rehearse: bool = False
    to: str = ""
    promotes: str = ""
    wanted: dict[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    reason: str = ""
    wait: str = ""
    due: bool = False
    spared: tuple[str, ...] = ()
    decides: bool = True
    coming: tuple[str, ...] = ()
    lying: bool = False
    noticed: tuple[Finding, ...] = ()
    struck: Struck = field(default_factory=Struck, repr=False)
    commit: Commit = field(default_factory=lambda: Commit(id=""))
    seen: dict[str, Live] = field(default_factory=dict)
    journal: Journal = field(init=False)
    visitors: Watch = field(init=False)

    def __post_init__(self) -> None:
        for secret in self.config.known_secrets:
            self.struck.learn(secret)
        self.visitors = Watch(self.clock, every=0.1 if self.config.is_local else 0.5)
        if self.rehearse and not self.dry:
            raise SettingsError(
                "a migration is rehearsed anyway, on the backup that it makes", remedy="--rehearse goes with --dry-run"
            )
        if self.dry:
            self.runner = ReadOnlyRunner(self.runner)

    @property
    def writer(self) -> Runner:
        """Starts what writes, also in a dry run: for the local Render itself, and for a copy that is thrown away."""
        return self.runner.real if isinstance(self.runner, ReadOnlyRunner) else self.runner

    @cached_property
    def store(self) -> Store:
        """Where ledger and backups are."""
        address, chosen = self.config.store, self.config.environment
        store: Store
        if "://" not in address:
            store = Folder(Path(address))
        else:
            store = Bucket(address, encryption=chosen.store_encryption, kms_key=chosen.store_kms_key)
        formats.require(store)
        return store

    @cached_property
    def ledger(self) -> Ledger:
        """The history of runs."""
        told = set[str]()

        def tell(damaged: Damaged) -> None:
            if damaged.key not in told:
                step = remedies.about(self.config.name, damaged.remedy)
                self.view.note(f"passed over: {damaged.message}", f"  {step}")
            told.add(damaged.key)

        shapes = {"check": Checked, "changes": Planned, "backup": Made}
        return Ledger(self.store, self.clock, tell, self.struck.value, shapes)

    @cached_property
    def build(self) -> ci.Build | None:
        """The CI run that this command is a job of; on the local Render only one that was named, by ``DEPLOYLIB_RUN``."""
        return ci.build(self.config.environ, local=self.config.is_local)

    @cached_property
    def author(self) -> str:
        """Who started it: as the CI says, as git calls who commits here, or as the system calls the user; never empty."""
        environ = self.config.environ
        known = (
            environ.get("GITHUB_ACTOR", "") if self.build else "",
            environ.get("GIT_AUTHOR_NAME", ""),
            self.git.author(),
        )
        return next((name.strip() for name in known if name.strip()), "") or process.user(environ.get("USER", ""))

    @cached_property
    def leases(self) -> Leases:
        """The lock of the environment."""
        return Leases(self.store, self.config.name)

    @cached_property
    def tenure(self) -> Tenure:
        """This command's hold on the environment; a job that only records shares it with the run's other jobs."""
        host, pid = process.here()
        shared = self.build is not None and not self.decides
        holder = Holder(
            run=self.state.id,
            author=self.author,
            url=self.build.url if self.build else "",
            ttl=BETWEEN_JOBS if shared else A_COMMAND,
            shared=shared,
            operation=self.state.opened.operation,
            host=host,
            pid=pid,
        )
        return Tenure(self.leases, holder, self.clock)

    @cached_property
    def holds(self) -> Holds:
        """What the environment refuses."""
        return Holds(self.store, self.config.name, self.clock)

    @cached_property
    def git(self) -> Git:
        """The working copy."""
        return Git(self.config.root, self.runner)

    @cached_property
    def render(self) -> Render:
        """The platform; refuses to write in a dry run."""
        endpoint = self.config.endpoint()
        self.struck.learn(endpoint.api_key)
        return Render.at(endpoint, read_only=self.dry, clock=self.clock)

    @cached_property
    def deadline(self) -> Deadline:
        """When waiting ends, for the whole run."""
        return Deadline.after(seconds(self.config.settings.deadline), self.clock)

    @cached_property
    def database(self) -> Secret | None:
        """The database's address; None where the product has none, or none that is opened from here."""
        if self.config.exported:
            return None
        found = check.address(self.config, self.render, self.checked.database)
        self.struck.learn(found)
        return found

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

    def live(self, seen: Mapping[str, Live] = MappingProxyType({}), *, strict: bool = True) -> dict[str, Live]:
        """What each service serves now, by the platform's word; those that were *seen* just now are not asked for.

        Args:
            strict: see `live_of`.
        """
        targets = [target for target in self.checked.targets if target.name not in seen]
        found = self.for_each(lambda target: self.live_of(target, strict=strict), targets)
        asked = dict(zip((target.name for target in targets), found, strict=True))
        return {target.name: seen.get(target.name) or asked[target.name] for target in self.checked.targets}

    def for_each(self, look: Callable[[S], T], things: Sequence[S]) -> list[T]:
        """Look at several services at once; what comes back is in their order."""
        return threads.each(look, things, AT_ONCE)

    def live_of(self, target: Target, *, strict: bool = True) -> Live:
        """What one service serves now.

        Args:
            strict: do not believe that it is nothing where our own records say otherwise. A rollback does: it has to bring
                the service to something that serves either way.

        Raises:
            Contradiction: nothing, the platform says, and our own records say otherwise.
        """
        live = self.render.live(target.service_id)
        if live is None and strict:
            self._require_nothing(target)
        return served(target, live)

    def _require_nothing(self, target: Target) -> None:
        """See that nothing is live, by a second question: what became of the deploy that we know was."""
        ours = proven.last_shipped(self.ledger.history(self.config.name, 20), target.name, target.service_id)
        if not ours:
            return
        try:
            status = self.render.deploy(target.service_id, ours).status
        except Refused as error:
            status, why = DeployStatus.LIVE, error.message
        else:
            why = f"it says of {ours} that it is {status}"
        if status is DeployStatus.LIVE:
            raise Contradiction(
                f"{target.name}: the platform says that nothing is live, and {ours} was deployed there ({why})",
                remedy=f"the same command again; if it stays so, see {target.dashboard_url or 'the Render Dashboard'}",
                service=target.name,
            )

    @property
    def look_for(self) -> float:
        """Seconds for which a deploy whose answer was lost is looked for; a loopback server lists it at once."""
        return 10.0 if self.config.is_local else acceptance.LOOK_FOR

    @property
    def pace(self) -> verify.Pace:
        """How verification measures: quick against a loopback server, patient against the world.

        The bake is what gives way when the run would take longer than its target.
        """
        local, settings = self.config.is_local, self.config.settings
        quick = verify.Pace(every=0.1, within=20, grace=2, settle=2) if local else verify.Pace()
        bake = seconds(settings.bake or ("0s" if local else "15s"))
        left = seconds(settings.target) - (self.clock.now() - self.state.at).total_seconds()
        return msgspec.structs.replace(quick, bake=max(0.0, min(bake, left)))


class Checked(msgspec.Struct, frozen=True):
    """What the check leaves: the services, and the database as it was found."""

    targets: tuple[Target, ...] = ()
    database: str = ""
    facts: Facts | None = None


class Planned(msgspec.Struct, frozen=True):
    """What this run is about: services and schema, decided once.

    Attributes:
        superseded: the newer release that went live while this run was waiting.
        wanted: the commit of each service, by name, where they are not all the run's.
        unproven: services that are left as they are, and whose live deploy was never verified: it is now.
    """

    changes: Changes = Changes()
    migration: Migration = Migration()
    wanted: dict[str, str] = {}
    superseded: str = ""
    unproven: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return bool(self.superseded) or not (self.changes.deploying or self.migration.pending or self.unproven)


class Made(msgspec.Struct, frozen=True):
    """The backup of this run."""

    backup: Backup | None = None


class Stage(Protocol):
    """One step of a run.

    Attributes:
        name: of the stage, also of the command that does it.
        holds: it must hold the environment, so that no other run changes what it has seen.
    """

    name: ClassVar[str]
    holds: ClassVar[bool] = True

    def done(self, ctx: Context) -> bool:
        """Whether this run has done it."""
        return ctx.state.done(self.name)

    def plan(self, ctx: Context) -> StageResult:
        """Say what `apply` would do; reads only."""
        ...

    def apply(self, ctx: Context) -> StageResult:
        """Do it."""
        ...


def served(target: Target, deploy: Deploy | None) -> Live:
    """What a service serves, from the deploy of it that is live."""
    if deploy is None:
        return Live(service=target.name, url=target.url)
    return Live(
        service=target.name, commit=deploy.commit, deploy_id=deploy.id, since=deploy.finished_at, url=target.url
    )


def result(stage: str, *lines: str, status: StageStatus = StageStatus.DONE, data: Any = None) -> StageResult:
    """What a stage says at its end; *data* is for later stages."""
    return StageResult(stage=stage, status=status, lines=lines, data=msgspec.to_builtins(data) if data else {})


def skipped(stage: str, reason: str) -> StageResult:
    """Left out, and why."""
    return result(stage, f"skipped: {reason}", status=StageStatus.SKIPPED)


def table(rows: list[tuple[str, str]]) -> tuple[str, ...]:
    """Two columns, the first as wide as it needs."""
    width = max((len(name) for name, _ in rows), default=0)
    return tuple(f"{name:<{width}}  {text}" for name, text in rows)
