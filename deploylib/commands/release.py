"""Release a commit or a part of it, or go back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from deploylib.commands.restores import finish_restore
from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.models import StageName
from deploylib.models.findings import Scanned
from deploylib.models.results import NOTHING, Report
from deploylib.release import Options, aims

__all__ = [
    "RESTORED",
    "changes",
    "check",
    "deploy",
    "finish",
    "migrate",
    "promote",
    "rollback",
    "scan",
    "tests",
    "verify",
]

RESTORED = "restored"  # the outcome, where nothing but a restore was open


def deploy(
    env: Environment,
    *,
    commit: str = "",
    services: Sequence[str] = (),
    until: str = "",
    skip: Sequence[str] = (),
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
) -> Report:
    """Release a commit: every stage not done yet, up to *until*.

    Args:
        commit: to release; empty: what is checked out, and then nothing may differ from it.
        services: the only ones to deploy; empty: all.
        until: the last stage to do; empty: all of them.
        skip: gates to leave out, for *reason*.
        wait: how long to wait for another run, such as ``10m``; empty: not at all, in CI as long as a run may take.
        dry_run: say what would be done, and send no write.

    Returns:
        The report, whatever the outcome; its ``exit_code`` tells.

    Raises:
        SettingsError: before a run could begin.
    """
    options = Options(
        commit=commit,
        services=tuple(services),
        until=until,
        skip=tuple(skip),
        reason=reason,
        wait=wait,
        dry_run=dry_run,
        asked=StageName.DEPLOY,
    )
    return aims.bring_forward(env, options)


def changes(
    env: Environment,
    *,
    commit: str = "",
    services: Sequence[str] = (),
    skip: Sequence[str] = (),
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
    status: str = "",
) -> Report:
    """Decide which services and migrations a release is about; see `deploy`.

    With a published *status* (address or file) by that and the commit's files alone: without a key.
    """
    if status:
        if services or skip or reason or wait:
            raise SettingsError("--status goes with --commit alone", remedy="inv changes --dry-run, where the keys are")
        return aims.preview_commit(env, commit, status)
    options = Options(
        commit=commit,
        services=tuple(services),
        until=StageName.CHANGES,
        skip=tuple(skip),
        reason=reason,
        wait=wait,
        dry_run=dry_run,
        asked=StageName.CHANGES,
    )
    return aims.bring_forward(env, options)


def migrate(
    env: Environment,
    *,
    commit: str = "",
    services: Sequence[str] = (),
    skip: Sequence[str] = (),
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
    rehearse: bool = False,
) -> Report:
    """Migrate the schema for the commit, after a backup; see `deploy`.

    Args:
        rehearse: in a dry run, on a copy of the newest backup.

    Raises:
        SettingsError: *rehearse* without *dry_run*, or before a run could begin.
    """
    options = Options(
        commit=commit,
        services=tuple(services),
        until=StageName.MIGRATE,
        skip=tuple(skip),
        reason=reason,
        wait=wait,
        dry_run=dry_run,
        rehearse=rehearse,
        asked=StageName.MIGRATE,
    )
    return aims.bring_forward(env, options)


def check(env: Environment, *, commit: str = "", fix: bool = False) -> Report:
    """Check everything a release needs.

    Also what is not committed yet, and where there is no store.

    Args:
        commit: to look at; empty: what lies in the folder.
        fix: first turn autodeploy off where it is on, and try the store by a write.
    """
    options = Options(commit=commit, until=StageName.CHECK, dry_run=True, asked=StageName.CHECK)
    return aims.check_commit(env, options, fix=fix)


def promote(
    env: Environment,
    *,
    source: str | Environment = "staging",
    run: str = "",
    skip: Sequence[str] = (),
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
) -> Report:
    """Bring here exactly the release that another environment has verified and serves.

    Args:
        source: the other environment, or its name; with a *run* of it what that one has left verified.

    Raises:
        Blocked: it serves something else, or is in the middle of a run.
        SettingsError: it was never deployed from here, or the commit is not in this clone.
    """
    other = env.beside(source) if isinstance(source, str) else source.looking()
    options = Options(skip=tuple(skip), reason=reason, wait=wait, dry_run=dry_run)
    return aims.bring_verified(env, other, options, run)


def rollback(
    env: Environment, *, to: str = "", skip: Sequence[str] = (), reason: str = "", wait: str = "", dry_run: bool = False
) -> Report:
    """Restore an earlier verified release as one unit, and verify it.

    Args:
        to: run, commit or deploy to go back to; empty: the last verified release.
        skip: ``schema``, in an emergency, for *reason*.
    """
    return aims.go_back(env, Options(to=to, skip=tuple(skip), reason=reason, wait=wait, dry_run=dry_run))


def finish(env: Environment, *, run: str = "", database: str = "") -> Report:
    """Complete or put back a run, or a restore, left open.

    A lease that another job of the same run holds is acquired, so that the job can do nothing more.

    Args:
        run: its id or the end of it; empty: this CI run's, or the newest one that is open.
        database: see `finish_restore`.

    Raises:
        SettingsError: there is no such run, or nothing was left of what *database* asks for.
        BackupFailed: no backup can be restored; the database stays marked.
    """
    done = finish_restore(env, database)
    report = aims.end_unfinished(env, run)
    if done is None:
        return report
    outcome = RESTORED if report.outcome == NOTHING else report.outcome
    return msgspec.structs.replace(report, outcome=outcome, stages=(done, *report.stages))


def scan(env: Environment, *, commit: str = "", hand_over: bool = False) -> Scanned:
    """Scan a commit.

    Where jobs share a run its verdict is recorded for those after it; with *hand_over* by one of these, which has a key.

    Raises:
        SettingsError: no repository, or no such commit.
    """
    return aims.examine_commit(env, commit, hand_over=hand_over)


def tests(env: Environment, *, hand_over: bool = False) -> Report:
    """Run the product's own tests.

    Where jobs share a run, what comes of them is recorded for those after it.

    Args:
        hand_over: where there is neither key nor store; a job after this one records the result.
    """
    return aims.run_tests(env, hand_over=hand_over)


def verify(env: Environment) -> Report:
    """Have what is live prove itself.

    It is what the open run has deployed, or outside a run what the history says.

    On a person's machine that is the end of the run, as the last stage of ``inv deploy`` is; the jobs of a CI leave it to
    `finish`.
    """
    return aims.prove_live(env)
