"""The whole of a release at one glance: the stages, in order, and what happens when one fails.

Before the first deploy is asked for, a failure stops the run and nothing that serves has changed. From then on a
failure is put back: what is on its way is stopped, what went live is rolled back, only what this run changed, at most
once. The first error is what the operator sees. A signal never rolls back: the run stays open and goes on later.

On one machine `run` does all of it. The jobs of a CI do a part each and only record; `finish` is their last, and alone
decides.
"""

from __future__ import annotations

import dataclasses

import msgspec

from deploylib import attempt, check, ending, mark, operation, promotion, stages, temporary, verify
from deploylib.errors import DeployError, Held, Interrupted, LeaseHeld, NotKnownYet, SettingsError, Unreachable
from deploylib.examined import Scanned
from deploylib.ledger import Journal, RunState
from deploylib.outcome import Ending, Report, StageResult, StageStatus, short
from deploylib.recovery import recovered
from deploylib.stages import Context, Stage
from deploylib.store import Folder

__all__ = [
    "BACK",
    "FLOW",
    "examine",
    "finish",
    "hand_over_tests",
    "mend",
    "own_tests",
    "promote",
    "prove_live",
    "roll_back",
    "run",
    "settle",
]

FLOW: tuple[Stage, ...] = (
    stages.Check(),
    stages.Tests(),
    stages.Scan(),
    stages.Changes(),
    stages.Backup(),
    stages.Migrate(),
    stages.Deploy(),
    stages.Verify(),
)
BACK: tuple[Stage, ...] = (stages.Check(), stages.Rollback(), stages.Verify())
CHANGING = {"", stages.Deploy.name, stages.Migrate.name}
CLOSING = (stages.Deploy.name, stages.Verify.name)
ALONE = (stages.Changes.name, stages.Backup.name)  # asked for by themselves on a person's machine, these are no run


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
    if ctx.asked == stages.Check.name and ctx.dry:
        return _looked(ctx)
    ctx.decides = ctx.build is None or until == names[-1]
    ctx.commit = check.release_commit(ctx.git, ctx.ref)
    alone = until if ctx.build is None and ctx.asked == until and until in ALONE else ""
    wanted = _wanted(ctx, until)
    ctx.coming = tuple(stage.name for stage in wanted)
    attempt.opened(ctx, since="check" if until == "check" else "changes", operation=alone)
    return _bring_to_an_end(ctx, wanted, paused_at="" if until == names[-1] else until)


def _looked(ctx: Context) -> Report:
    """Everything that a release would need, at once: also of what is not committed yet, and where there is no store."""
    ctx.git.top()
    ctx.commit, ctx.coming, ctx.lying = ctx.git.commit(ctx.ref or "HEAD"), tuple(one.name for one in FLOW), not ctx.ref
    ctx.noticed = () if ctx.ref else tuple(check.uncommitted(ctx.git))
    try:
        attempt.opened(ctx, since=stages.Check.name)
    except (SettingsError, Unreachable) as error:
        noticed = (*ctx.noticed, check.Finding.of(error))
        with temporary.folder() as nothing:
            blind = dataclasses.replace(ctx, noticed=noticed)
            blind.store = Folder(nothing)
            attempt.opened(blind, since=stages.Check.name)
            return _bring_to_an_end(blind, (stages.Check(),))
    return _bring_to_an_end(ctx, (stages.Check(),))


def promote(ctx: Context, source: Context) -> Report:
    """Bring here exactly the release that another environment has verified and serves.

    Raises:
        Blocked: it serves something else, or is in the middle of a run.
        SettingsError: it was never deployed from here, or the commit is not in this clone.
    """
    found = promotion.verified(
        source.config.name,
        source.ledger.history(source.config.name, 50),
        ending.serving(source),
        {commit for hold in source.holds.current() for commit in hold.commits},
    )
    ctx.ref, ctx.wanted, ctx.promotes = found.commit.id, found.commits, found.name
    ctx.commit = check.release_commit(ctx.git, ctx.ref)
    attempt.opened(ctx, since="changes")
    if found.tested and not ctx.state.done(stages.Tests.name):
        line = f"skipped: passed on {found.environment} in run {short(found.run)}"
        vouched = StageResult(stage=stages.Tests.name, status=StageStatus.SKIPPED, lines=(line,))
        ctx.journal.record("stage", vouched)
    return _bring_to_an_end(ctx, FLOW)


