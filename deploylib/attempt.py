"""One run while it is carried out: opened or gone on with, held, stage by stage, and closed.

Where the jobs of a CI share a run, a command that stops before the end only records; `deploylib.flow.finish` decides.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import count

import msgspec

from deploylib import ci, formats, local, mark, stages
from deploylib.ci import Build
from deploylib.errors import (
    BackupFailed,
    Blocked,
    DeployError,
    Interrupted,
    LeaseHeld,
    MigrationFailed,
    NotExamined,
    SettingsError,
)
from deploylib.lease import Lease, Tenure
from deploylib.ledger import Journal, Opened, RunState
from deploylib.outcome import Ending, Report, StageResult, StageStatus, short
from deploylib.stages import Context, Stage
from deploylib.units import age, seconds

__all__ = [
    "NOTHING",
    "PAUSED",
    "PLANNED",
    "SUPERSEDED",
    "abandon",
    "deployed",
    "gone_on_with",
    "has_held",
    "hold",
    "is_shared",
    "opened",
    "perform",
    "shared",
    "taken_over",
    "unfinished",
]

NOTHING, PLANNED, PAUSED = "nothing to do", "planned", "paused"
SUPERSEDED = "superseded by a newer release"
RECENT = 100
# What a commit has failed by, and not what somebody has typed, who holds the environment, or whom nobody could ask.
FAILURES = (Blocked, NotExamined, BackupFailed, MigrationFailed)
REFUSABLE = {one.name for one in (stages.Check, stages.Changes, stages.Migrate, stages.Deploy, stages.Rollback)}


def opened(ctx: Context, *, since: str, back: bool = False, operation: str = "") -> None:
    """Go on with the run that this command belongs to, or begin a new one.

    Args:
        since: nothing is recorded before this stage has passed: a refused command leaves no trace; one that fails does,
            and in CI each.
        back: it restores an earlier release.
        operation: it is no run where none is open that it belongs to, but asked for by itself.

    Raises:
        SettingsError: the run is closed, or is about another commit.
    """
    _waivable(ctx, (stages.SCHEMA,) if back else stages.GATES)
    last = shared(ctx, back=back) if ctx.build else next(iter(ctx.ledger.history(ctx.config.name, 1)), None)
    if ctx.only and not ctx.decides and not back:
        _require_own_changes(ctx, last)
    if last is not None and last.report is None and not ctx.dry and (ctx.build or _same(ctx, last, back=back)):
        _resumed(ctx, last)
        ctx.view.opened(last.id, ctx.config.name, None if back else ctx.commit)
        _tested_elsewhere(ctx)
        _local_again(ctx)
        return
    wanted = Opened(
        run=_new_id(ctx, back=back),
        environment=ctx.config.name,
        commit=ctx.commit,
        services=ctx.only,
        author=ctx.author,
        back=back,
        operation=operation,
        promotes=ctx.promotes,
        url=ctx.build.url if ctx.build else "",
        recent=() if back else ctx.git.recent(ctx.commit.id, RECENT),
    )
    ctx.journal = Journal.open(ctx.ledger, wanted, dry=ctx.dry, since="" if ctx.build else since)
    ctx.journal.fence = ctx.tenure.fence
    ctx.view.opened(wanted.run, ctx.config.name, None if back else ctx.commit)
    _tested_elsewhere(ctx)


def _tested_elsewhere(ctx: Context) -> None:
    """Record what the job of the tests has handed over, which had no key to do so.

    Raises:
        SettingsError: it is no such result, or of another commit.
    """
    tests = stages.Tests.name
    if ctx.build is None or ctx.dry or ctx.state.opened.back or tests in (*ctx.state.stages, *ctx.skip):
        return
    if (handed := ci.tested(ctx.config.environ)) is None:
        return
    if handed.commit != ctx.state.opened.commit.id or handed.result.stage != tests:
        raise SettingsError(
            f"the tests that were handed over are of {handed.commit[:7]}, and this run is about "
            f"{ctx.state.opened.commit.short}",
            remedy="check the same commit out in every job",
        )
    ctx.journal.record("stage", handed.result)


def _local_again(ctx: Context) -> None:
    """Start the local Render, which may have ended since this run was left."""
    if ctx.config.is_local and ctx.state.done("check"):
        local.up(ctx.config, runner=ctx.runner, only=ctx.only)


def _resumed(ctx: Context, state: RunState) -> None:
    """Go on with a run of the ledger."""
    ctx.journal = Journal(ctx.ledger, state)
    ctx.journal.fence = ctx.tenure.fence
    if state.restoring is not None:
        ctx.commit = state.restoring.commit


def taken_over(ctx: Context, state: RunState, tenure: Tenure) -> None:
    """Work on a run that another command left, under the hold on the environment of the one that found it."""
    ctx.tenure = tenure
    ctx.journal = Journal(ctx.ledger, state, fence=tenure.fence)


def _require_own_changes(ctx: Context, state: RunState | None) -> None:
    """See that a job which does a part knows of the whole: "Re-run failed jobs" leaves out those that have found it out.

    Raises:
        SettingsError: an earlier attempt has decided what changes, and this one has not.
    """
    if ctx.build is None or (state is not None and state.done(stages.Changes.name)):
        return
    known = set(ctx.ledger.runs(ctx.config.name))
    if any(f"{ctx.config.name}-{before}" in known for before in ctx.build.earlier):
        raise SettingsError(
            "only the failed jobs of this CI run were run again: this attempt has not decided what changes, and would "
            f"release {', '.join(ctx.only)} alone",
            remedy="re-run all jobs of the workflow",
        )


def _waivable(ctx: Context, gates: tuple[str, ...]) -> None:
    unknown = [gate for gate in ctx.skip if gate not in gates]
    if unknown:
        raise SettingsError(
            f"{', '.join(unknown)} cannot be skipped; only {' and '.join(gates)} can",
            remedy=f"--skip {gates[0]} --reason …",
        )
    if ctx.skip and not ctx.reason.strip():
        raise SettingsError("--skip needs a reason", remedy=f'--skip {gates[0]} --reason "why it cannot wait"')


def _new_id(ctx: Context, *, back: bool) -> str:
    """Made here, or the CI's own with the environment before it; another one once that run is closed."""
    if ctx.build is None:
        return f"{ctx.clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    first = _shared_id(ctx, ctx.build, back=back)
    taken = set(ctx.ledger.runs(ctx.config.name))
    return next(name for number in count(1) if (name := first if number == 1 else f"{first}-{number}") not in taken)


