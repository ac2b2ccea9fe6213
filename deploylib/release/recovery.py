"""Putting back what a run has changed.

What is on its way is stopped, what went live is rolled back, then verified.

That it began, and why, is recorded first, and so is each thing that is asked of the platform. A recovery that was
killed is therefore gone on with by the next command: nothing is asked for twice, and the run never goes forward again.
"""

from __future__ import annotations

import msgspec

from deploylib.errors import (
    DeployError,
    ForeignDeploy,
    Interrupted,
    LeaseHeld,
    PersonNeeded,
    QuotaUsedUp,
    Superseded,
    VerificationFailed,
)
from deploylib.models import Intent, Kind, Live, Order, StageName, Target, Verified
from deploylib.models.evidence import Judgement
from deploylib.models.results import Ending, PutBack, StageResult, StageStatus, short
from deploylib.models.units import seconds
from deploylib.probes import Expected
from deploylib.release.closing import abandon, explain_unknown
from deploylib.release.prove import prove_services
from deploylib.release.run import Run
from deploylib.release.serving import live_of
from deploylib.render import Refused, rollout
from deploylib.system import Deadline

__all__ = ["recover", "recover_run"]

WITHIN = 600.0
NOT_OURS = {ForeignDeploy.exit_code, LeaseHeld.exit_code, QuotaUsedUp.exit_code, Superseded.exit_code}


def recover_run(run: Run, ending: Ending) -> Ending:
    """Put back what a failed run changed; give its ending.

    Somebody else's deploys are left alone: then only what is still on its way is stopped, and what each service serves
    is told. The same is done where the platform's quota is used up: the code is not to blame. A commit that was live and
    did not prove itself is held; when it could not be put back, every commit is. Where the local Render was reset there is
    nothing of the run any more, and nothing is held.

    Raises:
        Interrupted: it goes on with the next command.
        NotKnownYet: likewise; platform or store stopped answering.
        LeaseHeld: another run has taken the environment over.
    """
    if not run.state.intents:
        return ending
    first = run.state.recovering or ending
    try:
        if run.state.recovering is None:
            run.record("recovering", ending)
        if first.exit_code in NOT_OURS or run.back:
            deploys = _stop(run, Deadline.after(WITHIN, run.env.clock))
            return _never_twice(run, first, deploys) if run.back else first
        recover(run)
    except (Interrupted, LeaseHeld):
        raise
    except DeployError as worse:
        if isinstance(worse, Refused) and worse.forgotten:
            return abandon(worse.message, worse.remedy)
        if (unknown := explain_unknown(run, worse)) is not None:
            raise unknown from worse
        return _given_up(run, first, worse)
    if first.exit_code == VerificationFailed.exit_code and (left := _left(run)):
        run.env.holds.place(left, run.env.struck.text(first.error), author=run.env.author, run=run.id)
    return first


def _left(run: Run) -> list[str]:
    """List the commits that were live and are replaced."""
    commits = {name: intent.commit for name, intent in run.state.intents.items()}
    return sorted({commits[one.service] for one in run.state.put_back if one.commit != commits[one.service]})


def _never_twice(run: Run, first: Ending, deploys: dict[str, str]) -> Ending:
    """Give the ending of a rollback that has failed.

    Where a part of it is live, a person decides.
    """
    if not any(live_of(run.env, target).deploy_id == deploys.get(target.name) for target in run.checked.targets):
        return first
    split = PersonNeeded("a rollback is never rolled back", remedy=first.next[0] if first.next else "inv logs")
    return _given_up(run, first, split)


def _given_up(run: Run, first: Ending, worse: DeployError) -> Ending:
    """Give the ending of a recovery that failed.

    Nothing is released any more until somebody has gone back or lifted the hold.
    """
    run.env.holds.place(
        (), f"run {short(run.id)} could not put back what it changed", author=run.env.author, run=run.id
    )
    where = run.env.flag
    needed = PersonNeeded(
        f"{first.error}; and it could not be put back: {worse.message}",
        details=(*first.details, *worse.details),
        remedy=f"{worse.remedy}; then inv status{where}, inv rollback{where}",
    )
    return Ending.of(needed)


