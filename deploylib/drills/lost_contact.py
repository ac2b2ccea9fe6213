"""Drills of a platform that cannot be heard."""

from __future__ import annotations

from deploylib.commands import release
from deploylib.drills import shop
from deploylib.drills.definition import Drill, DrillStep
from deploylib.drills.scene import Scene
from deploylib.errors import NotKnownYet, Unreachable

__all__ = ["LOST_ANSWER", "PLATFORM_DOWN"]

LONG_ENOUGH = 30.0  # seconds that Render stays away from the first look on


def _lose_answer(scene: Scene) -> None:
    scene.noted["commit"] = scene.change("Gift cards")
    scene.break_something("drop-after", method="POST", path="/deploys$", next="0")
    scene.break_something("answer-503", method="GET", path="/deploys/dep-", next="0")
    scene.expect(release.deploy(scene.enter()), NotKnownYet.exit_code)
    scene.mend()


def _is_settled(scene: Scene) -> str:
    """Find what is not known yet, or was done twice."""
    if scene.unrest:
        return scene.unrest
    served, commit = set(scene.read_served().values()), str(scene.noted["commit"])
    if len(served) != 1 or served - {commit, scene.good}:
        return "the services serve different releases"
    twice = [name for name in (shop.FRONTEND, shop.BACKEND) if scene.count_deploys(name, commit) != 1]
    return f"{' and '.join(twice)}: deployed more than once" if twice else ""


def _go_down(scene: Scene) -> None:
    scene.noted["commit"] = scene.change("A price is corrected")
    scene.break_something("answer-503", next="0")


def _come_back(scene: Scene) -> None:
    """Render is back, a while after somebody has looked."""
    if "back" not in scene.noted and scene.typed:
        looked = scene.host.clock.now().timestamp() - scene.typed[0].at
        if not scene.waits or looked > LONG_ENOUGH:
            scene.mend()
            scene.noted["back"] = True


LOST_ANSWER = Drill(
    name="lost-answer",
    learns="end a run that Render may have heard or not",
    minutes=10,
    section="Exit code 41: not known yet",
    situation=(
        "Your release asked Render for two deploys, and no answer came. Then Render was silent, and the "
        'run ended with exit code 41, "not known yet". Render answers again. Bring it to its end, and '
        "deploy nothing twice."
    ),
    begin=_lose_answer,
    find_fault=_is_settled,
    steps=(DrillStep("inv status"), DrillStep("inv deploy"), DrillStep("inv status")),
    cures=("deploy", "finish"),
)
PLATFORM_DOWN = Drill(
    name="platform-down",
    learns="see that only Render is down, wait, and go on",
    minutes=10,
    section="Render is down",
    situation=(
        "A price is wrong, and its correction is the newest commit: release it, now. (It may not work at "
        "once. Do what the runbook says, and look again.)"
    ),
    begin=_go_down,
    find_fault=lambda scene: scene.unreleased,
    meanwhile=_come_back,
    steps=(DrillStep("inv status", Unreachable.exit_code), DrillStep("inv status"), DrillStep("inv deploy")),
    cures=("status", "check"),
)