def _wanted(ctx: Context, until: str) -> tuple[Stage, ...]:
    """The stages up to *until*; a look or a backup on a person's machine releases nothing, and so needs no gate."""
    names = [stage.name for stage in FLOW]
    looks = ctx.asked == stages.Backup.name or (ctx.asked == stages.Changes.name and ctx.build is None)
    return tuple(one for one in FLOW[: names.index(until) + 1] if not (looks and one.name in stages.GATES))


def roll_back(ctx: Context) -> Report:
    """Restore an earlier verified release as one unit, and verify it like a deploy."""
    ctx.git.top()
    ctx.commit = ctx.git.commit("HEAD")
    ctx.ref = ctx.commit.id
    attempt.opened(ctx, since="rollback", back=True)
    return _bring_to_an_end(ctx, BACK)


def finish(ctx: Context, run: str = "") -> Report:
    """End a run that was left open: complete it where everything is live, else put back what it changed.

    It takes the environment from the run's own jobs, so that one which still runs somewhere can do nothing more.

    Args:
        run: its id or the end of it; default: this CI run's, or the newest one that is open.
    """
    began = ctx.clock.monotonic()
    state = attempt.unfinished(ctx, run)
    if state is None:
        return Report(run="", environment=ctx.config.name, outcome=attempt.NOTHING, exit_code=0)
    if state.report is not None:
        return state.report
    ctx.commit = state.restoring.commit if state.restoring is not None else state.opened.commit
    ctx.view.opened(state.id, ctx.config.name, ctx.commit)
    try:
        if attempt.has_held(state):
            attempt.hold(ctx)
        return _ended(ctx, _decided(ctx), began)
    except NotKnownYet as error:
        return ending.left_open(ctx, error, began)
    except Interrupted:
        ctx.tenure.end("abandon")
        raise


def _decided(ctx: Context) -> Ending:
    """What a run that others have carried out comes to."""
    flow = BACK if ctx.state.opened.back else FLOW
    if ctx.state.recovering is not None:
        return recovered(ctx, ctx.state.recovering)
    failed = next((one for one in ctx.state.stages.values() if one.status is StageStatus.FAILED), None)
    if failed is not None and failed.failure is not None:
        return recovered(ctx, failed.failure)
    if ctx.planned.superseded:
        return Ending(outcome=attempt.SUPERSEDED)
    if ctx.state.done("changes") and ctx.planned.nothing:
        return Ending(outcome=attempt.NOTHING)
    missing = [stage for stage in flow if not stage.done(ctx)]
    left = [name for name in ctx.planned.changes.deploying if name not in ctx.state.shipped]
    begun = ctx.state.opened.back and ctx.state.intents  # a rollback that has begun is only ever completed
    if not begun and (left or any(stage.name not in CLOSING for stage in missing)):
        where = ", ".join(left) or missing[0].name
        lost = Interrupted(f"the run ended at {where}, and nobody recorded why", remedy="run the workflow again")
        return recovered(ctx, Ending.of(lost))
    try:
        for stage in missing:
            attempt.perform(ctx, stage)
    except (Interrupted, LeaseHeld, NotKnownYet):
        raise
    except DeployError as error:
        return recovered(ctx, Ending.of(error))
    return Ending()


def examine(ctx: Context) -> Scanned:
    """Scan a commit; where jobs share a run its verdict is recorded for those after it."""
    found = stages.examine(ctx)
    if ctx.build is not None:
        ctx.decides = False
        attempt.opened(ctx, since="")
        ctx.journal.record("stage", msgspec.structs.replace(stages.judged(found), seconds=found.seconds))
    return found


def own_tests(ctx: Context) -> Report:
    """Run the product's own tests; where jobs share a run, what comes of them is recorded for those after it."""
    ctx.decides = False
    ctx.commit = check.release_commit(ctx.git, ctx.ref)
    attempt.opened(ctx, since="nothing")
    return _bring_to_an_end(ctx, (stages.Tests(),), paused_at=stages.Tests.name)