def recover(run: Run) -> tuple[PutBack, ...]:
    """Put back what this run changed, and verify it like a deploy.

    Raises:
        DeployError: it could not be done, or what was put back does not prove itself.
    """
    deadline = Deadline.after(WITHIN, run.env.clock)
    deploys = _stop(run, deadline)
    settled = {one.service for one in run.state.put_back}
    back: list[Order] = []
    for target in run.checked.targets:
        if target.name not in deploys or target.name in settled:
            continue
        intent = run.state.intents[target.name]
        asked = run.state.back_triggered.get(target.name)
        ours = {deploys[target.name], asked.deploy_id if asked else ""}
        # Somebody may be going back at this moment, and must not be gone back upon.
        rollout.wait_for_others(target, ours, client=run.env.render, clock=run.env.clock, deadline=deadline)
        if live_of(run.env, target).deploy_id != deploys[target.name] and target.name not in run.state.back_intents:
            continue  # it never went live, or something else serves since, which is not ours to undo
        if intent.previous.deploy_id:
            back.append(_order(target, intent, deploys[target.name]))
        else:
            text = "first deploy: there is nothing to put back"
            run.record("put-back", PutBack(service=target.name, commit=intent.commit, text=text))
    if back:
        _restore(run, back, deadline)
    return run.state.put_back


def _order(target: Target, intent: Intent, deploy_id: str) -> Order:
    was = Live(service=target.name, commit=intent.commit, deploy_id=deploy_id, url=target.url)
    return Order(target=target, commit=intent.previous.commit, previous=was, from_deploy=intent.previous.deploy_id)


def _stop(run: Run, deadline: Deadline) -> dict[str, str]:
    """Stop what this run has on its way.

    Gives the deploys that it made, by service; each has ended by then.
    """
    deploys: dict[str, str] = {}
    for target in run.checked.targets:
        if (intent := run.state.intents.get(target.name)) is None:
            continue
        if deploy_id := _made(run, target, intent):
            rollout.cancel_and_wait(target, deploy_id, client=run.env.render, clock=run.env.clock, deadline=deadline)
            deploys[target.name] = deploy_id
    return deploys


def _made(run: Run, target: Target, intent: Intent) -> str:
    """Find the deploy that this run has made of a service.

    Empty where it has made none.

    What was recorded may be the id of something else, where the answer that named it was one to another question.
    """
    known = run.state.triggered.get(target.name)
    if known is not None:
        try:
            return run.env.render.deploy(target.service_id, known.deploy_id).id
        except Refused as error:
            if not error.is_unknown:
                raise
    return rollout.find_requested(target, intent, client=run.env.render, clock=run.env.clock)


def _restore(run: Run, back: list[Order], deadline: Deadline) -> None:
    run.env.progress.began("put back")
    run.log.start(order.target for order in back)
    began = run.env.clock.monotonic()
    shipped = rollout.roll_out(
        back,
        rollout.Rollout(
            run.env.render,
            run.env.clock,
            deadline,
            lambda kind, value: run.record(f"back-{kind}", value),
            run.env.progress.progress,
            intents=run.state.back_intents,
            triggered=run.state.back_triggered,
            start_within=seconds(run.env.config.settings.start_within),
            look_for=run.look_for,
        ),
    )
    rebuilt = {one.service for one in shipped if one.rebuilt}
    proven = prove_services(
        run.env,
        run.checked.targets,
        {
            order.target.name: Expected(
                order.commit,
                order.previous.commit,
                misnamed=run.state.intents[order.target.name].misnamed,
                before=run.state.intents[order.target.name].answered,
                back=True,
            )
            for order in back
        },
        msgspec.structs.replace(run.pace, bake=0.0),
        progress=lambda _service, _text: None,
    )
    for order, shown in zip(back, proven, strict=True):
        how = " (built again: its artifact was no longer kept)" if order.target.name in rebuilt else ""
        text = f"→ {order.commit[:7]}{how}, verified: {shown.text}{_doubts(shown)}{_stays(run, order.target)}"
        run.record("put-back", PutBack(service=order.target.name, commit=order.commit, text=text))
    lines = tuple(f"{one.service}  {one.text}" for one in run.state.put_back)
    took = run.env.clock.monotonic() - began
    run.env.progress.ended(StageResult(stage="put back", status=StageStatus.DONE, lines=lines, seconds=took))


def _doubts(shown: Verified) -> str:
    """Tell what warns of a release that was put back."""
    odd = [f"{one.probe}: {one.text}" for one in shown.evidence if one.judgement in {Judgement.WARN, Judgement.FAIL}]
    return f"; but {'; '.join(odd)}" if odd else ""


def _stays(run: Run, target: Target) -> str:
    """Tell where the schema is, which does not go back."""
    migrated = run.state.has_done(StageName.MIGRATE) and run.planned.migration.pending
    return (
        f"; the schema stays at {run.planned.migration.target}" if migrated and target.kind is not Kind.STATIC else ""
    )
