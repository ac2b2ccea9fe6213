"""Migrations: alembic in a child process, on the files of the commit that is released.

The child runs with the interpreter that the settings name, because ``env.py`` imports the application. Limits come
through libpq's start-up options: a ``SET`` inside a transaction is lost when that transaction is rolled back.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from deploylib import alembic_child
from deploylib.config import Config
from deploylib.errors import MigrationFailed, SettingsError, Unreachable
from deploylib.models import Migration, Revision, Secret
from deploylib.process import Command, ProgramFailed, Runner
from deploylib.units import seconds

__all__ = ["Applied", "location", "status", "upgrade"]


class Applied(msgspec.Struct, frozen=True):
    """One revision that was applied; more than one try means that it had to wait for a lock."""

    id: str
    title: str
    seconds: float
    tries: int


def location(config: Config, files: Path) -> tuple[str, str]:
    """Where alembic's scripts are in *files*: ``(script folder, ini file)``, one of them empty; both: no migrations.

    Raises:
        SettingsError: the settings name a place that the commit does not have.
    """
    chosen = config.settings.migrations
    for name, value in (("path", chosen.path), ("config", chosen.config)):
        if value and not (files / value).exists():
            raise SettingsError(
                f"migrations.{name} is {value!r}, which the commit does not have", remedy="correct it in the settings"
            )
    if chosen.config or (not chosen.path and (files / "alembic.ini").exists()):
        return "", chosen.config or "alembic.ini"
    if chosen.path or (files / "migrations" / "env.py").exists():
        return chosen.path or "migrations", ""
    return "", ""


def status(config: Config, files: Path, url: Secret, *, runner: Runner) -> Migration:
    """Where the schema is and what the commit wants of it; changes nothing.

    Raises:
        MigrationFailed: alembic cannot read the migrations.
    """
    found = _child(config, files, url, {"command": "status"}, runner=runner, writes=False)
    return Migration(
        current=found["current"],
        target=found["target"],
        pending=tuple(Revision(**revision) for revision in found["pending"]),
        applied=tuple(Revision(**revision) for revision in found.get("had", ())),
        ahead=found["ahead"],
        sql=found.get("sql", ""),
    )


def upgrade(
    config: Config, files: Path, url: Secret, target: str, *, runner: Runner, within: float
) -> tuple[Applied, ...]:
    """Bring the schema to exactly *target*, each revision in a transaction of its own.

    A lock that is not granted is tried again, with growing pauses, for at most *within* seconds.

    Raises:
        MigrationFailed: a revision failed; those before it are applied and stay.
    """
    request = {"command": "upgrade", "target": target, "within": within}
    found = _child(
        config,
        files,
        url,
        request,
        runner=runner,
        writes=True,
        timeout=within + 60 + 6 * _ms(config.settings.migrations.statement_timeout) / 1000,
    )
    applied = tuple(Applied(**revision) for revision in found["applied"])
    if found["current"] != target and not found["ahead"]:
        raise MigrationFailed(
            f"after the migrations the schema is at {found['current'] or 'nothing'}, not at {target}",
            remedy="look at env.py: it may run against another database or swallow an error",
        )
    return applied


def _child(
    config: Config,
    files: Path,
    url: Secret,
    request: dict[str, Any],
    *,
    runner: Runner,
    writes: bool,
    timeout: float = 60,
) -> dict[str, Any]:
    path, ini = location(config, files)
    limits = config.settings.migrations
    options = f"-c lock_timeout={_ms(limits.lock_timeout)} -c statement_timeout={_ms(limits.statement_timeout)}"
    environment = {
        "DATABASE_URL": url.reveal(),
        "PGOPTIONS": options,
        "PGAPPNAME": "deploylib",
        "PGCONNECT_TIMEOUT": "5",
        "PYTHONPATH": str(files),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with tempfile.NamedTemporaryFile(prefix="deploylib-", suffix=".json") as result:
        try:
            runner.run(
                Command(
                    [config.python, alembic_child.__file__, result.name],
                    cwd=files,
                    env=environment,
                    stdin=msgspec.json.encode({"path": path and str(files / path), "config": ini, **request}),
                    timeout=timeout,
                    writes=writes,
                    secrets=_secrets(url),
                )
            )
        except ProgramFailed as error:
            raise _explained(error, config) from error
        found: dict[str, Any] = msgspec.json.decode(Path(result.name).read_bytes())
    if "failed" in found:
        lines = tuple(found["error"].splitlines())
        waited = found.get("sqlstate") in alembic_child.WAITING_FOR_A_LOCK
        why = f"did not get its lock in {found['tries']} tries" if waited else "failed"
        raise MigrationFailed(
            f"migration {found['failed']} {why}; the schema is at {found['current'] or 'nothing'}",
            details=lines,
            remedy="correct the migration, commit, inv deploy; the old version still serves"
            if not waited
            else "end the session that holds the lock (select * from pg_stat_activity), then inv deploy",
        )
    if "error" in found:
        raise MigrationFailed(found["error"], remedy="correct the migrations and commit")
    return found


def _explained(error: ProgramFailed, config: Config) -> MigrationFailed | SettingsError | Unreachable:
    said = "\n".join(error.details)
    if "No module named 'alembic'" in said:
        return SettingsError(
            f"{config.python} has no alembic", remedy="pip install 'deploylib[postgres]', or set migrations.python"
        )
    if "connection failed" in said or "could not connect" in said:
        return Unreachable("the migrations cannot reach the database", remedy="inv check says why")
    return MigrationFailed(
        "alembic could not run the migrations of this commit",
        details=error.details[-8:],
        remedy="run it by hand against a copy of the database; what env.py imports must be installed",
    )


def _secrets(url: Secret) -> tuple[Secret, ...]:
    """The URL, and the password in it by itself."""
    password = url.reveal().partition("://")[2].rpartition("@")[0].partition(":")[2]
    return (url, *((Secret(password),) if password else ()))


def _ms(text: str) -> int:
    return int(seconds(text) * 1000)
