"""An environment that monitors look at: its history, its services, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec

from deploylib.environment import Environment
from deploylib.models import Checked, Commit, Kind, Live, Target
from deploylib.models.release import Intent, Opened, Triggered
from deploylib.models.results import Report, StageResult, StageStatus
from deploylib.monitoring.addresses import Asked, RequestSample
from deploylib.notifications import Delivery, Message, Messenger, Outbox
from deploylib.settings import Config, EnvironmentSettings, MonitorSettings, Settings
from deploylib.state import History
from deploylib.system import Clock
from tests.support.fakes import NEW
from tests.support.memory_store import MemoryStore

ENVIRONMENT = "staging"


@dataclass
class Receiver:
    """A channel that keeps what it is told, while it is well."""

    name: str = "Receiver"
    changes: bool = False
    well: bool = True
    messages: list[Message] = field(default_factory=list)
    before: Callable[[Message], object] = lambda _message: None

    def send(self, message: Message, /, *, within: float) -> Delivery:
        """Take it, or answer 500."""
        self.before(message)
        if not self.well:
            return Delivery(delivered=False, channel=self.name, reason="it answered 500")
        self.messages.append(message)
        return Delivery(delivered=True, channel=self.name)

    @property
    def told(self) -> list[tuple[str, str]]:
        """The ids and states of the alerts, in the order in which they came."""
        return [(message.alert.id, message.alert.state) for message in self.messages if message.alert is not None]

    @property
    def titles(self) -> list[str]:
        """The titles of all messages."""
        return [message.title for message in self.messages]


@dataclass(frozen=True)
class MonitoredEnvironment(Environment):
    """An environment whose channel is a receiver."""

    receiver: Receiver = field(default_factory=Receiver)

    @cached_property
    def messenger(self) -> Messenger:
        """Tells the receiver."""
        return Messenger((self.receiver,), lambda: Outbox(self.store, self.name, self.clock), self.clock)


def make_environment(store: MemoryStore, receiver: Receiver, **monitor: object) -> MonitoredEnvironment:
    """What one monitor works with: no key of the platform."""
    config = Config(
        root=Path("/nowhere"),
        name=ENVIRONMENT,
        settings=Settings(monitor=msgspec.convert(monitor, MonitorSettings)),
        environment=EnvironmentSettings(backups="none"),
        environ={"USER": "ada"},
    )
    return MonitoredEnvironment(config, clock=store.clock, kept_in=store, receiver=receiver)


def web(name: str, plan: str = "starter") -> Target:
    """A public service."""
    url = f"https://{name}.example"
    return Target(name=name, service_id=f"srv-{name}", kind=Kind.WEB, url=url, health_path="/health", plan=plan)


def record_release(
    store: MemoryStore, clock: Clock, run: str, *targets: Target, only: str = "", ends: bool = True
) -> History:
    """Record a run that has deployed all of them, or one, or that is at it."""
    history = History(store, clock)
    commit = Commit(id=NEW, subject="Add paging")
    history.begin(Opened(run=run, environment=ENVIRONMENT, commit=commit))
    data = msgspec.to_builtins(Checked(targets=targets))
    history.append(run, "stage", StageResult(stage="check", status=StageStatus.DONE, lines=(), data=data))
    for target in (each for each in targets if only in {"", each.name}):
        previous = Live(service=target.name)
        history.append(run, "intent", Intent(service=target.name, commit=NEW, existing=(), previous=previous))
        history.append(run, "triggered", Triggered(service=target.name, deploy_id=f"dep-{target.name}"))
    if ends:
        live = tuple(Live(service=target.name, commit=NEW) for target in targets)
        report = Report(run=run, environment=ENVIRONMENT, outcome="succeeded", exit_code=0, commit=commit, live=live)
        history.close(history.read(run), report)
    return history


def answer(target: Target, times: int, clock: Clock, status: int = 200, seconds: float = 0.05) -> Asked:
    """What an address gives that always gives the same; status 0: nothing."""
    sample = RequestSample(at=clock.now(), seconds=seconds, good=status == 200)
    return Asked(target=target, samples=(sample,) * times, status=status, trouble="" if status else "no answer")


def silent(target: Target, times: int, clock: Clock) -> Asked:
    """What an address gives that gives nothing."""
    return answer(target, times, clock, status=0)
