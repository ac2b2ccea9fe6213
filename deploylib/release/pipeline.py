"""A whole release at one glance.

The stages in order, and what becomes of a failure.

Before the first deploy is asked for, a failure stops the run and nothing that serves has changed. From then on it is put
back: only what this run changed, at most once. A signal never rolls back: the run stays open and goes on later.
On one machine one command does all of it. The jobs of a CI only record; `finish_run` is their last, and alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from deploylib.errors import DeployError, Interrupted, LeaseHeld, NotKnownYet
from deploylib.models import StageName
from deploylib.models.results import NOTHING, SUPERSEDED, Ending, Report
from deploylib.release import closing
from deploylib.release.reconcile import enter
from deploylib.release.recovery import recover_run
from deploylib.release.run import Run, Stage
from deploylib.release.stages import backup, changes, check, deploy, loadtest, migrate, rollback, scan, tests, verify
from deploylib.release.stages.own import require_registered, with_own_steps
from deploylib.release.step import EndedMeanwhile, has_needed_lease, is_left, perform
from deploylib.settings import Config

__all__ = ["BACK", "FORWARD", "bring_to_an_end", "flow_of", "forward"]

FORWARD: tuple[Stage, ...] = (
    check.Check(),
    tests.Tests(),
    scan.Scan(),
    changes.Changes(),
    backup.Backup(),
    migrate.Migrate(),
    deploy.Deploy(),
    verify.Verify(),
    loadtest.LoadTest(),
)
BACK: tuple[Stage, ...] = (check.Check(), rollback.Rollback(), verify.Verify())
CHANGING = {None, StageName.DEPLOY, StageName.MIGRATE}  # who asks for another stage may still have something to do


def forward(config: Config) -> tuple[Stage, ...]:
    """List the stages of a release, with own steps.

    A load test is one of them only where the environment has a rate for it.
    """
    left_out = () if config.environment.loadtest.rate else (StageName.LOADTEST,)
    return tuple(stage for stage in with_own_steps(FORWARD) if stage.name not in left_out)


def flow_of(run: Run) -> tuple[Stage, ...]:
    """List the stages of a whole run, forward or back."""
    return BACK if run.back else forward(run.env.config)


def bring_to_an_end(run: Run, flow: Sequence[Stage], *, paused_at: str = "") -> Report:
    """Do the stages left, up to *paused_at*, and report."""
    began = run.env.clock.monotonic()
    try:
        return closing.close_or_pause(run, _carry_out(run, flow, paused_at), began)
    except EndedMeanwhile as ended:
        run.lease.release()
        return ended.report
    except NotKnownYet as error:
        return closing.leave_open(run, error, began)
    except Interrupted as error:
        return closing.stop(run, error, began)
    except LeaseHeld as error:
        # Another command is at work in this very run, or has taken it over: what becomes of it is not ours to say.
        run.decides = run.decides and not has_needed_lease(run.state)
        return closing.close_or_pause(run, Ending.of(error), began)


def _carry_out(run: Run, flow: Sequence[Stage], paused_at: str) -> Ending:
    """Do the stages.

    From the commit point on, a failure is put back by the command that decides.
    """
    try:
        needs_lease = run.state.recovering is not None or any(stage.needs_lease for stage in flow)
        if run.decides and has_needed_lease(run.state) and needs_lease:
            enter(run, flow_of)  # another command may be at work in it, or have gone on with it
        if run.decides and run.state.recovering is not None:
            return recover_run(run, run.state.recovering)
        require_registered(run, forward(run.env.config))
        for stage in flow:
            if is_left(run, stage):
                if stage.needs_lease and run.state.opened.operation != StageName.CHANGES:
                    enter(run, flow_of)
                perform(run, stage)
            if stage.name == StageName.CHANGES and (end := _nothing_to_do(run)) is not None:
                return end
    except (Interrupted, LeaseHeld, NotKnownYet):
        raise
    except DeployError as error:
        if (unknown := closing.explain_unknown(run, error)) is not None:
            raise unknown from error
        end = Ending.of(error)
        return recover_run(run, end) if run.decides else end
    return closing.ending(run, paused_at)


def _nothing_to_do(run: Run) -> Ending | None:
    """End a run that has nothing to do.

    A backup may be due all the same.
    """
    if run.planned.superseded:
        return Ending(outcome=SUPERSEDED)
    return Ending(outcome=NOTHING) if run.planned.nothing and run.options.asked in CHANGING else None
