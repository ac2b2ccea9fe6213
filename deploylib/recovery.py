"""Putting back what a run has changed: what is on its way is stopped, what went live is rolled back, then verified.

That it began, and why, is recorded first, and so is each thing that is asked of the platform. A recovery that was
killed is therefore gone on with by the next command: nothing is asked for twice, and the run never goes forward again.
"""

from __future__ import annotations

import msgspec

from deploylib import acceptance, deploy, stages, verify
from deploylib.clock import Deadline
from deploylib.errors import (
    DeployError,
    ForeignDeploy,
    Interrupted,
    LeaseHeld,
    PersonNeeded,
    Superseded,
    VerificationFailed,
)
from deploylib.models import Intent, Live, Order, Target
from deploylib.outcome import Ending, PutBack, StageResult, StageStatus, short
from deploylib.render import Refused
from deploylib.stages import Context
from deploylib.units import seconds

__all__ = ["recover", "recovered"]

WITHIN = 600.0
NOT_OURS = {ForeignDeploy.exit_code, LeaseHeld.exit_code, Superseded.exit_code}


def recovered(ctx: Context, ending: Ending) -> Ending:
    """The ending of a run that has failed, once what it changed is put back.

    Somebody else's deploys are left alone: then only what is still on its way is stopped, and what each service serves
    is told. A commit that was live and did not prove itself is held; when it could not be put back, everything is.

    Raises:
        Interrupted: it goes on with the next command.
        NotKnownYet: likewise; platform or store stopped answering.
        LeaseHeld: another run has taken the environment over.
    """
    if not ctx.state.intents:
        return ending
    first = ctx.state.recovering or ending
    try:
        if ctx.state.recovering is None:
            ctx.journal.record("recovering", ending)
        if first.exit_code in NOT_OURS or ctx.state.opened.back:
            made = _stop(ctx, Deadline.after(WITHIN, ctx.clock))
            return _never_twice(ctx, first, made) if ctx.state.opened.back else first
        recover(ctx)
    except (Interrupted, LeaseHeld):
        raise
    except DeployError as worse:
        if (unknown := stages.not_known(ctx, worse)) is not None:
            raise unknown from worse
        return _given_up(ctx, first, worse)
    if first.exit_code == VerificationFailed.exit_code and (left := _left(ctx)):
        ctx.holds.place(left, ctx.struck.text(first.error), author=ctx.author, run=ctx.state.id)
    return first


def _left(ctx: Context) -> list[str]:
    """The commits that were live, and that something else is in the place of now."""
    made = {name: intent.commit for name, intent in ctx.state.intents.items()}
    return sorted({made[one.service] for one in ctx.state.put_back if one.commit != made[one.service]})


def _never_twice(ctx: Context, first: Ending, made: dict[str, str]) -> Ending:
    """A rollback that has failed is not rolled back: where a part of it is live, a person decides."""
    if not any(ctx.live_of(target).deploy_id == made.get(target.name) for target in ctx.checked.targets):
        return first
    split = PersonNeeded("a rollback is never rolled back", remedy=first.next[0] if first.next else "inv logs")
    return _given_up(ctx, first, split)


def _given_up(ctx: Context, first: Ending, worse: DeployError) -> Ending:
    """A recovery that failed: nothing is released any more until somebody has gone back or lifted the hold."""
    run = short(ctx.state.id)
    ctx.holds.place((), f"run {run} could not put back what it changed", author=ctx.author, run=ctx.state.id)
    where = ctx.config.flag
    needed = PersonNeeded(
        f"{first.error}; and it could not be put back: {worse.message}",
        details=(*first.details, *worse.details),
        remedy=f"{worse.remedy}; then inv status{where}, inv rollback{where}",
    )
    return Ending.of(needed)


