"""The whole of a release at one glance: the stages, in order, and what happens when one fails.

Before the first deploy is asked for, a failure stops the run and nothing that serves has changed. From then on a
failure is put back: what is on its way is stopped, what went live is rolled back, only what this run changed, at most
once. The first error is what the operator sees. A signal never rolls back: the run stays open and goes on later.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import msgspec

from deploylib import check, deploy, local, stages, verify
from deploylib.clock import Deadline
from deploylib.errors import DeployError, ForeignDeploy, Interrupted, PersonNeeded, SettingsError
from deploylib.ledger import Journal, Opened, RunState
from deploylib.models import Live, Order, PutBack, Report, StageResult, StageStatus
from deploylib.render import Refused
from deploylib.stages import Context, Stage
from deploylib.units import seconds

__all__ = ["BACK", "FLOW", "mend", "prove_live", "recover", "roll_back", "run"]

FLOW: tuple[Stage, ...] = (
    stages.Check(),
    stages.Changes(),
    stages.Backup(),
    stages.Migrate(),
    stages.Deploy(),
    stages.Verify(),
)
BACK: tuple[Stage, ...] = (stages.Check(), stages.Rollback(), stages.Verify())

RECOVERY_WITHIN = 600.0
SUCCEEDED, NOTHING, PLANNED, PAUSED = "succeeded", "nothing to do", "planned", "paused"


def run(ctx: Context, *, until: str = "verify") -> Report:
    """Bring the environment to the commit: every stage that this run has not done yet, up to *until*.

    Returns:
        The report, whatever the outcome; `Report.exit_code` tells.

    Raises:
        SettingsError: before a run could begin.
    """
    names = [stage.name for stage in FLOW]
    if until not in names:
        raise SettingsError(f"there is no stage {until!r}", remedy=f"one of: {', '.join(names)}")
    ctx.commit = check.release_commit(ctx.git, ctx.ref)
    _open(ctx, since="check" if until == "check" else "changes")
    return _bring_to_an_end(ctx, FLOW[: names.index(until) + 1], paused_at="" if until == names[-1] else until)


def mend(ctx: Context) -> tuple[str, ...]:
    """Do what a change of a service's settings can do about the check's findings: autodeploy off.

    Returns:
        The names of the services that were changed.
    """
    described = check.read_blueprint(ctx.config, ctx.git, ctx.git.commit(ctx.ref or "HEAD"))
    wanted = {ctx.config.environment.services.get(name, name) for name in check.services(ctx.config, described, ())}
    on = [one for one in ctx.render.services() if one.auto_deploy and wanted & {one.id, one.name}]
    for service in on:
        ctx.render.turn_off_auto_deploy(service.id)
        ctx.view.note(f"{service.name}: autodeploy is off now")
    return tuple(service.name for service in on)


def roll_back(ctx: Context) -> Report:
    """Restore an earlier verified release as one unit, and verify it like a deploy."""
    ctx.git.top()
    ctx.commit = ctx.git.commit("HEAD")
    ctx.ref = ctx.commit.id
    _open(ctx, since="rollback", back=True)
    return _bring_to_an_end(ctx, BACK)


def prove_live(ctx: Context) -> Report:
    """Outside a run: what the ledger says is live must still prove itself."""
    last = next((state for state in ctx.ledger.history(ctx.config.name, 50) if state.release), None)
    if last is None:
        raise SettingsError(
            f"no release of {ctx.config.name!r} was ever verified", remedy=f"inv deploy --environment {ctx.config.name}"
        )
    ctx.commit = last.commit
    ctx.journal = Journal(ctx.ledger, last, dry=True)
    began = ctx.clock.monotonic()
    ctx.view.opened(last.id, ctx.config.name, ctx.commit)
    ctx.view.began("verify")
    outcome = _Ending()
    result: tuple[StageResult, ...] = ()
    try:
        proven = stages.prove(ctx, {one.service: verify.Expected(one.commit) for one in last.release if one.commit})
        lines = tuple(f"{one.service}  {one.text}" for one in proven)
        result = (
            StageResult(stage="verify", status=StageStatus.DONE, lines=lines, seconds=ctx.clock.monotonic() - began),
        )
        ctx.view.ended(result[0])
    except DeployError as error:
        outcome = _Ending.of(error)
    return _report(ctx, outcome, began, result)


def _bring_to_an_end(ctx: Context, flow: tuple[Stage, ...], paused_at: str = "") -> Report:
    began = ctx.clock.monotonic()
    try:
        for stage in flow:
            _perform(ctx, stage)
            if stage.name == "changes" and ctx.planned.nothing and ctx.asked in {"", "deploy", "migrate"}:
                return _close(ctx, _Ending(NOTHING), began)
    except Interrupted as error:
        # It stays open: what is recorded is enough for the next command to go on.
        return _report(ctx, replace(_Ending.of(error), next=("inv deploy goes on where this stopped",)), began)
    except DeployError as error:
        return _close(ctx, _failed(ctx, error), began)
    if ctx.dry:
        return _report(ctx, _Ending(PLANNED, next=("the same without --dry-run does it",)), began)
    if paused_at:
        return _report(ctx, _Ending(PAUSED, next=(f"done up to {paused_at}; inv deploy goes on",)), began)
    return _close(ctx, _Ending(), began)


def _perform(ctx: Context, stage: Stage) -> None:
    """Do one stage, unless this run has done it."""
    if ctx.state.done(stage.name) and stage.name != ctx.asked:
        ctx.view.ended(ctx.state.stages[stage.name], ago=(ctx.clock.now() - ctx.state.last).total_seconds())
        return
    ctx.view.began(stage.name)
    began = ctx.clock.monotonic()
    try:
        result = stage.plan(ctx) if ctx.dry else stage.apply(ctx)
    except DeployError as error:
        failed = StageResult(
            stage=stage.name,
            status=StageStatus.FAILED,
            lines=(error.message, *error.details),
            seconds=ctx.clock.monotonic() - began,
        )
        ctx.journal.record("stage", failed)
        ctx.view.ended(failed)
        raise
    result = msgspec.structs.replace(result, seconds=round(ctx.clock.monotonic() - began, 3))
    ctx.journal.record("stage", result)
    ctx.view.ended(result)


@dataclass(frozen=True)
class _Ending:
    """How a run ended."""

    outcome: str = SUCCEEDED
    exit_code: int = 0
    error: str = ""
    details: tuple[str, ...] = ()
    next: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: DeployError) -> _Ending:
        return cls(error.outcome, error.exit_code, error.message, error.details, (error.remedy,))


def _failed(ctx: Context, error: DeployError) -> _Ending:
    """The ending after an error, once what this run changed has been put back."""
    if not ctx.state.intents or isinstance(error, ForeignDeploy):
        return _Ending.of(error)
    try:
        recover(ctx)
    except (DeployError, Refused) as worse:
        needed = PersonNeeded(
            f"{error.message}; and it could not be put back: {worse.message}",
            details=error.details,
            remedy=f"{worse.remedy}; then inv status, inv rollback",
        )
        return _Ending.of(needed)
    return _Ending.of(error)


def recover(ctx: Context) -> tuple[PutBack, ...]:
    """Put back what this run changed, and verify it like a deploy.

    Raises:
        DeployError: it could not be done, or what was put back does not prove itself.
    """
    deadline = Deadline.after(RECOVERY_WITHIN, ctx.clock)
    back: list[Order] = []
    for target in ctx.checked.targets:
        intent, triggered = ctx.state.intents.get(target.name), ctx.state.triggered.get(target.name)
        if intent is None or triggered is None:
            continue
        ended = deploy.settle(target, triggered.deploy_id, render=ctx.render, clock=ctx.clock, deadline=deadline)
        live = ctx.live_of(target)
        if live.deploy_id == ended.id and intent.previous.deploy_id:
            previous = intent.previous
            back.append(Order(target=target, commit=previous.commit, previous=live, from_deploy=previous.deploy_id))
        elif live.deploy_id == ended.id:
            ctx.journal.record(
                "put-back",
                PutBack(service=target.name, commit=live.commit, text="first deploy: there is nothing to put back"),
            )
    if not back:
        return ctx.state.put_back
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
    return ctx.state.put_back


def _open(ctx: Context, *, since: str, back: bool = False) -> None:
    """Go on with the open run of the same commit, or begin a new one."""
    wanted = Opened(
        run=f"{ctx.clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}",
        environment=ctx.config.name,
        commit=ctx.commit,
        services=ctx.only,
        author=ctx.config.environ.get("GITHUB_ACTOR") or ctx.config.environ.get("USER", ""),
        back=back,
    )
    last = next(iter(ctx.ledger.history(ctx.config.name, 1)), None)
    if last is not None and last.report is None:
        if not ctx.dry and _goes_on(ctx, last, wanted):
            ctx.journal = Journal(ctx.ledger, last)
            ctx.view.opened(last.id, ctx.config.name, None if back else ctx.commit)
            if ctx.config.is_local and ctx.state.done("check"):
                local.up(ctx.config, runner=ctx.runner)  # it may have ended since this run was left
            return
        if not ctx.dry:
            _abandon(ctx, last)
    ctx.journal = Journal.open(ctx.ledger, wanted, dry=ctx.dry, since=since)
    ctx.view.opened(wanted.run, ctx.config.name, None if back else ctx.commit)


def _goes_on(ctx: Context, last: RunState, wanted: Opened) -> bool:
    same = (last.opened.commit.id, last.opened.services, last.opened.back) == (
        wanted.commit.id,
        wanted.services,
        wanted.back,
    )
    age = (ctx.clock.now() - last.last).total_seconds()
    return same and age < seconds(ctx.config.settings.deadline)


def _abandon(ctx: Context, last: RunState) -> None:
    """Close a run that nobody goes on with; the check stops what it left on its way."""
    ending = Report(run=last.id, environment=ctx.config.name, outcome="abandoned", exit_code=Interrupted.exit_code)
    Journal(ctx.ledger, last).record("closed", ending)


def _close(ctx: Context, ending: _Ending, began: float) -> Report:
    """Record the end of the run; in a dry run there is nothing to record."""
    report = _report(ctx, ending, began)
    ctx.journal.record("closed", report)
    return report


def _report(ctx: Context, ending: _Ending, began: float, result: tuple[StageResult, ...] = ()) -> Report:
    return Report(
        run=ctx.state.id,
        environment=ctx.config.name,
        outcome=ending.outcome,
        exit_code=ending.exit_code,
        commit=ctx.commit,
        stages=result or tuple(ctx.state.stages.values()),
        live=_what_is_live(ctx),
        visitors=ctx.visitors.stop(),
        error=ending.error,
        details=ending.details,
        put_back=ctx.state.put_back,
        next=ending.next,
        seconds=round(ctx.clock.monotonic() - began, 3),
    )


def _what_is_live(ctx: Context) -> tuple[Live, ...]:
    """The platform's truth at the end; empty where it cannot be asked, which the report then does not claim to know."""
    try:
        return tuple(ctx.live().values())
    except DeployError:
        return ()
