"""A product of two workers in a real repository, on a platform in memory: what a whole run needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deploylib.commands import release
from deploylib.environment import Environment
from deploylib.models import StageName
from deploylib.models.results import Report
from deploylib.release import Options, aims
from deploylib.render import Client
from deploylib.settings import Config, EnvironmentSettings, Settings
from deploylib.state.run_state import RunState
from deploylib.system import process
from tests.support.fakes import CountingRunner, FakeClock, RecordingView
from tests.support.in_memory import Platform
from tests.support.repository import Repository

REPO = "https://github.com/example/product"
NAMES = ("api", "web")
BLUEPRINT = "services:\n" + "".join(
    f"  - {{type: worker, name: {name}, runtime: go, startCommand: ./{name}, rootDir: {name}}}\n" for name in NAMES
)
WITHOUT_SCAN: dict[str, Any] = {"skip": ("scan",), "reason": "its tools are tested elsewhere"}


@dataclass(frozen=True)
class FakeEnvironment(Environment):
    """An environment whose platform is in memory."""

    platform: Platform | None = None

    @cached_property
    def render(self) -> Client:
        """A client of the platform in memory."""
        assert self.platform is not None
        return self.platform.render(read_only=self.read_only)


class Product:
    """The product, the platform and the clock, and the commands on them."""

    def __init__(self, repository: Repository, platform: Platform, clock: FakeClock) -> None:
        self.repository, self.platform, self.clock = repository, platform, clock
        self.runner: process.Runner = CountingRunner()
        self.view = RecordingView()
        self.environ = {"USER": "ada"}
        self.settings: dict[str, Any] = {}
        self.environment: dict[str, Any] = {}
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

    def env(self) -> FakeEnvironment:
        """What a command works with; the environment is one like production."""
        self.clock.seconds += 1
        self.view = RecordingView()
        config = Config(
            root=self.repository.root,
            name="staging",
            settings=Settings(minimum_free="1MB", **{"follow_logs": False, **self.settings}),
            environment=EnvironmentSettings(only_this_machine=True, **self.environment),
            environ=self.environ,
        )
        return FakeEnvironment(config, runner=self.runner, clock=self.clock, progress=self.view, platform=self.platform)

    def deploy(self, until: str = "verify", asked: str = "deploy", **options: Any) -> Report:
        """``inv deploy``."""
        return self.deploy_to(self.env(), until, asked, **options)

    def deploy_to(self, env: Environment, until: str = "verify", asked: str = "deploy", **options: Any) -> Report:
        """``inv deploy``, on an environment that was prepared."""
        chosen = Options(until=until, asked=StageName(asked), **{**WITHOUT_SCAN, **options})
        return aims.bring_forward(env, chosen)

    def in_ci(self, run: int, attempt: int = 1) -> None:
        """From now on every command is a job of this CI run."""
        self.environ = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": str(run), "GITHUB_RUN_ATTEMPT": str(attempt)}
        self.environ |= {"GITHUB_ACTOR": "grace", "GITHUB_REPOSITORY": "owner/product"}

    def finish(self, run: str = "") -> Report:
        """``inv finish``."""
        return release.finish(self.env(), run=run)

    def roll_back(self, **options: Any) -> Report:
        """``inv rollback``."""
        return release.rollback(self.env(), **options)

    def live(self) -> list[str]:
        """The commit that each service serves."""
        return [self.platform.live(f"srv-{name}") for name in NAMES]

    def runs(self) -> list[RunState]:
        """The runs in the history, newest first."""
        return list(self.env().history.read_runs("staging"))

    def asked(self) -> list[str]:
        """What was asked of the platform other than reading: the end of each path."""
        return [path.removeprefix("/services/") for _, path, _ in self.platform.writes()]


def released(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product whose first version is live."""
    made = Product(repository, platform, clock)
    assert made.deploy().outcome == "succeeded"
    platform.requests.clear()
    return made
