"""Putting back what a run has changed: what is on its way is stopped, what went live is rolled back, then verified."""

from __future__ import annotations

from deploylib import deploy, stages, verify
from deploylib.clock import Deadline
from deploylib.errors import DeployError, ForeignDeploy, LeaseHeld, PersonNeeded
from deploylib.models import Order
from deploylib.outcome import Ending, PutBack, StageResult, StageStatus
from deploylib.render import Refused
from deploylib.stages import Context

__all__ = ["recover", "recovered"]

WITHIN = 600.0
NOT_OURS = {ForeignDeploy.exit_code, LeaseHeld.exit_code}


def recovered(ctx: Context, ending: Ending) -> Ending:
    """The ending of a run that has failed, once what it changed is put back; somebody else's deploys are left alone."""
    if not ctx.state.intents or ending.exit_code in NOT_OURS:
        return ending
    try:
        recover(ctx)
    except (DeployError, Refused) as worse:
        needed = PersonNeeded(
            f"{ending.error}; and it could not be put back: {worse.message}",
            details=ending.details,
            remedy=f"{worse.remedy}; then inv status, inv rollback",
        )
        return Ending.of(needed)
    return ending


def recover(ctx: Context) -> tuple[PutBack, ...]:
    """Put back what this run changed, and verify it like a deploy.

    Raises:
        DeployError: it could not be done, or what was put back does not prove itself.
    """
    deadline = Deadline.after(WITHIN, ctx.clock)
    back: list[Order] = []
    for target in ctx.checked.targets:
        if (intent := ctx.state.intents.get(target.name)) is None:
            continue
        known = ctx.state.triggered.get(target.name)
        deploy_id = known.deploy_id if known else deploy.made(target, intent, render=ctx.render, clock=ctx.clock)
        if not deploy_id:
            continue
        ended = deploy.settle(target, deploy_id, render=ctx.render, clock=ctx.clock, deadline=deadline)
        live, previous = ctx.live_of(target), intent.previous
        if live.deploy_id == ended.id and previous.deploy_id:
            back.append(Order(target=target, commit=previous.commit, previous=live, from_deploy=previous.deploy_id))
        elif live.deploy_id == ended.id:
            text = "first deploy: there is nothing to put back"
            ctx.journal.record("put-back", PutBack(service=target.name, commit=live.commit, text=text))
    if back:
        _restore(ctx, back, deadline)
    return ctx.state.put_back


def _restore(ctx: Context, back: list[Order], deadline: Deadline) -> None:
    ctx.view.began("put back")
    began = ctx.clock.monotonic()
    deploy.bring(
        back,
        render=ctx.render,
        clock=ctx.clock,
        deadline=deadline,
        record=lambda kind, value: ctx.journal.record(f"back-{kind}", value),
        progress=ctx.view.progress,
    )
    proven = stages.prove(
        ctx,
        {order.target.name: verify.Expected(order.commit, order.previous.commit) for order in back},
        progress=lambda _service, _text: None,
    )
    for order, shown in zip(back, proven, strict=True):
        text = f"→ {order.commit[:7]}, verified: {shown.text}"
        ctx.journal.record("put-back", PutBack(service=order.target.name, commit=order.commit, text=text))
    lines = tuple(f"{one.service}  {one.text}" for one in ctx.state.put_back)
    took = ctx.clock.monotonic() - began
    ctx.view.ended(StageResult(stage="put back", status=StageStatus.DONE, lines=lines, seconds=took))
