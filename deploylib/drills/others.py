"""Drills of what somebody else does, or has left behind."""

from __future__ import annotations

from deploylib.commands import control, release
from deploylib.drills import shop
from deploylib.drills.definition import Drill, DrillStep
from deploylib.drills.scene import Scene
from deploylib.errors import Held, LeaseHeld

__all__ = ["DEPLOYED_BESIDE", "HELD", "STUCK_LEASE"]

COLLEAGUE = "Bea"


def _hold(scene: Scene) -> None:
    control.hold(scene.enter(GIT_AUTHOR_NAME=COLLEAGUE), reason="moving the database until noon")
    scene.noted["commit"] = scene.change("The imprint has the new address")


def _stick(scene: Scene) -> None:
    """Hold the environment for jobs of a workflow which never come."""
    scene.noted["commit"] = scene.change("The imprint has the new address")
    scene.expect(release.changes(scene.enter(DEPLOYLIB_RUN="4711-1", USER=COLLEAGUE)))


def _deploy_beside(scene: Scene) -> None:
    scene.noted["commit"] = scene.change("The imprint has the new address")
    scene.break_something("build-slow", service=shop.BACKEND, value="60" if scene.waits else "8")
    scene.break_something("foreign-deploy", service=shop.BACKEND)


HELD = Drill(
    name="held",
    learns="find out who holds an environment and why, and lift it",
    minutes=5,
    section="Held",
    situation=(
        "The newest commit shall be released. It is four in the afternoon, and Bea, who moved the "
        "database this morning, has said that all went well."
    ),
    begin=_hold,
    find_fault=lambda scene: scene.unreleased,
    steps=(
        DrillStep("inv deploy", Held.exit_code),
        DrillStep("inv status"),
        DrillStep("inv hold.lift --reason 'the database is moved'"),
        DrillStep("inv deploy"),
    ),
    cures=("hold.lift",),
)
STUCK_LEASE = Drill(
    name="stuck-lease",
    learns="give back a lease whose holder is gone",
    minutes=5,
    section="Somebody else holds the environment",
    situation=(
        "The newest commit shall be released. Bea's workflow was at it, but GitHub has lost its runner, "
        "and she has canceled the rest of it."
    ),
    begin=_stick,
    find_fault=lambda scene: scene.unreleased,
    steps=(
        DrillStep("inv deploy", LeaseHeld.exit_code),
        DrillStep("inv lease"),
        DrillStep("inv lease.release --reason 'its runner is gone'"),
        DrillStep("inv deploy"),
    ),
    cures=("lease.release", "finish"),
)
DEPLOYED_BESIDE = Drill(
    name="beside",
    learns="release while somebody deploys in the Dashboard",
    minutes=5,
    section="Exit code 32: foreign deploy",
    situation=(
        'The newest commit shall be released. A moment ago somebody has pressed "Deploy" in the '
        "Dashboard, nobody knows why."
    ),
    begin=_deploy_beside,
    find_fault=lambda scene: scene.unreleased,
    steps=(DrillStep("inv status"), DrillStep("inv deploy --wait 10m"), DrillStep("inv status")),
    cures=("deploy",),
)