def hand_over_tests(ctx: Context) -> Report:
    """Run the product's own tests where there is neither key nor store; a job after this one records the result."""
    ctx.commit = check.release_commit(ctx.git, ctx.ref)
    began, tests, end = ctx.clock.monotonic(), stages.Tests(), Ending()
    ctx.view.began(tests.name)
    try:
        result = tests.apply(ctx)
        result = msgspec.structs.replace(result, seconds=round(ctx.clock.monotonic() - began, 3))
    except Interrupted:
        raise
    except DeployError as error:
        result, end = StageResult.of(tests.name, error, ctx.clock.monotonic() - began), Ending.of(error)
    ctx.view.ended(result)
    run = ctx.build.id if ctx.build else ""
    ended = {**msgspec.structs.asdict(end), "seconds": result.seconds}
    return Report(run=run, environment=ctx.config.name, commit=ctx.commit, stages=(result,), **ended)


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


def prove_live(ctx: Context) -> Report:
    """What the open run has deployed must prove itself, or outside a run what the ledger says is live.

    On a person's machine that is the end of the run, as the last stage of ``inv deploy`` is; the jobs of a CI leave it to
    `finish`.
    """
    ctx.commit = ctx.git.commit("HEAD")
    if ctx.build is not None and attempt.shared(ctx) is not None:
        ctx.decides = False
        attempt.opened(ctx, since="")
        return _bring_to_an_end(ctx, (stages.Verify(),), paused_at=stages.Verify.name)
    left = attempt.deployed(ctx)
    if left is not None and not attempt.is_shared(ctx, left):
        attempt.gone_on_with(ctx, left)
        return _bring_to_an_end(ctx, (stages.Verify(),))
    return _looked_at(ctx, left)


def _looked_at(ctx: Context, left: RunState | None) -> Report:
    """Ask for what the ledger says is live, and record nothing of it but that it was asked.

    Args:
        left: a run of a CI that is open: what it has deployed is live by now.
    """
    last = ctx.ledger.newest(ctx.config.name, lambda state: state.release)
    known = left or last
    if known is None:
        raise SettingsError(
            f"no release of {ctx.config.name!r} was ever verified", remedy=f"inv deploy --environment {ctx.config.name}"
        )
    before = stages.answered(last) if last else {}
    expected = {
        one.service: verify.Expected(one.commit, before=before.get(one.service, 0))
        for one in (last.release if last else ())
        if one.commit
    }
    for name, one in left.shipped.items() if left is not None else ():
        expected[name] = verify.Expected(one.commit, one.previous.commit, before=known.intents[name].answered)
    ctx.commit = known.commit
    ctx.journal = Journal(ctx.ledger, known, dry=True)
    began = ctx.clock.monotonic()
    ctx.view.opened(known.id, ctx.config.name, ctx.commit)
    ctx.view.began("verify")
    outcome = Ending()
    result: tuple[StageResult, ...] = ()
    try:
        mark.require_none(stages.half_restored(ctx), ctx.config.flag)
        with operation.recorded(ctx, stages.Verify.name, ctx.commit) as said:
            proven = stages.prove(ctx, expected)
            said += [f"{one.service}  {one.text}" for one in proven]
        lines = tuple(said)
        result = (
            StageResult(stage="verify", status=StageStatus.DONE, lines=lines, seconds=ctx.clock.monotonic() - began),
        )
        ctx.view.ended(result[0])
    except DeployError as error:
        outcome = Ending.of(error)
    return ending.report(ctx, outcome, began, result)


def _bring_to_an_end(ctx: Context, flow: tuple[Stage, ...], paused_at: str = "") -> Report:
    began = ctx.clock.monotonic()
    try:
        return _ended(ctx, _carried_out(ctx, flow, paused_at), began)
    except NotKnownYet as error:
        return ending.left_open(ctx, error, began)
    except Interrupted as error:
        if ctx.state.opened.operation:
            return _ended(ctx, Ending.of(error), began)
        # It stays open: what is recorded is enough for the next command to go on.
        if ctx.decides:
            ctx.tenure.end("abandon" if ctx.state.intents else "release")
        go_on = "inv deploy goes on where this stopped" if ctx.decides else "inv finish ends the run"
        return ending.report(ctx, msgspec.structs.replace(Ending.of(error), next=(go_on,)), began)
    except LeaseHeld as error:
        # Another command is at work in this very run, or has taken it over: what becomes of it is not ours to say.
        ctx.decides = ctx.decides and not attempt.has_held(ctx.state)
        return _ended(ctx, Ending.of(error), began)


