"""Have the platform accept a deploy exactly once.

That holds also where its answer is lost.

What is about to be asked is recorded first, together with the deploys that existed then. An answer that was lost is
therefore looked up and adopted: a deploy that was not there before, of the same commit, made by the API. Nothing is
ever asked for twice, but for what was canceled while nobody watched: a run that is gone on with asks for that once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from deploylib.errors import DeployStopped, PersonNeeded
from deploylib.models import Deploy, DeployStatus, Intent, Kind, Order, Target
from deploylib.models.release import Triggered
from deploylib.render.client import Ambiguous, Client, Refused
from deploylib.system import Clock, Deadline

__all__ = ["LOOK_FOR", "Record", "Rollout", "Underway", "find_again", "find_requested", "place_order"]

LOOK_FOR = 60.0
AFTER_A_CRASH = 5.0


class Record(Protocol):
    """Writes one event of the run.

    It is on the disk when it returns.
    """

    def __call__(self, kind: str, value: Any, /) -> None:
        """Write *value* as an event of *kind*."""
        ...


@dataclass(frozen=True)
class Rollout:
    """What every order of one rollout is carried out with.

    Attributes:
        deadline: when waiting ends.
        record: is told intent, acceptance and end of every deploy (``intent``, ``triggered``, ``shipped``).
        progress: is told service and state, each time it changes.
        intents: what this run has recorded before it was interrupted, by service.
        triggered: likewise; such a deploy is watched, not asked for again.
        usual: seconds that a deploy of a service usually takes, by its name, to look when it is worth it.
        look_for: seconds for which a deploy whose answer was lost is looked for, before a person is asked to.
        start_within: seconds that a new version may be starting; Render itself waits for fifteen minutes (Health checks).
    """

    client: Client
    clock: Clock
    deadline: Deadline
    record: Record
    progress: Callable[[str, str], None]
    intents: Mapping[str, Intent] = field(default_factory=dict)
    triggered: Mapping[str, Triggered] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)
    look_for: float = LOOK_FOR
    start_within: float = math.inf


class Underway(msgspec.Struct, frozen=True):
    """A deploy that is on its way for an order.

    Attributes:
        rebuilt: its artifact was gone, and the commit is built again.
        intent: what was recorded before it was asked for.
    """

    order: Order
    deploy_id: str
    rebuilt: bool = False
    intent: Intent | None = None


def place_order(order: Order, rollout: Rollout) -> Underway:
    """Have the platform accept the order, exactly once.

    Raises:
        DeployStopped: it was refused.
        PersonNeeded: nobody can say whether it was accepted, or several deploys may be the one.
    """
    client, record, progress = rollout.client, rollout.record, rollout.progress
    known, triggered = rollout.intents.get(order.target.name), rollout.triggered.get(order.target.name)
    name, rebuilt = order.target.name, False
    if known is not None and order.from_deploy and not known.from_deploy:
        order, rebuilt = msgspec.structs.replace(order, from_deploy=""), True
    before = triggered.deploy_id if triggered is not None else ""
    if known is not None and not before:
        # The run died between its note and the answer; what the platform does not have by now never arrived.
        before = find_requested(order.target, known, client=client, clock=rollout.clock)
    if before and not _canceled(order.target, before, client):
        if triggered is None:
            record("triggered", Triggered(service=name, deploy_id=before, adopted=True))
        return Underway(order, before, rebuilt, known)
    if before:
        progress(name, f"{before} was canceled while nobody watched, so it is asked for again")
        order = msgspec.structs.replace(
            order,
            named_before=known.named_before if known is not None else "",
            answered=known.answered if known is not None else 0,
            loaded=known.loaded if known is not None else (),
        )
        known = None
    intent = known or _intend(order, client, record)
    try:
        accepted, lost = _send(order, client)
    except _ArtifactGone as gone:
        progress(name, f"its artifact is no longer kept, so {order.commit[:7]} is built again ({gone})")
        order, rebuilt = msgspec.structs.replace(order, from_deploy=""), True
        intent = _intend(order, client, record)
        accepted, lost = _send(order, client)
    if accepted is not None and not _may_be_ours(accepted, order, intent):
        accepted = None  # an answer about another deploy: ours is looked up
    accepted = accepted or _find(order, intent, client, rollout.clock, within=rollout.look_for)
    if accepted is None:
        raise PersonNeeded(
            f"{name}: the platform does not say whether it accepted the deploy",
            remedy=f"look at the service's deploys ({order.target.dashboard_url}), then inv deploy",
            service=name,
        )
    record("triggered", Triggered(service=name, deploy_id=accepted.id, adopted=lost))
    return Underway(order, accepted.id, rebuilt, intent)


def _canceled(target: Target, deploy_id: str, client: Client) -> bool:
    """Tell whether a resumed run's deploy was canceled, and never asked again.

    A platform that was started anew cancels what it was at; so does a person, who then lets the run go on all the same.
    """
    try:
        status = client.deploy(target.service_id, deploy_id).status
    except Refused:
        return False  # whoever watches it looks it up
    newest = next(iter(client.deploys(target.service_id, limit=1)), None) if status is DeployStatus.CANCELED else None
    return newest is not None and newest.id == deploy_id


def _may_be_ours(accepted: Deploy, order: Order, intent: Intent) -> bool:
    """Tell whether an answer may be about what was just asked for.

    A cron job is built from the tip of its branch.
    """
    fits = order.target.kind is Kind.CRON or accepted.commit in {"", intent.commit}
    return fits and accepted.id not in intent.existing


def find_again(underway: Underway, rollout: Rollout) -> Underway | None:
    """Look up a deploy whose id the platform denies.

    The answer that named it was about something else.
    """
    order, intent = underway.order, underway.intent
    if intent is None:
        return None
    deploy = _find(order, intent, rollout.client, rollout.clock, within=rollout.look_for)
    if deploy is None:
        return None
    rollout.record("triggered", Triggered(service=order.target.name, deploy_id=deploy.id, adopted=True))
    return msgspec.structs.replace(underway, deploy_id=deploy.id)


def _intend(order: Order, client: Client, record: Record) -> Intent:
    """Note what will be asked, and which deploys exist already.

    An answer that is lost is found by that.
    """
    intent = Intent(
        service=order.target.name,
        commit=order.commit,
        existing=tuple(deploy.id for deploy in client.deploys(order.target.service_id)),
        previous=order.previous,
        from_deploy=order.from_deploy,
        variables=order.variables,
        named_before=order.named_before,
        answered=order.answered,
        loaded=order.loaded,
    )
    record("intent", intent)
    return intent


class _ArtifactGone(Exception):
    """The platform refused to restore a deploy.

    The number that it keeps depends on the plan (Render, Rollbacks).
    """


def _send(order: Order, client: Client) -> tuple[Deploy | None, bool]:
    """Send an order; True when nobody knows whether it arrived."""
    try:
        if order.from_deploy:
            return client.roll_back(order.target.service_id, order.from_deploy), False
        tip = order.target.kind is Kind.CRON  # always built from the tip of its branch: a commit is refused
        return client.trigger(order.target.service_id, "" if tip else order.commit), False
    except Ambiguous:
        return None, True
    except Refused as error:
        if order.from_deploy:
            raise _ArtifactGone(error.message) from error
        raise DeployStopped(
            f"{order.target.name}: {error.message}", remedy=error.remedy, service=order.target.name
        ) from error


def _find(order: Order, intent: Intent, client: Client, clock: Clock, *, within: float) -> Deploy | None:
    """Find the deploy that an unanswered request made.

    Not among those that existed, and of the same commit.
    """
    deadline = Deadline.after(within, clock)
    ours = {"", "unknown", "rollback" if order.from_deploy else "api"}
    while True:
        new = [
            deploy
            for deploy in client.deploys(order.target.service_id)
            if deploy.id not in intent.existing and deploy.commit in {"", intent.commit} and deploy.trigger in ours
        ]
        if len(new) > 1:
            raise PersonNeeded(
                f"{order.target.name}: {len(new)} deploys of {intent.commit[:7]} began at once ({', '.join(d.id for d in new)})",
                remedy=f"cancel all but one of them ({order.target.dashboard_url}), then inv deploy",
                service=order.target.name,
            )
        if new:
            return new[0]
        if deadline.has_passed():
            return None
        clock.sleep(min(2.0, within / 10))


def find_requested(target: Target, intent: Intent, *, client: Client, clock: Clock) -> str:
    """Find the deploy that a dead run asked for.

    Empty: its request never arrived.

    Raises:
        PersonNeeded: there are several that it may have been.
    """
    order = Order(target=target, commit=intent.commit, previous=intent.previous, from_deploy=intent.from_deploy)
    deploy = _find(order, intent, client, clock, within=AFTER_A_CRASH)
    return deploy.id if deploy else ""
