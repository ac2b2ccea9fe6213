"""Making services serve something else: a commit, or an earlier deploy; all of them at once.

The platform does the work in parallel; this is one loop that asks and watches. What is about to be asked is recorded
first, together with the deploys that existed then: an answer that was lost is looked up and adopted, and nothing is
ever asked for twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import msgspec

from deploylib import pacing
from deploylib.clock import Clock, Deadline
from deploylib.errors import (
    BuildFailed,
    DeployError,
    DeployStopped,
    ForeignDeploy,
    PersonNeeded,
    StartFailed,
    Unhealthy,
)
from deploylib.ledger import Triggered
from deploylib.models import Deploy, DeployStatus, Intent, Kind, Order, Shipped, Target
from deploylib.pacing import Left
from deploylib.render import Ambiguous, Refused, Render
from deploylib.units import age

__all__ = ["LOOK_FOR", "Record", "bring", "made", "settle", "undisturbed"]

LOOK_FOR = 60.0
AFTER_A_CRASH = 5.0
LAST_LINES = 20  # a crash of Node shows its cause above a dozen lines of stack
WORDS = {
    DeployStatus.CREATED: "accepted",
    DeployStatus.QUEUED: "queued behind another deploy",
    DeployStatus.BUILDING: "building",
    DeployStatus.PRE_DEPLOY: "pre-deploy command",
    DeployStatus.UPDATING: "starting, waiting for its health check",
    DeployStatus.LIVE: "live",
    DeployStatus.UNKNOWN: "in a state that we do not know",
}


class Record(Protocol):
    """Writes one event of the run; it is on the disk when it returns."""

    def __call__(self, kind: str, value: Any, /) -> None:
        """Write *value* as an event of *kind*."""
        ...


@dataclass
class _Watch:
    """One order on its way; *rebuilt* when its artifact was gone, and the commit is built again."""

    order: Order
    rebuilt: bool = False
    deploy_id: str = ""
    status: DeployStatus | None = None
    began: float = 0.0
    next_look: float = 0.0
    phases: dict[DeployStatus, float] = field(default_factory=dict)

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
                _ask(watch, render, clock, record, progress, intents or {}, triggered or {}, look_for)
                running.append(watch)
                pause = _pause(watch, render, clock, usual, len(waiting) + len(running), keep + len(waiting))
                if pause > pacing.QUICK:  # looks are scarce, and one that was just asked for has not ended yet
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
    return pacing.pause(elapsed, expected.get(watch.name, 0.0), watching, left)


def _ask(
    watch: _Watch,
    render: Render,
    clock: Clock,
    record: Record,
    progress: Callable[[str, str], None],
    intents: Mapping[str, Intent],
    triggered: Mapping[str, Triggered],
    look_for: float,
) -> None:
    """Have the platform accept the order, exactly once."""
    known = intents.get(watch.name)
    if known is not None and watch.order.from_deploy and not known.from_deploy:
        watch.order, watch.rebuilt = msgspec.structs.replace(watch.order, from_deploy=""), True
    if watch.name in triggered:
        watch.deploy_id = triggered[watch.name].deploy_id
        return
    accepted, lost = None, False
    intent = known or _intend(watch, render, record)
    if known is not None:
        # The run died between its note and the answer; what the platform does not have by now never arrived.
        accepted = _find(watch, intent, render, clock, within=AFTER_A_CRASH)
        lost = accepted is not None
    if accepted is None:
        try:
            accepted, lost = _send(watch.order, render)
        except _ArtifactGone as gone:
            progress(watch.name, f"its artifact is no longer kept, so {watch.order.commit[:7]} is built again ({gone})")
            watch.order, watch.rebuilt = msgspec.structs.replace(watch.order, from_deploy=""), True
            intent = _intend(watch, render, record)
            accepted, lost = _send(watch.order, render)
    accepted = accepted or _find(watch, intent, render, clock, within=look_for)
    if accepted is None:
        raise PersonNeeded(
            f"{watch.name}: the platform does not say whether it accepted the deploy",
            remedy=f"look at the service's deploys ({watch.order.target.dashboard_url}), then inv deploy",
            service=watch.name,
        )
    watch.deploy_id = accepted.id
    record("triggered", Triggered(service=watch.name, deploy_id=accepted.id, adopted=lost))


def _intend(watch: _Watch, render: Render, record: Record) -> Intent:
    """Note what is about to be asked, and which deploys are there already: an answer that is lost is found by that."""
    order = watch.order
    intent = Intent(
        service=watch.name,
        commit=order.commit,
        existing=tuple(deploy.id for deploy in render.deploys(order.target.service_id)),
        previous=order.previous,
        from_deploy=order.from_deploy,
        variables=order.variables,
    )
    record("intent", intent)
    return intent


class _ArtifactGone(Exception):
    """The platform refused to restore a deploy; the number that it keeps depends on the plan (Render, Rollbacks)."""


def _send(order: Order, render: Render) -> tuple[Deploy | None, bool]:
    """Send it; True when nobody knows whether it arrived."""
    try:
        if order.from_deploy:
            return render.roll_back(order.target.service_id, order.from_deploy), False
        tip = order.target.kind is Kind.CRON  # always built from the tip of its branch: a commit is refused
        return render.trigger(order.target.service_id, "" if tip else order.commit), False
    except Ambiguous:
        return None, True
    except Refused as error:
        if order.from_deploy:
            raise _ArtifactGone(error.message) from error
        raise DeployStopped(
            f"{order.target.name}: {error.message}", remedy=error.remedy, service=order.target.name
        ) from error


def _find(watch: _Watch, intent: Intent, render: Render, clock: Clock, *, within: float) -> Deploy | None:
    """The deploy that an unanswered request made: not among those that existed, and of the same commit."""
    deadline = Deadline.after(within, clock)
    ours = {"", "unknown", "rollback" if watch.order.from_deploy else "api"}
    while True:
        new = [
            deploy
            for deploy in render.deploys(watch.order.target.service_id)
            if deploy.id not in intent.existing and deploy.commit in {"", intent.commit} and deploy.trigger in ours
        ]
        if len(new) > 1:
            raise PersonNeeded(
                f"{watch.name}: {len(new)} deploys of {intent.commit[:7]} began at once ({', '.join(d.id for d in new)})",
                remedy=f"cancel all but one of them ({watch.order.target.dashboard_url}), then inv deploy",
                service=watch.name,
            )
        if new:
            return new[0]
        if deadline.passed():
            return None
        clock.sleep(min(2.0, within / 10))


def _look(
    watch: _Watch,
    render: Render,
    clock: Clock,
    deadline: Deadline,
    progress: Callable[[str, str], None],
    start_within: float,
) -> Shipped | None:
    """Look at a deploy once: still on its way (None), live, or an error that says why."""
    order, name = watch.order, watch.name
    deploy = render.deploy(order.target.service_id, watch.deploy_id)
    if deploy.status is not watch.status:
        watch.status = deploy.status
        watch.phases.setdefault(deploy.status, clock.monotonic())
        progress(name, WORDS.get(deploy.status, deploy.status.value.replace("_", " ")))
    if deploy.status is DeployStatus.LIVE:
        if order.target.kind is Kind.CRON and deploy.commit not in {"", order.commit}:
            raise ForeignDeploy(
                f"{name}: {deploy.commit[:7]} went live, the tip of its branch, and not {order.commit[:7]}",
                remedy="release the newest commit of the branch: a cron job is always built from that",
                service=name,
            )
        ended = clock.monotonic()
        start = watch.phases.get(DeployStatus.UPDATING, ended)
        took = _between(deploy.created_at, deploy.finished_at)  # we may have looked late
        return Shipped(
            service=name,
            deploy_id=deploy.id,
            commit=deploy.commit or order.commit,
            previous=order.previous,
            seconds=round(ended - watch.began if took is None else took, 2),
            build_seconds=0.0 if order.from_deploy else round(start - watch.began, 2),
            start_seconds=round(ended - start, 2),
            rebuilt=watch.rebuilt,
        )
    if deploy.status.failed:
        raise _failure(watch, deploy, render)
    if deploy.status in {DeployStatus.CANCELED, DeployStatus.DEACTIVATED}:
        raise _ended_by_others(watch, deploy, render)
    starting = clock.monotonic() - watch.phases.get(DeployStatus.UPDATING, clock.monotonic())
    if deploy.status is DeployStatus.UPDATING and starting > start_within:
        raise Unhealthy(
            f"{name}: it was not healthy after {age(starting)}, and is stopped",
            details=_last_words(watch, deploy, render, "app"),
            remedy=f"make {order.target.health_path or 'its port'} answer sooner, or set start_within in the settings",
            service=name,
        )
    if deadline.passed():
        raise DeployStopped(
            f"{name}: {WORDS.get(deploy.status, deploy.status.value)} when the deadline passed",
            details=_last_words(watch, deploy, render, "app" if deploy.status is DeployStatus.UPDATING else "build"),
            remedy="see why it takes so long; deadline in the settings says how long to wait",
            service=name,
        )
    return None


def _ended_by_others(watch: _Watch, deploy: Deploy, render: Render) -> DeployError:
    newest = render.deploys(watch.order.target.service_id, limit=1)[0]
    if newest.id != deploy.id:
        return ForeignDeploy(
            f"{watch.name}: {newest.id} ({newest.commit[:7]}, trigger {newest.trigger}) took the place of our deploy",
            remedy="inv status shows what is live; deploy again when nobody else does",
            service=watch.name,
            commit=newest.commit,
        )
    return DeployStopped(
        f"{watch.name}: the deploy was canceled", remedy="if you did not cancel it: inv deploy", service=watch.name
    )


def _failure(watch: _Watch, deploy: Deploy, render: Render) -> DeployError:
    """The failed deploy as an error: its kind from the status, the cause from its event, the last words from its log."""
    name, order = watch.name, watch.order
    cause = render.failure(order.target.service_id, deploy.id)
    code = cause.get("nonZeroExit")
    ended = f"exited with code {code}" if code else "ended" if cause.get("earlyExit") else ""
    if deploy.status is DeployStatus.BUILD_FAILED:
        return BuildFailed(
            f"{name}: the build {ended or 'failed'}",
            details=_last_words(watch, deploy, render, "build"),
            remedy="correct the build, commit, inv deploy",
            service=name,
        )
    details = _last_words(watch, deploy, render, "app")
    if deploy.status is DeployStatus.PRE_DEPLOY_FAILED:
        return StartFailed(
            f"{name}: the pre-deploy command {ended or 'failed'}",
            details=details,
            remedy="correct it, commit, inv deploy",
            service=name,
        )
    if ended or "oomKilled" in cause:
        what = "ran out of memory" if "oomKilled" in cause else ended
        lasted = _between(deploy.started_at, deploy.finished_at)
        took = f" after {lasted:.1f} s" if lasted is not None else ""
        return StartFailed(
            f"{name}: the program {what}{took}", details=details, remedy="correct it, commit, inv deploy", service=name
        )
    path = order.target.health_path or "its port"
    why = f": {cause['unhealthy']}" if isinstance(cause.get("unhealthy"), str) else ""
    return Unhealthy(
        f"{name}: it runs, but {path} did not answer well{why}",
        details=details,
        remedy=f"make {path} answer 2xx within 5 s, commit, inv deploy",
        service=name,
    )


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def _last_words(watch: _Watch, deploy: Deploy, render: Render, kind: str) -> tuple[str, ...]:
    """What the build or the new program said last, and not what the old one says meanwhile.

    A log that cannot be read must not hide the failure itself.
    """
    target = watch.order.target
    try:
        lines = render.logs(target.owner_id, target.service_id, kind, deploy.created_at, limit=100)
        serving = render.instances(target.service_id) if kind == "app" else set()
    except DeployError as error:
        return (f"(its log cannot be read: {error.message})",)
    said = [line.text.rstrip() for line in lines if line.text.strip() and line.instance not in serving]
    return tuple(said[-LAST_LINES:]) or ("(it wrote nothing)",)


def made(target: Target, intent: Intent, *, render: Render, clock: Clock) -> str:
    """The id of the deploy that a run asked for before it died; empty when its request never arrived.

    Raises:
        PersonNeeded: there are several that it may have been.
    """
    order = Order(target=target, commit=intent.commit, previous=intent.previous, from_deploy=intent.from_deploy)
    found = _find(_Watch(order), intent, render, clock, within=AFTER_A_CRASH)
    return found.id if found else ""


def undisturbed(target: Target, ours: Collection[str], *, render: Render, clock: Clock, deadline: Deadline) -> None:
    """Wait until nobody else has a deploy of the service on its way, or until the deadline."""
    while not deadline.passed():
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
        if deadline.passed():
            raise PersonNeeded(
                f"{target.name}: {deploy_id} could not be stopped",
                remedy=f"cancel it: {target.dashboard_url}",
                service=target.name,
            )
        clock.sleep(0.5)
        deploy = render.deploy(target.service_id, deploy_id)
    return deploy
