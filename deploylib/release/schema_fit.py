"""Whether an earlier release goes with the schema as it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from deploylib.environment import Environment
from deploylib.errors import DeployError, Interrupted, MigrationFailed, SettingsError
from deploylib.migrations import Tool, compatibility
from deploylib.models import Checked, Kind, Live, Migration, Secret, StageName, Target
from deploylib.postgres import connection
from deploylib.release import recorded_schema
from deploylib.release.database import database_of
from deploylib.state import RunState

__all__ = ["compare_schema", "schema_now"]


def compare_schema(
    targets: Sequence[Target],
    release: RunState,
    history: list[RunState],
    database: Migration | str,
    live: Mapping[str, Live],
) -> compatibility.Fit:
    """Compare a release with a schema, or an unknown one.

    Code that was verified with this very schema goes with it, whatever is recorded of it.
    """
    stays = {one.service for one in release.release if one.service in live and one.commit == live[one.service].commit}
    stays |= {target.name for target in targets if target.kind is Kind.STATIC}
    needs = [one for one in release.release if one.commit and one.service not in stays]
    if isinstance(database, str):
        return compatibility.Fit(unknown=(database,) if needs else ())
    if not database.current and not any(one.schema for one in needs):
        return compatibility.Fit()  # neither the database nor the code knows of any
    same = bool(database.current) and recorded_schema.find_schema_after(release) == database.current
    proven = {one.service for one in needs if same}
    return compatibility.fit(needs, database, recorded_schema.find_served_schemas(history), needless=proven)


def schema_now(env: Environment, checked: Checked, history: list[RunState]) -> Migration | str:
    """Read where the database is, or say why nobody knows.

    It is read with the files of the newest commit that has migrated it, which knows every revision; what another tool has
    applied, the history tells.
    """
    if env.config.exported:
        return "the database is not opened from here"
    try:
        url = database_of(env, checked)
        if url is None:
            return Migration()
        if env.config.settings.migrations.command:
            applied = recorded_schema.list_recorded(history)
            current = applied[-1].id if applied else ""
            return Migration(current=current, applied=applied, unchecked=Tool.unchecked)
        return _read(env, url, history)
    except Interrupted:
        raise
    except DeployError as error:
        return error.message


def _read(env: Environment, url: Secret, history: list[RunState]) -> Migration:
    """Read where the database is, by alembic.

    By its own table alone where the commit's migrations cannot be read.
    """
    migrated = (
        state.opened.commit.id
        for state in history
        if state.has_done(StageName.MIGRATE) and state.planned.migration.pending
    )
    commit = next((each for each in migrated if env.git.has(each)), env.git.commit("HEAD").id)
    with suppress(MigrationFailed, SettingsError), env.git.export(commit) as files:
        tool = Tool(files, env.config, env.runner)
        if tool.has_migrations:
            return tool.read_status(url)
    return Migration(current=connection.facts(url).revision, ahead=True)
