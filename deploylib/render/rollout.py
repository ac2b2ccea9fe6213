"""Making services serve something else: a commit, or an earlier deploy; all of them at once.

The platform does the work in parallel; this is one loop that asks and watches.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from deploylib.errors import DeployStopped, ForeignDeploy, PersonNeeded, Unhealthy
from deploylib.models import Deploy, DeployStatus, Intent, Kind, Order, Shipped, Target
from deploylib.models.release import Triggered
from deploylib.models.units import age
from deploylib.render import diagnosis, rate_limit, trigger
from deploylib.render.client import Ambiguous, Refused, Render
from deploylib.render.rate_limit import Left
from deploylib.render.trigger import LOOK_FOR, Accepted, Record
from deploylib.system import Clock, Deadline

__all__ = ["bring", "settle", "undisturbed"]

NOT_FOUND = 404
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
    accepted: Accepted | None = None
    status: DeployStatus | None = None
    began: float = 0.0
    next_look: float = 0.0
    phases: dict[DeployStatus, float] = field(default_factory=dict)
    look_again: Callable[[Accepted], Accepted | None] = lambda _accepted: None

    @property
    def name(self) -> str:
        return self.order.target.name


def bring(
    orders: Sequence[Order],
    *,
    render: Render,
    clock: Clock,
    deadline: Deadline,
    record: Record,
    progress: Callable[[str, str], None],
    intents: Mapping[str, Intent] | None = None,
    triggered: Mapping[str, Triggered] | None = None,
    expected: Mapping[str, float] | None = None,
    start_within: float = math.inf,
    look_for: float = LOOK_FOR,
) -> tuple[Shipped, ...]:
    """Carry out the orders, in parallel but for a service that has to come after others.

    Args:
        record: is told intent, acceptance and end of every deploy (``intent``, ``triggered``, ``shipped``).
        progress: is told service and state, each time it changes.
        intents: what this run has recorded before it was interrupted.
        triggered: likewise; such a deploy is watched, not asked for again.
        expected: seconds that a deploy of a service usually takes, by its name, to look when it is worth it.
        look_for: seconds for which a deploy whose answer was lost is looked for, before a person is asked to.
        start_within: seconds that a new version may be starting; Render itself waits for fifteen minutes (Health checks).

    Raises:
        DeployFailed: of the first service that failed, once it did; the others are left as they are then.
        ForeignDeploy: somebody else's deploy took the place of ours.
    """
    usual = expected or {}
    # The longest first: the last one to be accepted is then not the last one to end.
    waiting = sorted((_Watch(order) for order in orders), key=lambda watch: -usual.get(watch.name, 0.0))
    running: list[_Watch] = []
    shipped: list[Shipped] = []
    names = {order.target.name for order in orders}
    keep = 2 * len(orders)  # reads for what comes after them: proof and report
    while waiting or running:
        for watch in list(waiting):
            if _ready(watch, names, shipped):
                waiting.remove(watch)
                watch.began = clock.monotonic()
                watch.accepted = trigger.ask(
                    watch.order,
                    render=render,
                    clock=clock,
                    record=record,
                    progress=progress,
                    known=(intents or {}).get(watch.name),
                    triggered=(triggered or {}).get(watch.name),
                    look_for=look_for,
                )
                watch.look_again = functools.partial(
                    trigger.found_again, render=render, clock=clock, record=record, within=look_for
                )
                running.append(watch)
                pause = _pause(watch, render, clock, usual, len(waiting) + len(running), keep + len(waiting))
                if pause > rate_limit.QUICK:  # looks are scarce, and one that was just asked for has not ended yet
                    watch.next_look = clock.monotonic() + pause
        for watch in [one for one in running if one.next_look <= clock.monotonic()]:
            if (done := _look(watch, render, clock, deadline, progress, start_within)) is not None:
                running.remove(watch)
                record("shipped", done)
                shipped.append(done)
            else:
                watch.next_look = clock.monotonic() + _pause(watch, render, clock, usual, len(running), keep)
        if waiting and not running and not any(_ready(watch, names, shipped) for watch in waiting):
            raise ValueError("services wait for each other")
        if running and not any(_ready(watch, names, shipped) for watch in waiting):
            clock.sleep(max(0.0, min(watch.next_look for watch in running) - clock.monotonic()))
    return tuple(shipped)


def _ready(watch: _Watch, names: set[str], shipped: Sequence[Shipped]) -> bool:
    """Whether every service that it comes after, and that is deployed now, is live."""
    return not (set(watch.order.target.after) & names) - {done.service for done in shipped}


def _pause(
    watch: _Watch, render: Render, clock: Clock, expected: Mapping[str, float], watching: int, keep: int
) -> float:
    """Seconds until the next look at it, where *watching* deploys share the reads of the window but for *keep*."""
    left = render.left()
    if left is not None:
        left = Left(max(left.requests - keep, left.requests // 4), left.seconds)  # not none at all for the last one
    elapsed = clock.monotonic() - watch.began
    return rate_limit.pause(elapsed, expected.get(watch.name, 0.0), watching, left)


def _look(
    watch: _Watch,
    render: Render,
    clock: Clock,
    deadline: Deadline,
    progress: Callable[[str, str], None],
    start_within: float,
) -> Shipped | None:
    """Look at a deploy once: still on its way (None), live, or an error that says why."""
    if watch.accepted is None:
        return None
    order, name = watch.accepted.order, watch.name
    if (deploy := _asked(watch, watch.accepted, render)) is None:
        return None
    if deploy.status is not watch.status:
        watch.status = deploy.status
        watch.phases.setdefault(deploy.status, clock.monotonic())
        progress(name, WORDS.get(deploy.status, deploy.status.value.replace("_", " ")))
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
            rebuilt=watch.accepted.rebuilt,
        )
    if deploy.status.failed:
        raise diagnosis.failure(order, deploy, render)
    if deploy.status in {DeployStatus.CANCELED, DeployStatus.DEACTIVATED}:
        raise diagnosis.replaced(order, deploy, render)
    starting = clock.monotonic() - watch.phases.get(DeployStatus.UPDATING, clock.monotonic())
    if deploy.status is DeployStatus.UPDATING and starting > start_within:
        details = diagnosis.last_words(order, deploy, render, "app")
        sooner = f"make {order.target.health_path or 'its port'} answer sooner, or set start_within in the settings"
        why, remedy = diagnosis.diagnosed(details, render, sooner)
        raise Unhealthy(
            f"{name}: it was not healthy after {age(starting)}, and is stopped{why}",
            details=details,
            remedy=remedy,
            service=name,
        )
    if deadline.has_passed():
        raise DeployStopped(
            f"{name}: {WORDS.get(deploy.status, deploy.status.value)} when the deadline passed",
            details=diagnosis.last_words(
                order, deploy, render, "app" if deploy.status is DeployStatus.UPDATING else "build"
            ),
            remedy="see why it takes so long; deadline in the settings says how long to wait",
            service=name,
        )
    return None


def _asked(watch: _Watch, accepted: Accepted, render: Render) -> Deploy | None:
    """The deploy by its id; None where the platform knows of none, and another one was found to be ours."""
    try:
        return render.deploy(accepted.order.target.service_id, accepted.deploy_id)
    except Refused as error:
        if error.status != NOT_FOUND or (again := watch.look_again(accepted)) is None:
            raise
        watch.accepted = again
        return None


def undisturbed(target: Target, ours: Collection[str], *, render: Render, clock: Clock, deadline: Deadline) -> None:
    """Wait until nobody else has a deploy of the service on its way, or until the deadline."""
    while not deadline.has_passed():
        deploys = render.deploys(target.service_id, limit=5)
        if all(one.status.terminal or one.id in ours for one in deploys):
            return
        clock.sleep(1.0)


def settle(target: Target, deploy_id: str, *, render: Render, clock: Clock, deadline: Deadline) -> Deploy:
    """Stop a deploy that is on its way, and wait until it has ended either way.

    Raises:
        PersonNeeded: it has not ended before the deadline.
    """
    deploy = render.deploy(target.service_id, deploy_id)
    if not deploy.status.terminal:
        try:
            render.cancel(target.service_id, deploy_id)
        except (Ambiguous, Refused):
            deploy = render.deploy(target.service_id, deploy_id)  # it may have ended in this moment
    while not deploy.status.terminal:
        if deadline.has_passed():
            raise PersonNeeded(
                f"{target.name}: {deploy_id} could not be stopped",
                remedy=f"cancel it: {target.dashboard_url}",
                service=target.name,
            )
        clock.sleep(0.5)
        deploy = render.deploy(target.service_id, deploy_id)
    return deploy
