"""The phases before an instance starts: checkout and build, then the pre-deploy command, each told as events."""

from __future__ import annotations

import asyncio
import functools
import shutil
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from localrender import environment, processes, runtimes, sabotage, source
from localrender.fleet import exit_reason
from localrender.model import new_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localrender.faults import Faults
    from localrender.fleet import Fleet
    from localrender.logs import Logs
    from localrender.model import Deploy, Service
    from localrender.state import State

BUILD_TIMEOUT, PRE_DEPLOY_TIMEOUT = 120 * 60, 30 * 60
CODES = {"succeeded": 2, "failed": 3, "canceled": 4}


class PhaseFailed(Exception):
    """A phase failed: the status of the deploy, and the reason as events tell it."""

    def __init__(self, status: str, message: str, failure: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.reason: dict[str, Any] = {"failure": failure}


class Builds:
    """Makes artifacts.

    Args:
        state: Where events go.
        logs: Where output goes.
        fleet: Knows where artifacts are.
    """

    def __init__(self, state: State, logs: Logs, fleet: Fleet) -> None:
        self.state = state
        self.logs = logs
        self.fleet = fleet
        self.repository = ""
        self.faults: Faults | None = None
        self.no_pip = False

    def say(self, deploy: Deploy, line: str) -> None:
        """A line of ours in the build log."""
        self.logs.add(deploy.service_id, "build", f"==> {line}")

    @contextmanager
    def _phase(self, service: Service, name: str, status: str, details: dict[str, Any]) -> Iterator[None]:
        outcome, reason = "failed", dict[str, Any]()
        try:
            yield
            outcome = "succeeded"
        except asyncio.CancelledError:
            outcome = "canceled"
            raise
        except PhaseFailed as failure:
            reason = dict(failure.reason)
            raise
        finally:
            ended = {status: outcome, "status": CODES[outcome], "reason": reason}
            self.state.record(service.id, f"{name}_ended", details | ended)

    async def build(self, service: Service, deploy: Deploy, trigger: dict[str, Any]) -> None:
        """Check out the commit and run the build command.

        Raises:
            PhaseFailed: It failed or took too long.
        """
        good = (one for one in reversed(self.state.deploys(service.id)) if one.succeeded and one.artifact)
        previous = next(good, None)
        deploy.artifact, deploy.snapshot = new_id("bld"), environment.snapshot(service)
        self.state.save_deploy(deploy)
        details = {"buildId": deploy.artifact}
        self.state.record(service.id, "build_started", details | {"trigger": trigger})
        began = time.monotonic()
        try:
            with self._phase(service, "build", "buildStatus", details):
                await self._make_artifact(service, deploy, previous)
        except PhaseFailed as failure:
            failure.reason["buildFailed"] = {"id": deploy.artifact}
            raise
        self.say(deploy, f"build succeeded after {time.monotonic() - began:.1f} s")

    async def _make_artifact(self, service: Service, deploy: Deploy, previous: Deploy | None) -> None:
        folder, spec = self.fleet.artifact(deploy), service.spec
        folder.mkdir(parents=True)
        self.say(deploy, f"checking out {deploy.commit.id} of {spec.name}")
        problem = await source.checkout(self.repository, deploy.commit.id, folder / "src", spec.root_dir)
        if problem:
            raise PhaseFailed("build_failed", problem, {"evicted": False, "nonZeroExit": 1})
        cache = self.fleet.artifact(previous) if previous and not deploy.clear_cache else None
        spare = (self.state.folder / "cache" / "python").resolve()  # it may be another state's, whose paths stand in it
        await runtimes.prepare(spec.runtime, folder, spec.root_dir, cache, spare, no_pip=self.no_pip)
        command = spec.build_command
        if self.faults:
            command = sabotage.command(self.faults, "build", deploy, command)
        if command:
            self.say(deploy, f"running build command: {spec.build_command or 'none'}")
            await self._command(service, deploy, command, BUILD_TIMEOUT, "build_failed")
        if spec.kind == "static" and self.fleet.published(service, deploy) is None:
            problem = f"Publish directory {spec.publish_path or '.'} does not exist!"
            raise PhaseFailed("build_failed", problem, {"evicted": False})
        if spec.kind == "static":
            await asyncio.to_thread(shutil.rmtree, folder / "src" / ".git", ignore_errors=True)

    async def pre_deploy(self, service: Service, deploy: Deploy) -> None:
        """Run the pre-deploy command on the new artifact, with the environment of an instance.

        Raises:
            PhaseFailed: It failed or took too long.
        """
        command = service.spec.pre_deploy_command
        details = {"deployId": deploy.id, "deployCommandExecutionId": new_id("dce")}
        self.state.record(service.id, "pre_deploy_started", details)
        self.say(deploy, f"running pre-deploy command: {command}")
        if self.faults:
            command = sabotage.command(self.faults, "pre-deploy", deploy, command)
        with self._phase(service, "pre_deploy", "preDeployStatus", details):
            await self._command(service, deploy, command, PRE_DEPLOY_TIMEOUT, "pre_deploy_failed")

    async def _command(self, service: Service, deploy: Deploy, command: str, limit: float, failed: str) -> None:
        folder = self.fleet.artifact(deploy)
        port = None if failed == "build_failed" else 10_000  # Render's default; nothing listens in this phase
        variables = environment.of_process(
            service, deploy, folder, self.state, port=port, instance=f"{service.id}-build"
        )
        take = functools.partial(self.logs.add, service.id, "build")
        place = folder / "src" / service.spec.root_dir
        running = await processes.start(command, place, variables, take, self.state, "app")
        try:
            code = await asyncio.wait_for(running.wait(), limit)
        except (TimeoutError, asyncio.CancelledError) as error:
            running.signal(signal.SIGKILL)
            await running.wait()
            if isinstance(error, asyncio.CancelledError):
                raise
            failure = {"evicted": False, "timedOutSeconds": int(limit), "timedOutReason": command}
            raise PhaseFailed(failed, f"timed out after {limit:g} s", failure) from error
        if code:
            raise PhaseFailed(failed, f"exited with code {code}", exit_reason(code))
