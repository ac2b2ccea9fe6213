"""One environment to deploy to.

Its settings, and the edges by which it is reached.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from deploylib import settings
from deploylib.backups import Edges
from deploylib.models import Secret, remedies
from deploylib.models.progress import Progress
from deploylib.models.redaction import Struck
from deploylib.notifications import Messenger, Outbox, find_channels
from deploylib.probes import Pace
from deploylib.render import Client
from deploylib.settings import Config
from deploylib.state import History, Holds, Lease, Leases
from deploylib.store import Damaged, Store
from deploylib.store import open as open_store
from deploylib.system import Clock, Git, ci, process

__all__ = ["A_COMMAND", "BETWEEN_JOBS", "Environment"]

A_COMMAND = 60.0  # seconds without a sign of life: a command shows one every twenty
BETWEEN_JOBS = 900.0  # jobs of one run: until the next runner has started, and installed what it needs


@dataclass(frozen=True)
class Environment:
    """What every command works with.

    An edge is made when it is first used.

    Attributes:
        config: its settings.
        runner: starts programs.
        progress: is told what happens while it happens.
        struck: secrets, that nothing that is printed, told or recorded may show.
        read_only: the platform and programs that write are refused.
        kept_in: a store in the place of its own.
    """

    config: Config
    runner: process.Runner = process.SYSTEM
    clock: Clock = Clock()
    progress: Progress = field(default_factory=Progress)
    struck: Struck = field(default_factory=Struck, repr=False)
    read_only: bool = False
    kept_in: Store | None = None

    def __post_init__(self) -> None:
        for secret in self.config.known_secrets:
            self.struck.learn(secret)

    @classmethod
    def open(cls, name: str = "local", *, folder: Path | None = None, progress: Progress | None = None) -> Self:
        """Read the settings of the product that *folder* is in.

        Asks nobody anything.

        Args:
            name: of the environment, one of the settings, or ``local``.
            folder: anywhere in the product's working copy; by default the current folder.
            progress: is told what happens while it happens; by default nobody is.

        Raises:
            SettingsError: no such environment, or the settings are wrong.
        """
        return cls(settings.load(settings.top(folder), name, os.environ), progress=progress or Progress())

    def beside(self, name: str) -> Environment:
        """Open another environment of the same product, only to look at it."""
        other = settings.load(self.config.root, name, self.config.environ)
        return dataclasses.replace(self, config=other, runner=process.ReadOnlyRunner(self.writer), read_only=True)

    def looking(self) -> Environment:
        """Take the same environment so that nothing can be changed."""
        return dataclasses.replace(self, runner=process.ReadOnlyRunner(self.writer), read_only=True)

    def without_store(self, folder: Path) -> Environment:
        """Take the same environment with an empty store, to look around."""
        return dataclasses.replace(self, kept_in=open_store(folder))

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.config.name

    @property
    def flag(self) -> str:
        """The flag that names this environment, after a space; none for ``local``."""
        return self.config.flag

    @property
    def writer(self) -> process.Runner:
        """Starts what writes, also in a dry run.

        For the local Render itself, and for a copy that is thrown away.
        """
        return self.runner.real if isinstance(self.runner, process.ReadOnlyRunner) else self.runner

    @cached_property
    def store(self) -> Store:
        """Where history and backups are.

        Raises:
            SettingsError: it was written by a newer version of this program.
        """
        if self.kept_in is not None:
            return self.kept_in
        chosen = self.config.environment
        return open_store(self.config.store, encryption=chosen.store_encryption, kms_key=chosen.store_kms_key)

    @cached_property
    def backup_edges(self) -> Edges:
        """What backups and restores work with."""
        programs = self.config.postgres_bin
        return Edges(self.store, programs, self.runner, self.clock, self.progress.transferred)

    @cached_property
    def history(self) -> History:
        """The history of runs; what is damaged in it is told once."""
        reported = set[str]()

        def tell(damaged: Damaged) -> None:
            if damaged.key not in reported:
                step = remedies.about(self.name, damaged.remedy)
                self.progress.note(f"passed over: {damaged.message}", f"  {step}")
            reported.add(damaged.key)

        return History(self.store, self.clock, tell, self.struck.value)

    @cached_property
    def messenger(self) -> Messenger:
        """Tells every channel of the settings; where one only looks, none."""
        return Messenger(
            () if self.read_only else find_channels(self.config),
            lambda: Outbox(self.store, self.name, self.clock),
            self.clock,
            clean=self.struck.of,
            find_sign=lambda run: self.history.read_last(run, "message", str) or "",
            keep_sign=lambda run, sign: self.history.append(run, "message", sign),
        )

    @cached_property
    def build(self) -> ci.Build | None:
        """The CI run that this command is a job of.

        On the local Render only one that was named, by ``DEPLOYLIB_RUN``.
        """
        return ci.read_build(self.config.environ, local=self.config.is_local)

    @cached_property
    def author(self) -> str:
        """Who started it.

        As the CI says, as git calls who commits here, or as the system calls the user; never empty.
        """
        environ = self.config.environ
        known = (
            environ.get("GITHUB_ACTOR", "") if self.build else "",
            environ.get("GIT_AUTHOR_NAME", ""),
            self.git.author(),
        )
        first = next((name.strip() for name in known if name.strip()), "")
        chosen = first or process.user_name(environ.get("USER", ""))
        # Its bytes need not be UTF-8; what is recorded must be.
        return chosen.encode(errors="backslashreplace").decode()

    @cached_property
    def leases(self) -> Leases:
        """Who may change the environment."""
        return Leases(self.store, self.name)

    def make_lease(self, run: str, *, shared: bool = False, operation: str = "") -> Lease:
        """Make the lease that a run will ask for.

        Args:
            run: its id.
            shared: a job of a CI that only records shares it with the run's other jobs.
            operation: what was asked for beside the releases, where it is no run that asks.
        """
        return Lease.of(
            self.leases,
            self.clock,
            run=run,
            author=self.author,
            url=self.build.url if self.build else "",
            ttl=BETWEEN_JOBS if shared else A_COMMAND,
            shared=shared,
            operation=operation,
        )

    @cached_property
    def holds(self) -> Holds:
        """What the environment refuses."""
        return Holds(self.store, self.name, self.clock)

    @cached_property
    def git(self) -> Git:
        """The working copy."""
        return Git(self.config.root, self.runner)

    @cached_property
    def render(self) -> Client:
        """The platform.

        Raises:
            SettingsError: there is no key.
            Unreachable: the local Render is not running.
        """
        client = Client.of(self.config, read_only=self.read_only, clock=self.clock)
        self.struck.learn(client.secret)
        return client

    def learn(self, secret: Secret | None) -> Secret | None:
        """Note a secret that nothing may show from now on."""
        self.struck.learn(secret)
        return secret

    @property
    def pace(self) -> Pace:
        """How verification measures: quick against a loopback server, patient against the world."""
        return Pace(every=0.1, within=20, grace=2, settle=2, cold=0) if self.config.is_local else Pace()