def _shared_id(ctx: Context, build: Build, *, back: bool = False) -> str:
    return f"{ctx.config.name}-{build.id}{'-back' if back else ''}"


def shared(ctx: Context, *, back: bool = False) -> RunState | None:
    """The run that the jobs of this CI run share, as long as it is open; None before it began.

    Raises:
        SettingsError: it is closed, which is the end of those that only record, or it is about another commit.
    """
    state = _recorded(ctx, back=back)
    if state is None:
        return None
    if state.report is not None and not ctx.decides:
        raise SettingsError(
            f"run {state.id} is closed: {state.report.outcome}",
            remedy="re-run all jobs of the workflow: a new attempt is a new run",
        )
    if state.report is None and state.opened.commit.id != ctx.commit.id and not back:
        raise SettingsError(
            f"run {state.id} is about {state.opened.commit.short}, and this job has {ctx.commit.short} checked out",
            remedy="check the same commit out in every job",
        )
    return state if state.report is None else None


def _recorded(ctx: Context, *, back: bool = False) -> RunState | None:
    """What the jobs of this CI run have recorded; None where there is no CI, or nothing yet."""
    if ctx.build is None:
        return None
    try:
        return ctx.ledger.state(_shared_id(ctx, ctx.build, back=back))
    except KeyError:
        return None


