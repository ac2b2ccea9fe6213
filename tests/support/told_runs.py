"""Runs written into a history event by event, as a release, a rollback or a failure writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deploylib.models import Commit, Intent, Live, Opened, Restored, Shipped
from deploylib.models.release import Triggered
from deploylib.models.results import PutBack, Report, StageResult, StageStatus
from deploylib.state import History
from deploylib.store import Store
from tests.support.fakes import FakeClock

SERVICES = ("api", "web")
KINDS = ("released", "nothing", "blocked", "superseded", "put back", "stuck", "foreign", "open", "rolled back")
OUTCOMES = {
    "released": ("succeeded", 0),
    "rolled back": ("succeeded", 0),
    "nothing": ("nothing to do", 0),
    "blocked": ("blocked by a gate", 3),
    "superseded": ("superseded by a newer release", 0),
    "put back": ("verification failed", 14),
    "stuck": ("a person is needed", 20),
    "foreign": ("foreign deploy", 32),
}


@dataclass
class Teller:
    """Writes runs of one environment; each begins a minute after the one before it.

    Attributes:
        live: what the last one that succeeded has left.
        releases: the commits that went live, oldest first.
    """

    store: Store
    clock: FakeClock
    environment: str = "production"
    author: str = "Ada"
    number: int = 0
    live: str = "0" * 40
    releases: tuple[tuple[str, str], ...] = ()

    @property
    def history(self) -> History:
        """Where they are written."""
        return History(self.store, self.clock)

    def tell(self, kind: str, commit: str, subject: str = "a change", seconds: float = 60.0, **more: Any) -> str:
        """Write a run of a *kind* of `KINDS`, which takes *seconds* from going live to its end; gives its id."""
        self.clock.seconds += 60
        self.number += 1
        run, history = f"run-{self.number:05d}", self.history
        back = kind == "rolled back" and bool(self.releases)
        if kind == "rolled back" and not back:
            kind = "nothing"
        restored = self.releases[-1] if back else ("", "")
        about = Commit(id=restored[1] if back else commit, subject=subject)
        opened = {"run": run, "environment": self.environment, "author": self.author, "back": back, **more}
        history.begin(Opened(commit=about, **opened))
        if back:
            history.append(run, "restoring", Restored(run=restored[0], commit=about))
        self.stage(run, "check", 2.0)
        if kind == "blocked":
            self.stage(run, "scan", 3.0, StageStatus.FAILED)
        if kind in {"released", "put back", "stuck", "foreign", "open", "rolled back", "superseded"}:
            self._deploy(run, about.id, kind)
        self.clock.seconds += seconds
        if kind in {"put back", "stuck"}:
            self.stage(run, "verify", 4.0, StageStatus.FAILED)
            put_back = PutBack(service="api", commit=self.live, text="back", ok=kind == "put back")
            history.append(run, "put-back", put_back)
        if kind != "open":
            self._close(run, about, kind)
        return run

    def stage(self, run: str, name: str, seconds: float, status: StageStatus = StageStatus.DONE) -> None:
        """Write the end of a stage."""
        self.history.append(run, "stage", StageResult(stage=name, status=status, lines=("so",), seconds=seconds))

    def _deploy(self, run: str, commit: str, kind: str) -> None:
        for service in SERVICES[:1] if kind in {"put back", "stuck"} else SERVICES:
            previous = Live(service=service, commit=self.live, deploy_id=f"dep-before-{run}-{service}")
            self.history.append(run, "intent", Intent(service=service, commit=commit, existing=(), previous=previous))
            deploy = f"dep-{run}-{service}"
            self.history.append(run, "triggered", Triggered(service=service, deploy_id=deploy))
            self.clock.seconds += 5
            shipped = Shipped(service=service, deploy_id=deploy, commit=commit, previous=previous, seconds=5.0)
            self.history.append(run, "shipped", shipped)
        self.stage(run, "deploy", 10.0)

    def _close(self, run: str, commit: Commit, kind: str) -> None:
        outcome, code = OUTCOMES[kind]
        if outcome == "succeeded":
            before, self.live = self.live, commit.id
            self.releases = self.releases[:-1] if kind == "rolled back" else (*self.releases, (run, before))
        serving = tuple(
            Live(service=name, commit=self.live, deploy_id=f"dep-{run}-{name}", since=self.clock.now())
            for name in SERVICES
        )
        error = "it did not prove itself" if code else ""
        report = Report(
            run=run,
            environment=self.environment,
            outcome=outcome,
            exit_code=code,
            commit=commit,
            live=serving,
            error=error,
            next=("go on",),
        )
        self.history.close(self.history.read(run), report)
