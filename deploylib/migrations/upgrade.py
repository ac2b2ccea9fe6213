"""Migrations of the commit that is released: where the schema is, what is pending, and bringing it there.

Each revision of alembic runs in a transaction of its own, with a short limit for locks and another try for those that
are not granted; who holds such a lock is named. Other tools do what their own commands do.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

import msgspec

from deploylib.errors import MigrationFailed
from deploylib.migrations.alembic_child import __main__ as alembic_child
from deploylib.migrations.tools import UNCHECKED, alembic, listed, location, looked, part, run, script_folder
from deploylib.models import Migration, Revision, Secret
from deploylib.models.units import seconds
from deploylib.postgres import sqlstates
from deploylib.settings import Config
from deploylib.system import process

__all__ = ["Applied", "folder", "present", "status", "upgrade"]


CORRECT = "correct the migrations and commit"
FORKED = (
    "alembic merge heads, and commit; or, where two branches are meant, give each a branch_labels of its own in the first "
    "revision of the branch"
)


class Applied(msgspec.Struct, frozen=True):
    """One revision that was applied; more than one try means that it had to wait for a lock.

    Attributes:
        waited_for: the sessions that held the lock.
        dropped: invalid indexes of an earlier try that were removed first.
        lifted: statements after which the limits for locks were off, or longer; they were set again.
    """

    id: str
    title: str
    seconds: float
    tries: int
    waited_for: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ()


def present(config: Config, files: Path) -> bool:
    """Whether the commit has migrations, of whatever tool.

    Raises:
        SettingsError: the settings name a place that the commit does not have.
    """
    return bool(config.settings.migrations.command) or any(location(config, files))


def folder(config: Config, files: Path) -> str:
    """The folder that migrations are written into, of whatever tool; empty where files alone do not say."""
    chosen = config.settings.migrations
    if chosen.command:
        return chosen.files.partition("*")[0].rpartition("/")[0]
    path, ini = location(config, files)
    if not ini:
        return posixpath.normpath(path) if path else ""
    return script_folder(files, ini)


def status(config: Config, files: Path, url: Secret, *, runner: process.Runner, dry: bool = False) -> Migration:
    """Where the schema is and what the commit wants of it; changes nothing.

    Args:
        dry: another tool's list is asked for by a session that may only read; where it needs more, that is told.

    Raises:
        MigrationFailed: alembic cannot read the migrations.
    """
    if config.settings.migrations.command:
        pending, writes = (
            looked(config, files, url, runner=runner) if dry else (listed(config, files, url, runner=runner), "")
        )
        known = all(one.rendered for one in pending)
        return Migration(
            target=pending[-1].id if pending else "",
            pending=pending,
            sql="\n".join(one.sql for one in pending) if known else "",
            unchecked=UNCHECKED,
            notes=(writes,) if writes else (),
        )
    found = alembic(config, files, url, {"command": "status"}, runner=runner, writes=False)
    if "error" in found:
        raise MigrationFailed(found["error"], remedy=FORKED if " heads, of which " in found["error"] else CORRECT)
    return Migration(
        current=found["current"],
        target=found["target"],
        pending=part(found, "pending", tuple[Revision, ...]),
        applied=part(found, "had", tuple[Revision, ...]),
        ahead=found["ahead"],
        versions=found.get("versions", ""),
        sql=found.get("sql", ""),
    )


def upgrade(
    config: Config, files: Path, url: Secret, target: str, *, runner: process.Runner, within: float
) -> tuple[Applied, ...]:
    """Bring the schema to exactly *target*, each revision in a transaction of its own.

    A lock that is not granted is tried again, with growing pauses, for at most *within* seconds.

    Raises:
        MigrationFailed: a revision failed; those before it are applied and stay.
    """
    limits = config.settings.migrations
    timeout = within + 60 + 6 * seconds(limits.statement_timeout) + seconds(limits.patience)
    if limits.command:
        return _commanded(config, files, url, runner=runner, timeout=timeout)
    request = {"command": "upgrade", "target": target, "within": within}
    found = alembic(config, files, url, request, runner=runner, writes=True, timeout=timeout)
    if "failed" in found:
        raise _failed(found)
    if "error" in found:
        raise MigrationFailed(found["error"], remedy=CORRECT)
    if found["current"] != target and not found["ahead"]:
        raise MigrationFailed(
            f"after the migrations the schema is at {found['current'] or 'nothing'}, not at {target}",
            remedy="look at env.py: it may run against another database or swallow an error",
        )
    return part(found, "applied", tuple[Applied, ...])


def _commanded(
    config: Config, files: Path, url: Secret, *, runner: process.Runner, timeout: float
) -> tuple[Applied, ...]:
    before = listed(config, files, url, runner=runner)
    run(config, files, url, config.settings.migrations.command, runner=runner, writes=True, timeout=timeout)
    if left := listed(config, files, url, runner=runner):
        raise MigrationFailed(
            f"after the migrations {left[0].id} is still pending",
            remedy="run the command by hand: it may go to another database, or swallow an error",
        )
    return tuple(Applied(id=one.id, title=one.title, seconds=0.0, tries=1) for one in before)


def _failed(found: dict[str, Any]) -> MigrationFailed:
    """What came of the revision that failed, who stood in its way, and what to do."""
    details = [*found["error"].splitlines(), *(f"in its way: {one}" for one in found.get("waited_for", ()))]
    where = f"the schema is at {found['current'] or 'nothing'}"
    if half := found.get("half", ()):
        return MigrationFailed(
            f"migration {found['failed']} failed half way; {where}, and what its autocommit_block has done stays",
            details=(*details, *(f"done: {' '.join(text.split())[:100]}" for text in half)),
            remedy="undo that, or write it so that it can be done twice (if_not_exists=True); then inv deploy",
        )
    if found.get("sqlstate") in alembic_child.WAITING_FOR_A_LOCK:
        blockers = found.get("waited_for", ())
        held = f", held by {blockers[0]}" if blockers else ""
        return MigrationFailed(
            f"migration {found['failed']} did not get its lock in {found['tries']} tries{held}; {where}",
            details=tuple(details),
            remedy="end the session that holds the lock (select * from pg_stat_activity), then inv deploy",
        )
    step = "correct the migration, commit, inv deploy; the old version still serves"
    if sqlstates.is_of_the_server(state := found.get("sqlstate")):
        step = f"{sqlstates.remedy(state, found['error'])} (inv deploy; the old version still serves)"
    return MigrationFailed(f"migration {found['failed']} failed; {where}", details=tuple(details), remedy=step)