def unfinished(ctx: Context, run: str = "") -> RunState | None:
    """The run to be finished, already gone on with; where a CI run has recorded nothing, one that says so.

    Raises:
        SettingsError: there is no run of that name.
    """
    if run:
        state = ctx.ledger.find(ctx.config.name, run)
        if state is None:
            raise SettingsError(f"there is no run {run!r}", remedy="inv history")
        if state.opened.operation:
            raise SettingsError(
                f"{run!r} is a {state.opened.operation} that was asked for alone: there is nothing to finish",
                remedy="inv history",
            )
    elif ctx.build is not None:
        state = _recorded(ctx)
    else:
        state = ctx.ledger.newest(ctx.config.name, lambda one: one.report is None, 20)
        if state is None:
            return None
    if state is not None:
        _resumed(ctx, state)
        if state.report is None:
            _tested_elsewhere(ctx)
            _local_again(ctx)
    else:
        ctx.commit = ctx.git.commit("HEAD")
        opened(ctx, since="")
    return ctx.state


def deployed(ctx: Context) -> RunState | None:
    """The run that is open, and has deployed something: what it says is live is so, and is not yet verified."""
    last = next(iter(ctx.ledger.history(ctx.config.name, 1)), None)
    return last if last is not None and last.report is None and last.intents else None


def is_shared(ctx: Context, state: RunState) -> bool:
    """Whether the jobs of a CI share it: then it is for them alone."""
    return state.id.startswith(f"{ctx.config.name}-")


def gone_on_with(ctx: Context, state: RunState) -> None:
    """Go on with a run that was left when all of it was live: only its proof and its end are to come.

    Raises:
        Blocked: it was left earlier than that.
    """
    ctx.commit, ctx.only = state.opened.commit, state.opened.services
    _resumed(ctx, state)
    whole = stages.Rollback() if state.opened.back else stages.Deploy()
    if state.recovering is not None or not whole.done(ctx):
        where = ctx.config.flag
        raise Blocked(
            f"run {short(state.id)} of {state.commit.short} was left in the middle of its deploy",
            remedy=f"inv finish{where} completes it or puts back what it changed",
        )
    ctx.view.opened(state.id, ctx.config.name, None if state.opened.back else ctx.commit)
    _local_again(ctx)


def _same(ctx: Context, last: RunState, *, back: bool) -> bool:
    """Whether the last run is the same one, left a short while ago."""
    if is_shared(ctx, last):
        return False
    one = last.opened
    same = (one.commit.id, one.services, one.back, one.promotes) == (ctx.commit.id, ctx.only, back, ctx.promotes)
    return same and (ctx.clock.now() - last.last).total_seconds() < seconds(ctx.config.settings.deadline)


def hold(ctx: Context) -> bool:
    """Take the environment for this run; whether it was taken just now, and not held before.

    Raises:
        LeaseHeld: another run holds it, or has taken it over.
        SettingsError: the store cannot keep two runs apart.
    """
    if ctx.dry:
        return False
    if ctx.tenure.number:
        ctx.tenure.fence()
        return False
    ctx.store.probe()
    patience = ctx.wait or (ctx.config.settings.deadline if ctx.build else "0s")
    known = has_held(ctx.state)
    ctx.tenure.take(within=seconds(patience, "--wait"), known=known, waiting=lambda lease: _waiting(ctx, lease))
    formats.require(ctx.store)  # whoever was waited for may have been of a newer version
    return True


def _settled_or_back(ctx: Context) -> None:
    """See that no run may still be open that nobody can read; a rollback or a backup goes on, whatever was left.

    Raises:
        Damaged: which, and what to do about it.
    """
    forward = not ctx.state.opened.back and ctx.asked != stages.Backup.name
    if forward and (damaged := ctx.ledger.unsettled(ctx.config.name)) is not None:
        raise damaged