def recover(ctx: Context) -> tuple[PutBack, ...]:
    """Put back what this run changed, and verify it like a deploy.

    Raises:
        DeployError: it could not be done, or what was put back does not prove itself.
    """
    deadline = Deadline.after(WITHIN, ctx.clock)
    made = _stop(ctx, deadline)
    told = {one.service for one in ctx.state.put_back}
    back: list[Order] = []
    for target in ctx.checked.targets:
        if target.name not in made or target.name in told:
            continue
        intent = ctx.state.intents[target.name]
        asked = ctx.state.back_triggered.get(target.name)
        ours = {made[target.name], asked.deploy_id if asked else ""}
        # Somebody may be going back at this moment, and must not be gone back upon.
        deploy.undisturbed(target, ours, render=ctx.render, clock=ctx.clock, deadline=deadline)
        if ctx.live_of(target).deploy_id != made[target.name] and target.name not in ctx.state.back_intents:
            continue  # it never went live, or something else serves since, which is not ours to undo
        if intent.previous.deploy_id:
            back.append(_order(target, intent, made[target.name]))
        else:
            text = "first deploy: there is nothing to put back"
            ctx.journal.record("put-back", PutBack(service=target.name, commit=intent.commit, text=text))
    if back:
        _restore(ctx, back, deadline)
    return ctx.state.put_back


def _order(target: Target, intent: Intent, made: str) -> Order:
    was = Live(service=target.name, commit=intent.commit, deploy_id=made, url=target.url)
    return Order(target=target, commit=intent.previous.commit, previous=was, from_deploy=intent.previous.deploy_id)


def _stop(ctx: Context, deadline: Deadline) -> dict[str, str]:
    """Stop what this run has on its way, and say which deploys it made, by service: each has ended then."""
    made: dict[str, str] = {}
    for target in ctx.checked.targets:
        if (intent := ctx.state.intents.get(target.name)) is None:
            continue
        if deploy_id := _made(ctx, target, intent):
            deploy.settle(target, deploy_id, render=ctx.render, clock=ctx.clock, deadline=deadline)
            made[target.name] = deploy_id
    return made


def _made(ctx: Context, target: Target, intent: Intent) -> str:
    """The deploy that this run has made of a service; empty where it has made none.

    What was recorded may be the id of something else, where the answer that named it was one to another question.
    """
    known = ctx.state.triggered.get(target.name)
    if known is not None:
        try:
            return ctx.render.deploy(target.service_id, known.deploy_id).id
        except Refused as error:
            if error.status != deploy.NOT_FOUND:
                raise
    return acceptance.made(target, intent, render=ctx.render, clock=ctx.clock)


def _restore(ctx: Context, back: list[Order], deadline: Deadline) -> None:
    ctx.view.began("put back")
    began = ctx.clock.monotonic()
    shipped = deploy.bring(
        back,
        render=ctx.render,
        clock=ctx.clock,
        deadline=deadline,
        record=lambda kind, value: ctx.journal.record(f"back-{kind}", value),
        progress=ctx.view.progress,
        intents=ctx.state.back_intents,
        triggered=ctx.state.back_triggered,
        start_within=seconds(ctx.config.settings.start_within),
        look_for=ctx.look_for,
    )
    rebuilt = {one.service for one in shipped if one.rebuilt}
    proven = stages.prove(
        ctx,
        {
            order.target.name: verify.Expected(
                order.commit,
                order.previous.commit,
                misnamed=ctx.state.intents[order.target.name].misnamed,
                before=ctx.state.intents[order.target.name].answered,
            )
            for order in back
        },
        progress=lambda _service, _text: None,
        pace=msgspec.structs.replace(ctx.pace, bake=0.0),
    )
    for order, shown in zip(back, proven, strict=True):
        how = " (built again: its artifact was no longer kept)" if order.target.name in rebuilt else ""
        text = f"→ {order.commit[:7]}{how}, verified: {shown.text}"
        ctx.journal.record("put-back", PutBack(service=order.target.name, commit=order.commit, text=text))
    lines = tuple(f"{one.service}  {one.text}" for one in ctx.state.put_back)
    took = ctx.clock.monotonic() - began
    ctx.view.ended(StageResult(stage="put back", status=StageStatus.DONE, lines=lines, seconds=took))
