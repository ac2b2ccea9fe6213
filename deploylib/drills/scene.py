"""The scene of a drill: the shop, on its own local Render.

Nothing in it knows the product of the person who practises, nor a key of theirs.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from deploylib import settings
from deploylib.commands import release
from deploylib.drills import shop
from deploylib.environment import Environment
from deploylib.errors import NotExamined
from deploylib.models import Secret, decoding
from deploylib.models.results import Report
from deploylib.models.units import words
from deploylib.postgres import connect
from deploylib.render import local
from deploylib.system import Git, http, process

__all__ = ["Scene", "TypedCommand"]

ELSEWHERE = re.compile(r" (?:--environment|-e)[ =](?!local\b)")
WITHIN = 300.0  # seconds for a command that is typed
PERSON = ("user.name=Drill", "user.email=drill@localhost", "commit.gpgsign=false", "gc.auto=0")
SEES = ("HOME", "LANG", "LC_ALL", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TEMP", "TMP", "TMPDIR", "TZ", "USER")


class TypedCommand(msgspec.Struct, frozen=True):
    """A command that somebody has typed in the shop.

    Attributes:
        at: seconds since the epoch.
        words: what stood after ``inv``.
    """

    at: float
    words: tuple[str, ...]

    @property
    def task(self) -> str:
        """The task that was meant.

        Empty: none was named, or it is about another environment, which the shop has not.
        """
        if ELSEWHERE.search(self.line):
            return ""
        return next((word for word in self.words if not word.startswith("-")), "")

    @property
    def line(self) -> str:
        """It as it can be typed again."""
        return shlex.join(("inv", *self.words))


@dataclass
class Scene:
    """The shop, what is done to it, and what is so.

    Attributes:
        folder: that the shop's folder is in.
        host: of the person who practises; only its way to start programs is used.
        waits: a person is at work, who needs time to look.
        good: the commit that was well.
        noted: what the drill wants to know again.
    """

    folder: Path
    host: Environment
    waits: bool = True
    good: str = ""
    noted: dict[str, Any] = field(default_factory=dict)

    @property
    def copy(self) -> Path:
        """The working copy in which is typed."""
        return self.folder / "shop"

    def enter(self, **more: str) -> Environment:
        """Enter the shop: its own environment.

        Args:
            more: variables that it sees.
        """
        return self._inside if not more else self._open(more)

    # What is done to it

    def start(self, *, database: bool = False) -> None:
        """Make the shop, and release its first commit."""
        self._run_git("init", "--quiet", "--initial-branch=main", str(self.copy), folder=self.folder)
        for setting in PERSON:
            self._run_git("config", *setting.split("=", 1))
        self.good = self.commit("The shop", shop.write_shop(database=database))
        config = self.enter().config
        local.up(config, runner=self.host.writer, extra=("--faults", "--no-pip", f"--owner={os.getpid()}"))
        self.release()
        _ = self._urls  # while it is well

    def commit(self, message: str, files: Mapping[str, str]) -> str:
        """Commit these files; the commit's id."""
        for name, text in files.items():
            path = self.copy / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._run_git("add", "--all")
        self._run_git("commit", "--quiet", "--message", message)
        return self.head

    def change(self, message: str, files: Mapping[str, str] | None = None) -> str:
        """Commit a change of both services; the commit's id."""
        note = f"{message}\n"
        return self.commit(message, {"shop/note.txt": note, "orders/note.txt": note, **(files or {})})

    def release(self, code: int = 0) -> Report:
        """Release what is checked out, which must end with *code*."""
        return self.expect(release.deploy(self.enter()), code)

    def expect(self, report: Report, code: int = 0) -> Report:
        """See that a run has ended as the situation needs it.

        Raises:
            NotExamined: it has not, so that there is nothing to practise.
        """
        if report.exit_code != code:
            raise NotExamined(
                f"the situation could not be made: {report.outcome} (exit code {report.exit_code}): {report.error}",
                details=report.details,
                remedy="the same again; if it stays so, report it with what stands above",
            )
        return report

    def break_something(self, name: str, **how: str) -> None:
        """Switch a fault of the local Render on."""
        local.fault(self.enter().config, name, how, runner=self.host.writer)

    def mend(self) -> None:
        """Switch all faults off."""
        local.fault(self.enter().config, clear=True, runner=self.host.writer)

    def type_line(self, line: str) -> process.Completed:
        """Type a line as a person does.

        It is a program of its own; ``inv`` is that of the interpreter that runs us.
        """
        given = words(line)
        program = [sys.executable, "-m", "invoke", *given[1:]] if given[0] == "inv" else given
        config = self.host.config
        command = process.Command(
            program,
            cwd=self.copy,
            check=False,
            timeout=WITHIN,
            writes=True,
            drops=config.secrets,
            tree=True,
            shown=True,
        )
        return self.host.writer.run(command)

    def branch(self, name: str, message: str, files: Mapping[str, str]) -> None:
        """Leave a commit on a branch that is not checked out."""
        self._run_git("switch", "--quiet", "--create", name)
        self.commit(message, files)
        self._run_git("switch", "--quiet", "main")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement in the shop's database."""
        with connect(self._database) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    # What is so

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self._run_git("rev-parse", "HEAD").text

    @property
    def unreleased(self) -> str:
        """What keeps the noted commit from being released; or nothing."""
        if not self.serves(str(self.noted["commit"])):
            return "the newest commit is not released"
        return self.unrest

    def serves(self, commit: str) -> bool:
        """Tell whether every service's own address names this commit."""
        return set(self.read_served().values()) == {commit}

    def read_served(self) -> dict[str, str]:
        """Read the commit that each address names; empty: it answers none."""
        page = re.search(rb'content="(\w+)"', self._get(shop.FRONTEND, "/").body)
        health = self._get(shop.BACKEND, "/health").json()
        return {
            shop.FRONTEND: page[1].decode() if page else "",
            shop.BACKEND: str(health.get("releaseId", "")) if isinstance(health, dict) else "",
        }

    def order(self, name: str) -> bool:
        """Order as a customer does; whether it was taken."""
        return self._ask("POST", shop.BACKEND, "/orders", {"name": name}).ok

    def orders(self) -> list[str]:
        """Read who has ordered, as the shop shows it."""
        names = self._get(shop.BACKEND, "/orders").json()
        return [str(name) for name in names] if isinstance(names, list) else []

    @property
    def unrest(self) -> str:
        """What is not at its end: a run, a lease, a hold."""
        env = self.enter()
        runs = list(env.history.read_runs(env.name, 5))
        if any(state.report is None for state in runs):
            return "a run is open"
        lease = env.leases.read()
        if lease is not None and lease.taken:
            return "somebody holds the environment"
        return "everything is held" if any(hold.everything for hold in env.holds.read()) else ""

    @property
    def typed(self) -> tuple[TypedCommand, ...]:
        """What was typed in the shop until now.

        A line that cannot be read is no command.
        """
        noted, commands = self.folder / "commands.jsonl", list[TypedCommand]()
        for line in noted.read_bytes().splitlines() if noted.exists() else ():
            try:
                commands.append(decoding.json(line, TypedCommand, most=process.MOST))
            except decoding.Undecodable:
                continue  # it is being written at this moment
        return tuple(commands)

    def has_typed(self, *tasks: str) -> bool:
        """Tell whether one of these tasks was typed."""
        return any(one.task in tasks for one in self.typed)

    def count_deploys(self, service: str, commit: str) -> int:
        """Count the deploys of a commit that the platform has made."""
        client = self.enter().render
        return sum(1 for one in client.deploys(client.service(service).id) if one.commit == commit)

    # Its end

    def end(self) -> None:
        """Stop everything that runs for it, and forget it."""
        config = settings.Config(root=self.copy)  # whatever somebody has done to its settings
        if config.local_state.exists():
            local.reset(config, runner=self.host.writer)

    @property
    def left(self) -> str:
        """What goes on though it was ended; empty: nothing."""
        there = [name for name in self.__dict__.get("_urls", {}) if self._get(name, "/").status]
        return f"{' and '.join(there)} still answers" if there else ""

    # Its edges

    @cached_property
    def _inside(self) -> Environment:
        return self._open({})

    def _open(self, more: Mapping[str, str]) -> Environment:
        seen = {name: self.host.config.environ[name] for name in SEES if name in self.host.config.environ}
        config = settings.load(self.copy, "local", {**seen, **more})
        return Environment(config, runner=self.host.writer, clock=self.host.clock)

    @cached_property
    def _urls(self) -> dict[str, str]:
        return {str(name): str(url) for name, url in local.read_status(self.enter().config)["urls"].items()}

    @cached_property
    def _database(self) -> Secret:
        return self.enter().render.database_url("shop")

    def _get(self, service: str, path: str) -> http.Answer:
        return self._ask("GET", service, path)

    def _ask(self, method: str, service: str, path: str, body: object = None) -> http.Answer:
        """Ask an address; status 0: it did not answer."""
        try:
            with http.Session(timeout=10) as session:
                return session.request(method, self._urls[service].rstrip("/") + path, json=body)
        except http.HttpError:
            return http.Answer(0, {}, b"")

    def _run_git(self, *args: str, folder: Path | None = None) -> process.Completed:
        command = process.Command(["git", *args], cwd=folder or self.copy, drops=Git.REDIRECTING, writes=True)
        return self.host.writer.run(command)
