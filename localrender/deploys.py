"""A deploy from trigger to end: build, pre-deploy, start, switch; one at a time for each service.

The overlap policy is Wait (docs page `deploys`): only the newest waiting deploy runs. The old version keeps serving
whatever happens before the switch.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from typing import TYPE_CHECKING, Any

from localrender import sabotage, values
from localrender.builds import CODES, PhaseFailed
from localrender.errors import ApiError
from localrender.fleet import StartFailed
from localrender.model import ENDED, Deploy, new_id, now

if TYPE_CHECKING:
    from localrender.builds import Builds
    from localrender.faults import Faults
    from localrender.fleet import Fleet
    from localrender.model import Commit, Service
    from localrender.state import State

_ARTIFACTS_KEPT = 10
_log = logging.getLogger(__name__)


class Deploys:
    """The deploys of all services."""

    def __init__(self, state: State, fleet: Fleet, builds: Builds) -> None:
        self.state = state
        self.fleet = fleet
        self.builds = builds
        self.running: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self.waiting: dict[str, str] = {}
        self.overridden: dict[str, str] = {}
        self.faults: Faults | None = None

    def trigger(self, service: Service, commit: Commit, trigger: str, **more: Any) -> Deploy:
        """Make a deploy and start it, or queue it behind the one that runs."""
        target = more.get("rollback_of")
        deploy = Deploy(
            id=new_id("dep"), service_id=service.id, status="queued", trigger=trigger, commit=commit,
            created_at=now(), updated_at=now(), **more,
        )  # fmt: skip
        if self.faults:
            self.faults.hold("status-unknown", deploy.id, service.id)
            if self.faults.is_set("overlap-override", service.id):
                self._override(deploy)
        if service.id in self.running:
            self.state.save_deploy(deploy)
            if (superseded := self.waiting.get(service.id)) and (older := self.state.deploy(superseded)):
                self._end(older, "canceled", {"newDeploy": {"id": deploy.id}})
            self.waiting[service.id] = deploy.id
            return deploy
        if self.faults and self.faults.hold("minutes-used-up", deploy.id, service.id):
            self.state.save_deploy(deploy)
            self.state.record(service.id, "pipeline_minutes_exhausted", {})
            self.builds.say(deploy, "canceled: the workspace has used up its build minutes")
            self._end(deploy, "canceled", {})
            return deploy
        self._begin(deploy, "update_in_progress" if target else "build_in_progress")
        return deploy

    def _override(self, deploy: Deploy) -> None:
        """Cancel what runs or waits in favour of a new deploy: the overlap policy of workspaces made before 2025-07."""
        waiting = self.waiting.pop(deploy.service_id, None)
        if waiting and (older := self.state.deploy(waiting)):
            self._end(older, "canceled", {"newDeploy": {"id": deploy.id}})
        identifier, task = self.running.pop(deploy.service_id, ("", None))
        if task is not None:
            self.overridden[identifier] = deploy.id
            self.fleet.spawn(self._give_up(task))

    async def _give_up(self, task: asyncio.Task[None]) -> None:
        """Cancel a deploy; not before its task has begun, for then nothing would end the deploy."""
        task.cancel()
        await asyncio.wait([task])

    def _begin(self, deploy: Deploy, status: str) -> None:
        deploy.status, deploy.started_at = status, now()
        self.state.save_deploy(deploy)
        details: dict[str, Any] = {"deployId": deploy.id, "trigger": _trigger(deploy, first=self._is_first(deploy))}
        self.state.record(deploy.service_id, "deploy_started", details)
        task = asyncio.create_task(self._run(deploy))
        self.running[deploy.service_id] = (deploy.id, task)

    def _is_first(self, deploy: Deploy) -> bool:
        return self.state.deploys(deploy.service_id)[0].id == deploy.id

    async def _run(self, deploy: Deploy) -> None:
        going: asyncio.Task[None] | None = None
        service = self.state.known_service(deploy.service_id)
        try:
            if deploy.rollback_of is None:
                await self.builds.build(service, deploy, _trigger(deploy, first=self._is_first(deploy)))
                if service.spec.pre_deploy_command and service.spec.kind != "cron":
                    self._status(deploy, "pre_deploy_in_progress")
                    await self.builds.pre_deploy(service, deploy)
            self._status(deploy, "update_in_progress")
            if self.faults:
                sabotage.hold_start(self.faults, deploy)
            instances = await self.fleet.launch(service, deploy)
            going = asyncio.create_task(self._go_live(service, deploy, instances))
            await asyncio.shield(going)
        except asyncio.CancelledError:
            if going is not None:
                await going
            else:
                newer = self.overridden.pop(deploy.id, None)
                self._end(deploy, "canceled", {"newDeploy": {"id": newer}} if newer else {})
        except PhaseFailed as failure:
            self.builds.say(deploy, str(failure))
            self._lacks(service, deploy, "build")
            self._end(deploy, failure.status, failure.reason)
        except StartFailed as failure:
            self.builds.say(deploy, str(failure))
            self._lacks(service, deploy, "app")
            self._end(deploy, "update_failed", {"failure": failure.reason})
        except Exception as error:  # noqa: BLE001 - told to the user as the end of the deploy
            _log.exception("deploy %s", deploy.id)
            self.builds.say(deploy, f"the local Render failed: {error}")
            self._end(deploy, "build_failed" if deploy.status == "build_in_progress" else "update_failed", {})
        finally:
            self._next(deploy)

    def _lacks(self, service: Service, deploy: Deploy, log: str) -> None:
        """Say which values a service that has failed did not have: most likely it is that."""
        kept = deploy.snapshot.env if deploy.snapshot else service.env
        if said := values.lacking(kept, self.state):
            self.fleet.logs.add(service.id, log, f"==> {said}")

    def _status(self, deploy: Deploy, status: str) -> None:
        deploy.status = status
        self.state.save_deploy(deploy)

    async def _go_live(self, service: Service, deploy: Deploy, instances: list[Any]) -> None:
        await self.fleet.switch(self.state.known_service(service.id), deploy, instances)
        old = self.state.live(service.id)
        deploy.succeeded = True
        with self.state.together():  # a kill in between must not leave the service without a live deploy
            if old is not None:
                self._status(old, "deactivated")
            self._end(deploy, "live", {})
        self.builds.say(deploy, "your service is live")
        self._next(deploy)
        self.fleet.spawn(asyncio.to_thread(self.prune, service.id))

    def prune(self, service_id: str, count: int = _ARTIFACTS_KEPT) -> None:
        """Keep the artifacts of the last successful deploys, and the one that is live."""
        place = self.state.folder / "artifacts" / service_id
        folders = list(place.iterdir()) if place.is_dir() else []  # before: a deploy may begin now
        deploys = self.state.deploys(service_id)
        good = dict.fromkeys(one.artifact for one in reversed(deploys) if one.succeeded and one.artifact)
        kept: set[str | None] = {*list(good)[:count]}
        kept |= {one.artifact for one in deploys if one.status not in ENDED or one.status == "live"}
        for folder in folders:
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _end(self, deploy: Deploy, status: str, reason: dict[str, Any]) -> None:
        deploy.finished_at = now()
        self._status(deploy, status)
        outcome = {"live": "succeeded", "canceled": "canceled"}.get(status, "failed")
        if outcome != "succeeded" and deploy.artifact and deploy.rollback_of is None:
            self.fleet.spawn(asyncio.to_thread(shutil.rmtree, self.fleet.artifact(deploy), ignore_errors=True))
        details = {"deployId": deploy.id, "deployStatus": outcome, "status": CODES[outcome], "reason": reason}
        self.state.record(deploy.service_id, "deploy_ended", details)

    def _next(self, deploy: Deploy) -> None:
        """Give the service free the moment its deploy has ended; start the one that waits."""
        identifier, _ = self.running.get(deploy.service_id, ("", None))
        if identifier != deploy.id:
            return
        del self.running[deploy.service_id]
        waiting = self.waiting.pop(deploy.service_id, None)
        following = self.state.deploy(waiting) if waiting else None
        if following is not None:
            self._begin(following, "update_in_progress" if following.rollback_of else "build_in_progress")

    async def cancel(self, deploy: Deploy) -> Deploy:
        """Cancel a deploy that has not ended.

        Raises:
            ApiError: 400, it has ended.
        """
        if self.waiting.get(deploy.service_id) == deploy.id:
            del self.waiting[deploy.service_id]
            self._end(deploy, "canceled", {})
            return deploy
        identifier, task = self.running.get(deploy.service_id, ("", None))
        if identifier == deploy.id and task is not None:
            task.cancel()
            await asyncio.wait([task])
        ended = self.state.deploy(deploy.id) or deploy
        if ended.status != "canceled" or identifier != deploy.id:
            raise ApiError(400, f"deploy {deploy.id} cannot be canceled: it is {ended.status}")
        return ended

    def roll_back(self, service: Service, target: Deploy) -> Deploy:
        """A new deploy from the artifact and the settings of an earlier one; nothing is built.

        Raises:
            ApiError: 400, that deploy never succeeded or its artifact is gone.
        """
        if not target.succeeded or target.artifact is None:
            raise ApiError(400, f"cannot roll back to {target.id}: it never succeeded ({target.status})")
        if not self.fleet.artifact(target).is_dir():
            raise ApiError(400, f"cannot roll back to {target.id}: its build artifact is no longer kept")
        more = {"rollback_of": target.id, "artifact": target.artifact, "snapshot": target.snapshot}
        return self.trigger(service, target.commit, "rollback", **more)

    def abandon(self) -> None:
        """End the deploys that an earlier server left unfinished: canceled."""
        for service in self.state.services():
            for deploy in self.state.deploys(service.id):
                if deploy.status not in ENDED:
                    self._end(deploy, "canceled", {})

    async def close(self) -> None:
        """Cancel everything that runs or waits."""
        self.waiting.clear()
        tasks = [task for _, task in self.running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.abandon()


def _trigger(deploy: Deploy, *, first: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "firstBuild": first,
        "envUpdated": False,
        "manual": deploy.trigger == "manual",
        "deployedByRender": False,
        "clearCache": deploy.clear_cache,
        "rollback": deploy.rollback_of is not None,
    }
    return told | ({"rollbackTargetDeployId": deploy.rollback_of} if deploy.rollback_of else {})