def left_behind(ctx: Context) -> list[RunState]:
    """Runs that have held the environment, and that nobody works on any more, since we hold it; newest first.

    Only what the jobs of a CI share is written down before it holds: such a run may still be in its gates, and is left
    behind only when nothing was heard of it for longer than a gate may take.
    """
    silent = seconds(ctx.config.settings.deadline) + stages.BETWEEN_JOBS
    return [
        state
        for state in ctx.ledger.history(ctx.config.name, 10)
        if state.report is None
        and state.id != ctx.state.id
        and (has_held(state) or not is_shared(ctx, state) or (ctx.clock.now() - state.last).total_seconds() > silent)
    ]


def abandon(ctx: Context, state: RunState) -> None:
    """Close a run that nobody goes on with; what it left on its way is stopped by `stages.alone`."""
    gone = Ending(outcome="abandoned", exit_code=Interrupted.exit_code)
    ctx.ledger.close(state, Report(run=state.id, environment=ctx.config.name, **msgspec.structs.asdict(gone)))


def _waiting(ctx: Context, lease: Lease) -> None:
    by = lease.holder
    ctx.view.note(f"waiting for {by.name}{by.of}, seen {age(lease.age)} ago  {by.url}".rstrip())


def has_held(state: RunState) -> bool:
    """Whether the run has got beyond what it may do without holding the environment."""
    return bool(state.intents) or bool(set(state.stages) - {*stages.GATES, stages.Check.name})


def _taken(ctx: Context, stage: Stage, settle: Callable[[Context, RunState], None]) -> None:
    """Take the environment where the stage needs it, and end what was left behind; an operation ends nobody's run."""
    operation = ctx.state.opened.operation
    if not stage.holds or operation == stages.Changes.name or not hold(ctx):
        return
    mark.require_none(stages.half_restored(ctx), ctx.config.flag)  # whoever was waited for may have left it so
    if operation:
        return
    _settled_or_back(ctx)
    for left in left_behind(ctx):
        settle(ctx, left)
    if not has_held(ctx.state):
        ctx.seen = stages.alone(ctx, ctx.checked.targets, holding=True)


def _kept(ctx: Context) -> None:
    """Have the history know of a run that has failed before anything of it was written; what has failed is told either way."""
    try:
        ctx.journal.keep()
    except Interrupted:
        raise
    except DeployError as error:
        ctx.view.note(f"the history does not know of this: {error.message}")


def perform(ctx: Context, stage: Stage, settle: Callable[[Context, RunState], None] = abandon) -> None:
    """Do one stage, unless this run has done it.

    Args:
        settle: ends a run that is found left behind when this one takes the environment.
    """
    failed = next((one for one in ctx.state.stages.values() if one.status is StageStatus.FAILED), None)
    if failed is not None and not ctx.decides:
        raise Blocked(
            f"this run has failed at {failed.stage}: {failed.lines[0]}", remedy="inv finish closes it, and puts it back"
        )
    if stage.done(ctx) and stage.name != ctx.asked:
        ctx.view.ended(ctx.state.stages[stage.name], ago=(ctx.clock.now() - ctx.state.last).total_seconds())
        return
    _taken(ctx, stage, settle)
    ctx.view.began(stage.name)
    began = ctx.clock.monotonic()
    part = () if ctx.decides else ctx.only
    try:
        if stage.name in REFUSABLE and ctx.asked != stages.Backup.name and not ctx.state.opened.operation:
            stages.not_held(ctx)
        result = stage.plan(ctx) if ctx.dry else stage.apply(ctx)
    except DeployError as error:
        if (unknown := stages.not_known(ctx, error)) is not None:
            raise unknown from error
        if not isinstance(error, (Interrupted, LeaseHeld)):  # the run stays open, or is somebody else's by now
            failed = StageResult.of(stage.name, error, ctx.clock.monotonic() - began, part)
            ctx.journal.record("stage", failed)
            if isinstance(error, FAILURES) and not ctx.state.opened.back:
                _kept(ctx)
            ctx.view.ended(failed)
        raise
    ctx.seen = {}
    result = msgspec.structs.replace(result, seconds=round(ctx.clock.monotonic() - began, 3), part=part)
    ctx.journal.record("stage", result)
    ctx.view.ended(result)
