"""A backup that was asked for by itself, where a release goes on from it."""

from __future__ import annotations

from deploylib.backups import repository
from deploylib.models import Backup, Migration
from deploylib.models.results import StageStatus
from deploylib.models.units import seconds
from deploylib.release.run import Run
from deploylib.state import RunState

__all__ = ["backup_for_release"]

LAST = 20  # operations that are looked at


def backup_for_release(run: Run) -> Backup | None:
    """The backup of ``inv backup``, typed before this very release: no second one is made of what it holds.

    As long ago at most as a run may take, of the same commit and the same schema, with the same migrations rehearsed on it;
    and nothing was restored, deployed or migrated since.
    """
    if run.env.build is not None:
        return None
    done = list(run.env.history.read_operations(run.env.name, LAST))
    asked = next((one for one in done if one.opened.operation == "backup"), None)
    if asked is None or asked.report is None or asked.report.exit_code:
        return None
    if any(one.opened.operation == "restore" and (one.report is None or one.last > asked.last) for one in done):
        return None
    elapsed = (run.env.clock.now() - asked.last).total_seconds()
    made, result = asked.backed_up.backup, asked.stages.get("backup")
    if made is None or result is None or result.status is not StageStatus.DONE or _changed_since(run, asked):
        return None
    same = asked.opened.commit.id == run.commit.id and elapsed < seconds(run.env.config.settings.deadline)
    if not same or _schema(asked.planned.migration) != _schema(run.planned.migration):
        return None
    kept = repository.listing(run.env.store, run.env.name)
    return next((one for one in kept if one.id == made.id), None)


def _schema(migration: Migration) -> tuple[str, str, tuple[str, ...]]:
    return migration.current, migration.target, tuple(one.id for one in migration.pending)


def _changed_since(run: Run, asked: RunState) -> bool:
    """Whether a run has migrated or deployed since."""
    runs = run.env.history.read_runs(run.env.name, LAST)
    return any(one.last > asked.last and (one.intents or one.done("migrate")) for one in runs if one.id != run.id)