def _carried_out(ctx: Context, flow: tuple[Stage, ...], paused_at: str) -> Ending:
    """Do the stages, and say what the run, or this command's part of it, comes to.

    Raises:
        Interrupted: the run stays open.
        NotKnownYet: likewise; platform or store stopped answering.
        LeaseHeld: it is another command's now.
    """
    try:
        if ctx.decides and ctx.state.recovering is not None:
            attempt.hold(ctx)
            return recovered(ctx, ctx.state.recovering)
        for stage in flow:
            attempt.perform(ctx, stage, settle=_settled)
            if stage.name == "changes" and (end := _nothing(ctx)) is not None:
                return end
    except (Interrupted, LeaseHeld, NotKnownYet):
        raise
    except DeployError as error:
        end = Ending.of(error)
        return recovered(ctx, end) if ctx.decides else end
    if ctx.dry:
        return Ending(outcome=attempt.PLANNED, next=("the same without --dry-run does it",))
    if ctx.state.opened.operation:
        return Ending(outcome=operation.DONE, next=_after(ctx))
    if paused_at:
        go_on = "inv finish ends the run" if ctx.build else "inv deploy goes on"
        if paused_at == stages.Deploy.name:
            go_on = "inv verify proves it" + (", inv finish ends the run" if ctx.build else " and ends the run")
        return Ending(outcome=attempt.PAUSED, next=(f"done up to {paused_at}; {go_on}",))
    return Ending()


def _after(ctx: Context) -> tuple[str, ...]:
    """What comes after something asked for by itself: a release, where there is something to release and nothing refuses it."""
    if ctx.planned.nothing:
        return ()
    try:
        stages.not_held(ctx)
    except Held as error:
        return (error.remedy,)
    return ("inv deploy releases it",)


def settle(ctx: Context) -> None:
    """End what was left half-way, before somebody who holds the environment changes what it stands on."""
    for left in attempt.left_behind(ctx):
        _settled(ctx, left)


def _settled(ctx: Context, left: RunState) -> None:
    """End a run that was left half-way, before this one changes anything; a rollback itself says what shall be live."""
    if not left.intents or ctx.state.opened.back:
        attempt.abandon(ctx, left)
        return
    ctx.view.note(f"run {short(left.id)} of {left.commit.short} was left half-way: it is ended first")
    began = ctx.clock.monotonic()
    other = dataclasses.replace(ctx, commit=left.commit, only=left.opened.services, asked="", decides=True)
    attempt.taken_over(other, left, ctx.tenure)
    told = _closed(other, _decided(other), began, keep=True)
    ctx.view.note(f"run {short(left.id)}: {told.outcome}")


def _nothing(ctx: Context) -> Ending | None:
    """The end of a run that has nothing to do; a backup may be due all the same."""
    if ctx.planned.superseded:
        return Ending(outcome=attempt.SUPERSEDED)
    return Ending(outcome=attempt.NOTHING) if ctx.planned.nothing and ctx.asked in CHANGING else None


def _ended(ctx: Context, end: Ending, began: float) -> Report:
    """Close the run; a job that only records leaves that to `finish`, and so does who goes on later."""
    if ctx.decides and end.outcome != attempt.PAUSED:
        return _closed(ctx, end, began)
    ctx.tenure.end("release" if ctx.decides else "")
    return ending.report(ctx, end, began)


def _closed(ctx: Context, end: Ending, began: float, *, keep: bool = False) -> Report:
    """Record the end of the run.

    Raises:
        NotKnownYet: platform or store did not answer, so that it stays open.
    """
    try:
        return ending.close(ctx, end, began, keep=keep)
    except DeployError as error:
        if (unknown := stages.not_known(ctx, error)) is not None:
            raise unknown from error
        raise
