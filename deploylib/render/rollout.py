"""Making services serve something else: a commit, or an earlier deploy.

All of them at once.

The platform does the work in parallel; this is one loop that asks and watches.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from deploylib.errors import DeployStopped, ForeignDeploy, PersonNeeded, Unhealthy
from deploylib.models import Deploy, DeployStatus, Kind, Live, Order, Shipped, Target
from deploylib.models.units import age
from deploylib.render import diagnosis, rate_limit, trigger
from deploylib.render.client import Ambiguous, Client, Refused
from deploylib.render.log_stream import LogStream
from deploylib.render.rate_limit import Left
from deploylib.render.trigger import LOOK_FOR, Rollout, Underway, find_requested
from deploylib.system import Clock, Deadline

__all__ = [
    "LOOK_FOR",
    "LogStream",
    "Rollout",
    "cancel_and_wait",
    "deploy_and_wait",
    "find_requested",
    "roll_out",
    "wait_for_others",
]

WORDS = {
    DeployStatus.CREATED: "accepted",
    DeployStatus.QUEUED: "queued behind another deploy",
    DeployStatus.BUILDING: "building",
    DeployStatus.PRE_DEPLOY: "pre-deploy command",
    DeployStatus.UPDATING: "starting, waiting for its health check",
    DeployStatus.LIVE: "live",
    DeployStatus.UNKNOWN: "in a state that we do not know",
}


@dataclass
class _Watch:
    """One order, and what became of it."""

    order: Order
    underway: Underway | None = None
    status: DeployStatus | None = None
    began: float = 0.0
    next_look: float = 0.0
    phases: dict[DeployStatus, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.order.target.name


def deploy_and_wait(client: Client, service: str, commit: str, *, within: float = 1200.0) -> Deploy:
    """Deploy a commit of one service, and wait until it is live.

    Args:
        service: its name or id.
        commit: the full id.
        within: seconds after which waiting ends.

    Returns:
        The deploy as the platform describes it then.

    Raises:
        DeployFailed: it did not go live, and why.
        ForeignDeploy: somebody else's deploy took its place.
    """
    wanted = client.service(service)
    target = Target(
        name=wanted.name,
        service_id=wanted.id,
        kind=wanted.kind,
        owner_id=wanted.owner_id,
        health_path=wanted.health_path,
        dashboard_url=wanted.dashboard_url,
    )
    rollout = Rollout(
        client,
        client.clock,
        Deadline.after(within, client.clock),
        record=lambda _kind, _value: None,
        progress=lambda _service, _text: None,
    )
    [shipped] = roll_out([Order(target=target, commit=commit, previous=Live(service=wanted.name))], rollout)
    return client.deploy(wanted.id, shipped.deploy_id)


def roll_out(orders: Sequence[Order], rollout: Rollout) -> tuple[Shipped, ...]:
    """Carry out the orders, in parallel where possible.

    Raises:
        DeployFailed: of the first service that failed, once it did; the others are left as they are then.
        ForeignDeploy: somebody else's deploy took the place of ours.
    """
    clock = rollout.clock
    # The longest first: the last one to be accepted is then not the last one to end.
    waiting = sorted((_Watch(order) for order in orders), key=lambda watch: -rollout.usual.get(watch.name, 0.0))
    running: list[_Watch] = []
    shipped: list[Shipped] = []
    names = {order.target.name for order in orders}
    keep = 2 * len(orders)  # reads for what comes after them: proof and report
    while waiting or running:
        for watch in list(waiting):
            if _ready(watch, names, shipped):
                waiting.remove(watch)
                watch.began = clock.monotonic()
                watch.underway = trigger.place_order(watch.order, rollout)
                running.append(watch)
                pause = _pause(watch, rollout, len(waiting) + len(running), keep + len(waiting))
                if pause > rate_limit.QUICK:  # looks are scarce, and one that was just asked for has not ended yet
                    watch.next_look = clock.monotonic() + pause
        for watch in [each for each in running if each.next_look <= clock.monotonic()]:
            if (done := _look(watch, rollout)) is not None:
                running.remove(watch)
                rollout.record("shipped", done)
                shipped.append(done)
            else:
                watch.next_look = clock.monotonic() + _pause(watch, rollout, len(running), keep)
        if waiting and not running and not any(_ready(watch, names, shipped) for watch in waiting):
            raise ValueError("services wait for each other")
        if running and not any(_ready(watch, names, shipped) for watch in waiting):
            clock.sleep(max(0.0, min(watch.next_look for watch in running) - clock.monotonic()))
    return tuple(shipped)


def _ready(watch: _Watch, names: set[str], shipped: Sequence[Shipped]) -> bool:
    """Tell whether every service that must come first is live.

    Of those that are deployed now.
    """
    return not (set(watch.order.target.after) & names) - {done.service for done in shipped}


def _pause(watch: _Watch, rollout: Rollout, watching: int, keep: int) -> float:
    """Choose the seconds until the next look at a deploy.

    The *watching* deploys share the reads of the window, but for *keep*.
    """
    left = rollout.client.left
    if left is not None:
        left = Left(max(left.requests - keep, left.requests // 4), left.seconds)  # not none at all for the last one
    elapsed = rollout.clock.monotonic() - watch.began
    return rate_limit.seconds_to_next_look(elapsed, rollout.usual.get(watch.name, 0.0), watching, left)


def _look(watch: _Watch, rollout: Rollout) -> Shipped | None:
    """Look at a deploy once.

    Still on its way (None), live, or an error that says why.
    """
    if watch.underway is None:
        return None
    client, clock = rollout.client, rollout.clock
    order, name = watch.underway.order, watch.name
    if (deploy := _asked(watch, watch.underway, rollout)) is None:
        return None
    if deploy.status is not watch.status:
        watch.status = deploy.status
        watch.phases.setdefault(deploy.status, clock.monotonic())
        rollout.progress(name, WORDS.get(deploy.status, deploy.status.value.replace("_", " ")))
    if deploy.status is DeployStatus.LIVE:
        if order.target.kind is Kind.CRON and deploy.commit not in {"", order.commit, *order.as_good}:
            raise ForeignDeploy(
                f"{name}: {deploy.commit[:7]} went live, the tip of its branch, and not {order.commit[:7]}",
                remedy="release the newest commit of the branch: a cron job is always built from that (git fetch, if it is not here)",
                service=name,
            )
        ended = clock.monotonic()
        start = watch.phases.get(DeployStatus.UPDATING, ended)
        took = diagnosis.between(deploy.created_at, deploy.finished_at)  # we may have looked late
        return Shipped(
            service=name,
            deploy_id=deploy.id,
            commit=deploy.commit or order.commit,
            previous=order.previous,
            seconds=round(ended - watch.began if took is None else took, 2),
            build_seconds=0.0 if order.from_deploy else round(start - watch.began, 2),
            start_seconds=round(ended - start, 2),
            rebuilt=watch.underway.rebuilt,
        )
    if deploy.status.failed:
        raise diagnosis.failure(order, deploy, client)
    if deploy.status in {DeployStatus.CANCELED, DeployStatus.DEACTIVATED}:
        raise diagnosis.explain_replaced(order, deploy, client)
    starting = clock.monotonic() - watch.phases.get(DeployStatus.UPDATING, clock.monotonic())
    if deploy.status is DeployStatus.UPDATING and starting > rollout.start_within:
        details = diagnosis.last_words(order, deploy, client, "app")
        sooner = f"make {order.target.health_path or 'its port'} answer sooner, or set start_within in the settings"
        why, remedy = diagnosis.diagnose(details, client, sooner)
        raise Unhealthy(
            f"{name}: it was not healthy after {age(starting)}, and is stopped{why}",
            details=details,
            remedy=remedy,
            service=name,
        )
    if rollout.deadline.has_passed():
        raise DeployStopped(
            f"{name}: {WORDS.get(deploy.status, deploy.status.value)} when the deadline passed",
            details=diagnosis.last_words(
                order, deploy, client, "app" if deploy.status is DeployStatus.UPDATING else "build"
            ),
            remedy="see why it takes so long; deadline in the settings says how long to wait",
            service=name,
        )
    return None


def _asked(watch: _Watch, underway: Underway, rollout: Rollout) -> Deploy | None:
    """Ask for the deploy by its id.

    None where the platform knows of none, and another one was found to be ours.
    """
    try:
        return rollout.client.deploy(underway.order.target.service_id, underway.deploy_id)
    except Refused as error:
        if not error.is_unknown or (again := trigger.find_again(underway, rollout)) is None:
            raise
        watch.underway = again
        return None


def wait_for_others(target: Target, ours: Collection[str], *, client: Client, clock: Clock, deadline: Deadline) -> None:
    """Wait until nobody else deploys the service.

    Or until the deadline.
    """
    while not deadline.has_passed():
        deploys = client.deploys(target.service_id, limit=5)
        if all(one.status.terminal or one.id in ours for one in deploys):
            return
        clock.sleep(1.0)


def cancel_and_wait(target: Target, deploy_id: str, *, client: Client, clock: Clock, deadline: Deadline) -> Deploy:
    """Stop a deploy, and wait until it has ended.

    Raises:
        PersonNeeded: it has not ended before the deadline.
    """
    deploy = client.deploy(target.service_id, deploy_id)
    if not deploy.status.terminal:
        try:
            client.cancel(target.service_id, deploy_id)
        except (Ambiguous, Refused):
            deploy = client.deploy(target.service_id, deploy_id)  # it may have ended in this moment
    while not deploy.status.terminal:
        if deadline.has_passed():
            raise PersonNeeded(
                f"{target.name}: {deploy_id} could not be stopped",
                remedy=f"cancel it: {target.dashboard_url}",
                service=target.name,
            )
        clock.sleep(0.5)
        deploy = client.deploy(target.service_id, deploy_id)
    return deploy
