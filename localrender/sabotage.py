"""What fault switches do to a deploy: to the command lines it runs, and to what health checks see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localrender.model import ENDED

if TYPE_CHECKING:
    from localrender.faults import Faults
    from localrender.model import Deploy
    from localrender.state import State

_STARTING = ("start-slow", "start-fail", "start-crash", "health-slow", "health-fail", "health-flap")


def command(faults: Faults, phase: str, deploy: Deploy, line: str) -> str:
    """The command line of a phase, with what is armed for it put before.

    Args:
        faults: What is armed.
        phase: `build` or `pre-deploy`, where rules are taken now; `start`, where the deploy is held already.
        deploy: Whose command it is.
        line: The command itself.
    """
    before = []
    for what in ("slow", "fail", "crash"):
        name = f"{phase}-{what}"
        if name == "start-crash":  # later, by `is_due`
            continue
        held = faults.holding(name, deploy.id)
        rule = held if phase == "start" else faults.hold(name, deploy.id, deploy.service_id)
        if rule is None:
            continue
        value = f"{rule.value():g}"
        told, act = {
            "slow": (f"{value} s before the command", f"sleep {value}"),
            "fail": (f"ends with code {value}", f"exit {value}"),
            "crash": ("killed", "kill -9 $$"),
        }[what]
        before += [f"echo 'drill fault {name}: {told}'", act]
    return "\n".join([*before, line])


def hold_start(faults: Faults, deploy: Deploy) -> None:
    """Take what is armed for the instances of a new deploy; it stays with them, also when they are restarted."""
    for name in _STARTING:
        faults.hold(name, deploy.id, deploy.service_id)


def starting(faults: Faults, deploy: Deploy, problem: str, spent: float) -> str:
    """What a health check sees of a new instance.

    Args:
        faults: What is armed.
        deploy: Whose instance it is.
        problem: What is really wrong with it; empty when healthy.
        spent: The seconds since its start.
    """
    if faults.holding("health-fail", deploy.id):
        return "drill fault health-fail"
    slow = faults.holding("health-slow", deploy.id)
    if slow and spent < slow.value():
        return "drill fault health-slow: no answer within 5 s"
    late = faults.holding("start-slow", deploy.id)  # a worker is not asked: it would count as started while it sleeps
    if late and spent < late.value():
        return problem or "drill fault start-slow"
    return problem


def serving(faults: Faults, deploy: Deploy, problem: str, spent: float, shortest: float) -> str:
    """What a health check sees of a live instance.

    Args:
        faults: What is armed.
        deploy: Whose instance it is.
        problem: What is really wrong with it; empty when healthy.
        spent: The seconds since it went live.
        shortest: A turn is at least as long, or nothing would ever be told.
    """
    flap = faults.holding("health-flap", deploy.id)
    if flap and int(spent / max(flap.value(), shortest)) % 2:
        return "drill fault health-flap"
    return problem


def is_due(faults: Faults, deploy: Deploy, spent: float) -> bool:
    """Whether a live instance is to be killed now."""
    crash = faults.holding("start-crash", deploy.id)
    return crash is not None and spent >= crash.value()


def current(state: State) -> set[str]:
    """The deploys that go on or serve."""
    return {
        deploy.id
        for service in state.services()
        for deploy in state.deploys(service.id)
        if deploy.status not in ENDED or deploy.status == "live"
    }
