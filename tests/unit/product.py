"""A product of two workers in a real repository, on a platform in memory: what a whole run needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deploylib import flow
from deploylib.config import Config, EnvironmentSettings, Settings
from deploylib.ledger import RunState
from deploylib.outcome import Report
from deploylib.process import Runner
from deploylib.render import Render
from deploylib.stages import Context
from tests.unit.conftest import Repository
from tests.unit.fakes import CountingRunner, FakeClock, RecordingView
from tests.unit.in_memory import Platform

REPO = "https://github.com/example/product"
NAMES = ("api", "web")
BLUEPRINT = "services:\n" + "".join(
    f"  - {{type: worker, name: {name}, runtime: go, startCommand: ./{name}, rootDir: {name}}}\n" for name in NAMES
)


@dataclass
class FakeContext(Context):
    """A context whose platform is in memory."""

    platform: Platform | None = None

    @cached_property
    def render(self) -> Render:
        """A client of the platform in memory."""
        assert self.platform is not None
        return self.platform.render(read_only=self.dry)


class Product:
    """The product, the platform and the clock, and the commands on them."""

    def __init__(self, repository: Repository, platform: Platform, clock: FakeClock) -> None:
        self.repository, self.platform, self.clock = repository, platform, clock
        self.runner: Runner = CountingRunner()
        self.view = RecordingView()
        self.environ = {"USER": "ada"}
        self.settings: dict[str, Any] = {}
        self.first = self.commit({"render.yaml": BLUEPRINT, ".gitignore": ".deploylib\n", "api/a": "1", "web/a": "1"})
        for name in NAMES:
            platform.add(name, repo=REPO)

    def commit(self, files: dict[str, str], subject: str = "change") -> str:
        """Commit and push."""
        made = self.repository.commit(files, subject)
        self.repository.push()
        return made

    def change(self, text: str, *names: str) -> str:
        """Commit a change of services, of both where none is named; every run begins a second later."""
        self.clock.seconds += 1
        return self.commit({f"{name}/a": text for name in names or NAMES})

    def context(self, **options: Any) -> FakeContext:
        """What a command works with; the environment is one like production."""
        self.clock.seconds += 1
        self.view = RecordingView()
        config = Config(
            root=self.repository.root,
            name="staging",
            settings=Settings(minimum_free="1MB", **self.settings),
            environment=EnvironmentSettings(only_this_machine=True),
            environ=self.environ,
        )
        gates = {"skip": ("scan",), "reason": "its tools are tested elsewhere"}
        return FakeContext(
            config=config,
            runner=self.runner,
            clock=self.clock,
            view=self.view,
            platform=self.platform,
            **{**gates, **options},
        )

    def deploy(self, until: str = "verify", **options: Any) -> Report:
        """``inv deploy``."""
        return flow.run(self.context(**{"asked": "deploy", **options}), until=until)

    def in_ci(self, run: int, attempt: int = 1) -> None:
        """From now on every command is a job of this CI run."""
        self.environ = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": str(run), "GITHUB_RUN_ATTEMPT": str(attempt)}
        self.environ |= {"GITHUB_ACTOR": "grace", "GITHUB_REPOSITORY": "owner/product"}

    def finish(self, run: str = "") -> Report:
        """``inv finish``."""
        return flow.finish(self.context(), run)

    def roll_back(self, **options: Any) -> Report:
        """``inv rollback``."""
        return flow.roll_back(self.context(**{"skip": (), "reason": "", **options}))

    def live(self) -> list[str]:
        """The commit that each service serves."""
        return [self.platform.live(f"srv-{name}") for name in NAMES]

    def runs(self) -> list[RunState]:
        """The runs in the ledger, newest first."""
        return list(self.context().ledger.history("staging"))

    def asked(self) -> list[str]:
        """What was asked of the platform other than reading: the end of each path."""
        return [path.removeprefix("/services/") for _, path, _ in self.platform.writes()]


def released(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product whose first version is live."""
    made = Product(repository, platform, clock)
    assert made.deploy().outcome == "succeeded"
    platform.requests.clear()
    return made
