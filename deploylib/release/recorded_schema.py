"""What the runs of the history tell of the schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from deploylib.models import UNKNOWN, Migration, Revision, StageName
from deploylib.state import RunState

__all__ = ["continue_migration", "find_schema_after", "find_served_schemas", "list_recorded"]


def find_served_schemas(history: Sequence[RunState]) -> dict[str, set[tuple[str, str]]]:
    """Find the schemas of the code that served each migration.

    A service that has not changed for long serves with many a migration that is newer than it.

    Args:
        history: the runs of the environment, newest first.

    Returns:
        of each revision the services and the schemas that their code was written for; a service that is empty: any.
    """
    schemas: dict[str, set[tuple[str, str]]] = {}
    for number, state in enumerate(history):
        if not state.has_done(StageName.MIGRATE):
            continue
        before = next((older.release for older in history[number + 1 :] if older.release), ())
        served = {(one.service, one.schema) for one in (*before, *state.release) if one.schema not in {"", UNKNOWN}}
        for revision in state.planned.migration.pending:
            schemas.setdefault(revision.id, {("", state.planned.migration.current), *served})
    return schemas


def find_schema_after(state: RunState) -> str:
    """Find the schema that a run was verified with.

    Empty: it has not looked at one.
    """
    migration = state.planned.migration
    return migration.target if migration.pending and state.has_done(StageName.MIGRATE) else migration.current


def list_recorded(history: Iterable[RunState]) -> tuple[Revision, ...]:
    """List what another tool has applied, by the history.

    Oldest first; nobody can ask the tool.

    Args:
        history: the runs of the environment, newest first.
    """
    recorded: dict[str, Revision] = {}
    for state in reversed(list(history)):
        if (migration := state.planned.migration).unchecked:
            recorded |= {one.id: one for one in migration.applied}
            recorded |= {one.id: one for one in migration.pending if state.has_done("migrate")}
    return tuple(msgspec.structs.replace(one, sql="") for one in recorded.values())


def continue_migration(migration: Migration, history: Sequence[RunState], files: Path) -> Migration:
    """Add what the history knows to another tool's migration.

    The tool lists only what is pending.

    A command that failed half-way has applied some all the same: those that it no longer lists, and that are still there.
    """
    waiting = {one.id for one in migration.pending}
    last = next((state for state in history if state.planned.migration.pending), None)
    tried = last.planned.migration.pending if last is not None and "migrate" in last.stages else ()
    there = [one for one in tried if one.path and (files / one.path).is_file()]
    applied = {one.id: one for one in (*list_recorded(history), *there) if one.id not in waiting}
    current = next(reversed(applied), "")
    return msgspec.structs.replace(
        migration, current=current, target=migration.target or current, applied=tuple(applied.values())
    )
