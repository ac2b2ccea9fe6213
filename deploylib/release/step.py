"""Do one stage of a run, under its lease, and record it."""

from __future__ import annotations

import msgspec

from deploylib.errors import (
    BackupFailed,
    Blocked,
    DeployError,
    Interrupted,
    LeaseHeld,
    MigrationFailed,
    NotExamined,
    NotKnownYet,
    Unreachable,
)
from deploylib.models import StageName
from deploylib.models.results import Report, StageResult, StageStatus, short
from deploylib.models.units import seconds
from deploylib.release.closing import explain_unknown
from deploylib.release.guards import GATES, require_not_held
from deploylib.release.run import Run, Stage
from deploylib.state import LeaseState, RunState
from deploylib.store import format_version
from deploylib.system import files

__all__ = ["EndedMeanwhile", "acquire_lease", "find_failed_stage", "has_needed_lease", "is_left", "perform"]

REFUSABLE = {StageName.CHECK, StageName.CHANGES, StageName.MIGRATE, StageName.DEPLOY, StageName.ROLLBACK}
WITHOUT_LEASE = {*GATES, StageName.CHECK}
# What a commit has failed by, and not what somebody has typed, who has the lease, or whom nobody could ask.
FAILURES = (Blocked, NotExamined, BackupFailed, MigrationFailed)


class EndedMeanwhile(Exception):
    """Another command has ended the run meanwhile."""

    def __init__(self, report: Report) -> None:
        """Say what the run came to."""
        super().__init__(report.outcome)
        self.report = report


def acquire_lease(run: Run) -> bool:
    """Acquire the environment's lease for this run.

    Tell whether it was acquired just now, and not before. Of a run that is gone on with, what another command has
    done while it held the lease is read first.

    Raises:
        EndedMeanwhile: that command has ended the run.
        NotKnownYet: what it has done cannot be read.
        LeaseHeld: another run holds it, or has taken it over.
        SettingsError: the store cannot keep two runs apart.
    """
    env, options = run.env, run.options
    if options.dry_run:
        return False
    if run.lease.number:
        run.lease.fence()
        return False
    env.store.probe()
    patience = options.wait or (env.config.settings.deadline if env.build else "0s")

    def waiting(lease: LeaseState) -> None:
        by = lease.holder
        env.progress.note(f"waiting for {by.name}{by.of}, seen {lease.seen}  {by.url}".rstrip())

    resumed = has_needed_lease(run.state)
    run.lease.acquire(within=seconds(patience, "--wait"), known=resumed, waiting=waiting)
    format_version.require(env.store)  # whoever was waited for may have been of a newer version
    if resumed and run.decides:
        try:
            run.journal.read_again()
        except (Unreachable, files.Unwritable) as error:  # what another has done is not known, so nothing is put back
            raise explain_unknown(run, error) or NotKnownYet(error.message, remedy=error.remedy) from error
        if run.state.report is not None:
            env.progress.note(f"another command has ended run {short(run.id)} meanwhile: {run.state.report.outcome}")
            raise EndedMeanwhile(run.state.report)
    return True


def has_needed_lease(state: RunState) -> bool:
    """Tell whether a run has passed what needs no lease."""
    return bool(state.intents) or bool(set(state.stages) - WITHOUT_LEASE)


def find_failed_stage(run: Run) -> StageResult | None:
    """Find the stage that has failed in this run."""
    return next(
        (
            each
            for each in run.state.stages.values()
            if each.status is StageStatus.FAILED and not (each.failure is None and run.state.has_done(StageName.VERIFY))
        ),
        None,
    )


def is_left(run: Run, stage: Stage) -> bool:
    """Tell whether the stage is still to be done.

    Or was asked for by name; what is done is told again.

    Raises:
        Blocked: the run has failed in another job.
    """
    failed = find_failed_stage(run)
    if failed is not None and not run.decides:
        raise Blocked(
            f"this run has failed at {failed.stage}: {failed.lines[0]}", remedy="inv finish closes it, and puts it back"
        )
    if not stage.is_done(run) or stage.name == run.options.asked:
        return True
    ago = (run.env.clock.now() - run.state.last).total_seconds()
    run.env.progress.ended(run.state.stages[stage.name], ago=ago)
    return False


def perform(run: Run, stage: Stage) -> None:
    """Do one stage, and record what comes of it.

    Raises:
        NotKnownYet: after the commit point nobody answered.
        DeployError: the stage has failed, which is recorded.
    """
    env = run.env
    env.progress.began(stage.name)
    run.telling.begin(stage.name)
    began = env.clock.monotonic()
    part = () if run.decides else run.services
    try:
        if stage.name in REFUSABLE and run.releases:
            require_not_held(run)
        result = stage.plan(run) if run.options.dry_run else stage.apply(run)
    except DeployError as error:
        if (unknown := explain_unknown(run, error)) is not None:
            raise unknown from error
        if not isinstance(error, (Interrupted, LeaseHeld)):  # the run stays open, or is another command's by now
            failed = StageResult.of(stage.name, error, env.clock.monotonic() - began, part)
            run.telling.is_done = True
            run.record("stage", failed)
            if isinstance(error, FAILURES) and not run.back:
                _keep(run)
            env.progress.ended(failed)
        raise
    result = msgspec.structs.replace(result, seconds=round(env.clock.monotonic() - began, 3), part=part)
    run.seen = {}
    run.telling.is_done = True
    run.record("stage", result)
    env.progress.ended(result)


def _keep(run: Run) -> None:
    """Record a run that failed before anything was written.

    What has failed is told either way.
    """
    try:
        run.journal.keep()
    except Interrupted:
        raise
    except DeployError as error:
        run.env.progress.note(f"the history does not know of this: {error.message}")
