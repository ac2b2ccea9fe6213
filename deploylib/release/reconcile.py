"""Conclude a run that another command has left.

Completed, put back, or closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from deploylib.environment import BETWEEN_JOBS, Environment
from deploylib.errors import DeployError, Interrupted, LeaseHeld, NotKnownYet
from deploylib.models import StageName
from deploylib.models.results import NOTHING, SUPERSEDED, Ending, Report, short
from deploylib.models.units import seconds
from deploylib.release import closing
from deploylib.release.database import require_whole
from deploylib.release.guards import require_alone
from deploylib.release.opening import is_shared, take_up
from deploylib.release.recovery import recover_run
from deploylib.release.run import Options, Run, Stage
from deploylib.release.stages.own import require_registered
from deploylib.release.step import EndedMeanwhile, acquire_lease, find_failed_stage, has_needed_lease, perform
from deploylib.state import Lease, RunState

__all__ = ["enter", "finish_run", "settle"]

FlowOf = Callable[[Run], Sequence[Stage]]
CLOSING = (StageName.DEPLOY, StageName.VERIFY)


def conclude(run: Run, flow: Sequence[Stage]) -> Ending:
    """Decide how a run of others ends, and end it.

    Raises:
        Interrupted: it stays open.
        NotKnownYet: likewise; platform or store stopped answering.
        LeaseHeld: another command has taken it over.
    """
    if run.state.recovering is not None:
        return recover_run(run, run.state.recovering)
    failed = find_failed_stage(run)
    if failed is not None and failed.failure is not None:
        return recover_run(run, failed.failure)
    if run.planned.superseded:
        return Ending(outcome=SUPERSEDED)
    if run.state.has_done(StageName.CHANGES) and run.planned.nothing:
        return Ending(outcome=NOTHING)
    require_registered(run, flow)
    missing = [stage for stage in flow if not stage.is_done(run)]
    first = next(place for place, stage in enumerate(flow) if stage.name in CLOSING)
    left = [name for name in run.planned.changes.deploying if name not in run.state.shipped]
    begun = run.back and run.state.intents  # a rollback that has begun is only ever completed
    if not begun and (left or any(stage in flow[:first] for stage in missing)):
        where = ", ".join(left) or missing[0].name
        anew = "run the workflow again" if run.env.build is not None else f"inv deploy{run.env.flag} releases it anew"
        return recover_run(run, closing.abandon(f"the run ended at {where}, and nobody recorded why", anew))
    try:
        for stage in missing:
            acquire_lease(run)  # it is ours already: see that it still is
            perform(run, stage)
    except (Interrupted, LeaseHeld, NotKnownYet):
        raise
    except DeployError as error:
        return recover_run(run, Ending.of(error))
    return Ending()


def finish_run(run: Run, flow: Sequence[Stage]) -> Report:
    """End a run that others have left.

    Complete it where everything is live, else put back what it changed.

    Raises:
        LeaseHeld: another run holds the lease.
        Interrupted: the run stays open.
    """
    began = run.env.clock.monotonic()
    try:
        if has_needed_lease(run.state):
            acquire_lease(run)
        return closing.close(run, conclude(run, flow), began)
    except EndedMeanwhile as ended:
        run.lease.release()
        return ended.report
    except NotKnownYet as error:
        return closing.leave_open(run, error, began)
    except Interrupted:
        run.lease.abandon()
        raise


def enter(run: Run, flow_of: FlowOf) -> None:
    """Acquire the lease, and settle what was left.

    An operation ends nobody's run, and what is being put back is put back first.
    """
    if not acquire_lease(run) or run.state.recovering is not None:
        return
    require_whole(run.env)  # whoever was waited for may have left it so
    if run.state.opened.operation:
        return
    settle_left_behind(run, flow_of)
    if not has_needed_lease(run.state):
        run.seen = require_alone(run, run.checked.targets, leased=True)


def settle_left_behind(run: Run, flow_of: FlowOf) -> None:
    """End each run that was left half-way, before this one changes anything.

    A rollback itself says what shall be live, and a backup changes nothing: both go on, whatever was left.

    Args:
        flow_of: the stages by which a run that was left is concluded.

    Raises:
        Damaged: a run may still be open that nobody can read, and what to do about it.
    """
    env = run.env
    if not run.back and run.releases and (damaged := env.history.find_unreadable(env.name)) is not None:
        raise damaged
    settle(env, run.lease, flow_of, ours=run.id, back=run.back)


def settle(env: Environment, lease: Lease, flow_of: FlowOf, *, ours: str = "", back: bool = False) -> None:
    """End what was left half-way, under a lease.

    Args:
        ours: the run that does, which is not left behind.
        back: it is a rollback, which says itself what shall be live.
    """
    for left in _left_behind(env, ours):
        _settle(env, left, lease, flow_of, back=back)


def _left_behind(env: Environment, ours: str) -> list[RunState]:
    """List the runs that nobody works on any more.

    They have needed the lease, which we hold; newest first.

    Only what the jobs of a CI share is written down before it needs the lease: such a run may still be in its gates, and is
    left behind only when nothing was heard of it for longer than a gate may take.
    """
    silent = seconds(env.config.settings.deadline) + BETWEEN_JOBS
    return [
        state
        for state in env.history.read_runs(env.name, 10)
        if state.report is None
        and state.id != ours
        and (
            has_needed_lease(state)
            or not is_shared(env, state)
            or (env.clock.now() - state.last).total_seconds() > silent
        )
    ]


def _settle(env: Environment, left: RunState, lease: Lease, flow_of: FlowOf, *, back: bool) -> None:
    if not left.intents or back:
        gone = closing.abandon()
        env.history.close(left, Report(run=left.id, environment=env.name, **msgspec.structs.asdict(gone)))
        return
    env.progress.note(f"run {short(left.id)} of {left.commit.short} was left half-way: it is ended first")
    began = env.clock.monotonic()
    other = take_up(env, Options(services=left.opened.services), left, lease=lease)
    report = closing.close(other, conclude(other, flow_of(other)), began, keep=True)
    env.progress.note(f"run {short(left.id)}: {report.outcome}")
