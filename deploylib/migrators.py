"""The programs that migrate: alembic in a child of ours, or another tool by the commands that the settings name.

The child runs with the interpreter that the settings name, because ``env.py`` imports the application. Limits come
through libpq's start-up options: a ``SET`` inside a transaction is lost when that transaction is rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from deploylib import alembic_child, decoded, temporary
from deploylib.config import Config
from deploylib.errors import MigrationFailed, SettingsError, Unreachable
from deploylib.models import Revision, Secret
from deploylib.process import Command, ProgramFailed, Runner
from deploylib.units import seconds, words

__all__ = ["UNCHECKED", "alembic", "listed", "location", "part", "run"]

T = TypeVar("T")

UNCHECKED = (
    "no exact target: the command applies whatever it finds",
    "no transaction for each migration, unless the tool makes one",
    "whether each can be undone",
    "the limits hold only where the tool's driver reads PGOPTIONS, as libpq does; it is not tried again for a lock",
)


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


def alembic(
    config: Config,
    files: Path,
    url: Secret,
    request: Mapping[str, Any],
    *,
    runner: Runner,
    writes: bool,
    timeout: float = 60,
) -> dict[str, Any]:
    """What the child answers to a request, as it is.

    Raises:
        MigrationFailed: it could not run the commit's own code.
        SettingsError: the interpreter has no alembic.
        Unreachable: the database does not answer.
    """
    path, ini = location(config, files)
    limits = config.settings.migrations
    told = {
        "path": path and str(files / path),
        "config": ini,
        "lock_timeout": seconds(limits.lock_timeout),
        "statement_timeout": seconds(limits.statement_timeout),
        "patience": seconds(limits.patience),
        **request,
    }
    with temporary.folder() as place:
        result = place / "result.json"
        try:
            runner.run(
                Command(
                    [config.python, alembic_child.__file__, str(result)],
                    cwd=files,
                    env={**_environment(config, url), "PYTHONPATH": str(files), "PYTHONDONTWRITEBYTECODE": "1"},
                    stdin=msgspec.json.encode(told),
                    timeout=timeout,
                    writes=writes,
                    secrets=_secrets(url),
                    drops=config.withheld,
                    tree=True,
                )
            )
        except ProgramFailed as error:
            raise _explained(error, config) from error
        try:
            found = decoded.json(result.read_bytes(), dict[str, Any])
        except (OSError, decoded.Undecodable) as error:
            raise MigrationFailed(
                "alembic ended without an answer",
                remedy="see whether env.py or a migration ends the program (sys.exit)",
            ) from error
    return found


def part(found: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A part of what the child answers, as what it must be; the empty value of it where that part is not there.

    Raises:
        MigrationFailed: a file says something of another kind, ``tolerates = 5`` for example.
    """
    try:
        return msgspec.convert(found.get(name, ()), kind)
    except msgspec.ValidationError as error:
        raise MigrationFailed(
            f"a revision says something that is not understood: {error}", remedy="correct its file, and commit"
        ) from error


def listed(config: Config, files: Path, url: Secret, *, runner: Runner) -> tuple[Revision, ...]:
    """What is pending of another tool's migrations, as its command prints it, each with the SQL of its file.

    Raises:
        MigrationFailed: the command failed.
    """
    chosen = config.settings.migrations
    done = run(config, files, url, chosen.pending, runner=runner, writes=False)
    sources = sorted(path for path in _matching(files, chosen.files) if path.is_file()) if chosen.files else []
    found = []
    for line in done.splitlines():
        if name := line.strip():
            file = next((one for one in sources if _is_of(name, one.relative_to(files))), None)
            text = file.read_text(encoding="utf-8", errors="replace") if file else ""
            found.append(
                Revision(
                    id=name,
                    sql=text,
                    rendered=file is not None,
                    path=file.relative_to(files).as_posix() if file else "",
                    remarks=tuple(line.strip() for line in text.splitlines() if "deploylib:" in line),
                )
            )
    return tuple(found)


def _matching(files: Path, pattern: str) -> list[Path]:
    try:
        return list(files.glob(pattern))
    except (NotImplementedError, ValueError) as error:  # an absolute one; ``**`` beside other characters
        told = f"migrations.files is {pattern!r}, which is no glob of files of the commit"
        raise SettingsError(told, remedy="write it from the top of the repository: migrations/**/*.sql") from error


def run(
    config: Config, files: Path, url: Secret, line: str, *, runner: Runner, writes: bool, timeout: float = 60
) -> str:
    """Run one of the other tool's commands, without a shell; gives what it printed.

    Raises:
        MigrationFailed: it ended with another code than 0, or not in time.
    """
    environment = _environment(config, url)
    command = Command(
        words(line, "migrations.command and migrations.pending"),
        cwd=files,
        env=environment,
        timeout=timeout,
        writes=writes,
        secrets=_secrets(url),
        drops=config.withheld,
        tree=True,
    )
    try:
        return runner.run(command).text
    except ProgramFailed as error:
        remedy = "correct the migrations or the settings, then inv deploy; the old version still serves"
        raise MigrationFailed(f"{line}: {error.message}", details=error.details[-8:], remedy=remedy) from error


def _is_of(name: str, path: Path) -> bool:
    """Whether a file is a migration's: its name or that of its folder is the migration's, or begins with it."""
    return name in {path.name, path.stem, path.parent.name, path.as_posix()} or path.stem.startswith(f"{name}_")


def _environment(config: Config, url: Secret) -> dict[str, str]:
    limits = config.settings.migrations
    lock, statement = (int(seconds(text) * 1000) for text in (limits.lock_timeout, limits.statement_timeout))
    return {
        "DATABASE_URL": url.reveal(),
        "PGOPTIONS": f"-c lock_timeout={lock} -c statement_timeout={statement}",
        "PGAPPNAME": "deploylib",
        "PGCONNECT_TIMEOUT": "5",
    }


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
