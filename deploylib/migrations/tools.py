"""The programs that migrate: alembic in a child of ours, or another tool by the commands that the settings name.

The child runs with the interpreter that the settings name, because ``env.py`` imports the application. Limits come
through libpq's start-up options: a ``SET`` inside a transaction is lost when that transaction is rolled back.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from deploylib.errors import MigrationFailed, SettingsError, Unreachable
from deploylib.migrations.alembic_child import __main__ as alembic_child
from deploylib.migrations.alembic_settings import INI, TOML, configures, scripts, together
from deploylib.models import Revision, Secret, decoding
from deploylib.models.units import seconds, words
from deploylib.settings import Config
from deploylib.system import files as disk
from deploylib.system import process

__all__ = ["UNCHECKED", "alembic", "cause", "listed", "location", "looked", "part", "run", "script_folder"]

T = TypeVar("T")
READ_ONLY = "read-only transaction"  # of SQLSTATE 25006, which a tool need not tell
LONGEST = 300
CORRECT = "correct the migrations or the settings, then inv deploy; the old version still serves"
LACKING = re.compile(r"ERR_MODULE_NOT_FOUND|Cannot find (?:module|package) '|No module named '")
INSTALL = (
    "it runs in a fresh checkout, where nothing is installed: let the command install first what it needs, for example "
    "sh -c 'cd api && npm ci --silent >&2 && …' (docs/migrations.md)"
)

UNCHECKED = (
    "no exact target: the command applies whatever it finds",
    "no transaction for each migration, unless the tool makes one",
    "whether each can be undone",
    "the limits hold only where the tool's driver reads PGOPTIONS, as libpq does; it is not tried again for a lock",
)


def location(config: Config, files: Path) -> tuple[str, str]:
    """Where alembic's scripts are in *files*: ``(script folder, ini or pyproject.toml)``, one of them empty; both: no migrations.

    Raises:
        SettingsError: the settings name a place that the commit does not have.
    """
    chosen = config.settings.migrations
    for name, value in (("path", chosen.path), ("config", chosen.config)):
        if value and not (files / value).exists():
            raise SettingsError(
                f"migrations.{name} is {value!r}, which the commit does not have", remedy="correct it in the settings"
            )
    if chosen.config:
        return "", chosen.config
    found = next((name for name in (INI, TOML) if not chosen.path and configures(files / name)), "")
    if found or not (chosen.path or (files / "migrations" / "env.py").exists()):
        return "", found
    return chosen.path or "migrations", ""


def script_folder(files: Path, ini: str) -> str:
    """Where an ini says that alembic's scripts are, as the commit names it; empty where files alone do not say."""
    found, elsewhere = scripts(files, ini)
    if not found or ":" in found or " " in found or elsewhere:
        return ""
    home = _home(files, ini).relative_to(files)
    where = posixpath.normpath(found.replace("%(here)s", posixpath.dirname(ini) or "."))
    if "%(here)s" not in found:
        where = posixpath.normpath(posixpath.join(home.as_posix(), found))
    return "" if where in {".", ".."} or where.startswith(("../", "/")) else where


def _home(files: Path, ini: str) -> Path:
    """The folder that alembic is run in: the ini's, which its relative paths are meant from, unless its scripts are not."""
    if not ini:
        return files
    home, (found, _) = (files / ini).parent, scripts(files, ini)
    relative = found and not re.search(r"[%:\s]", found)
    return files if relative and not (home / found).exists() and (files / found).exists() else home


def alembic(
    config: Config,
    files: Path,
    url: Secret,
    request: Mapping[str, Any],
    *,
    runner: process.Runner,
    writes: bool,
    timeout: float = 60,
) -> dict[str, Any]:
    """What the child answers to a request, as it is.

    Raises:
        MigrationFailed: it could not run the commit's own code.
        SettingsError: the interpreter has no alembic.
        Unreachable: the database does not answer.
    """
    path, chosen = location(config, files)
    ini, toml = together(files, chosen) if chosen else ("", "")
    limits = config.settings.migrations
    told = {
        "path": path and str(files / path),
        "config": ini and str(files / ini),
        "toml": toml and str(files / toml),
        "root": str(files),
        "lock_timeout": seconds(limits.lock_timeout),
        "statement_timeout": seconds(limits.statement_timeout),
        "patience": seconds(limits.patience),
        **request,
    }
    with disk.temporary_folder() as place:
        result = place / "result.json"
        try:
            runner.run(
                process.Command(
                    [config.python, alembic_child.__file__, str(result)],
                    cwd=_home(files, chosen),
                    env={**_environment(config, url), "PYTHONPATH": str(files), "PYTHONDONTWRITEBYTECODE": "1"},
                    stdin=msgspec.json.encode(told),
                    timeout=timeout,
                    writes=writes,
                    secrets=_secrets(url),
                    drops=config.withheld,
                    tree=True,
                )
            )
        except process.ProgramFailed as error:
            raise _explained(error, config, _home(files, chosen)) from error
        try:
            found = decoding.json(result.read_bytes(), dict[str, Any], most=process.MOST)
        except (OSError, decoding.Undecodable) as error:
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


def looked(config: Config, files: Path, url: Secret, *, runner: process.Runner) -> tuple[tuple[Revision, ...], str]:
    """What is pending, asked for by a session that may only read; and what its command does besides, where it does not.

    Raises:
        MigrationFailed: the command failed.
    """
    try:
        return listed(config, files, url, runner=runner, reads=True), ""
    except MigrationFailed as error:
        if READ_ONLY not in " ".join((error.message, *error.details)):
            raise
    writes = f"{config.settings.migrations.pending!r} writes to the database, also in a dry run; let it only read"
    return listed(config, files, url, runner=runner), writes


def listed(
    config: Config, files: Path, url: Secret, *, runner: process.Runner, reads: bool = False
) -> tuple[Revision, ...]:
    """What is pending of another tool's migrations, as its command prints it, each with the SQL of its file.

    Args:
        reads: its sessions may only read, where its driver reads PGOPTIONS.

    Raises:
        MigrationFailed: the command failed.
    """
    chosen = config.settings.migrations
    done = run(config, files, url, chosen.pending, runner=runner, writes=False, reads=reads)
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
    config: Config,
    files: Path,
    url: Secret,
    line: str,
    *,
    runner: process.Runner,
    writes: bool,
    timeout: float = 60,
    reads: bool = False,
) -> str:
    """Run one of the other tool's commands, without a shell; gives what it printed.

    Args:
        reads: see `listed`.

    Raises:
        MigrationFailed: it ended with another code than 0, or not in time; with the first line of the cause.
    """
    environment = _environment(config, url)
    if reads:
        environment["PGOPTIONS"] += " -c default_transaction_read_only=on"
    command = process.Command(
        words(line, "migrations.command and migrations.pending"),
        cwd=files,
        env=environment,
        timeout=timeout,
        check=False,
        writes=writes,
        secrets=_secrets(url),
        drops=config.withheld,
        tree=True,
    )
    try:
        done = runner.run(command)
    except process.ProgramFailed as error:  # it did not end in time
        raise MigrationFailed(f"{line}: {error.message}", details=error.details[-8:], remedy=CORRECT) from error
    if done.returncode:
        why = cause(done.stderr.decode(errors="replace")) or cause(done.text)
        message = f"{line}: {command.name} ended with code {done.returncode}{f': {why}' if why else ''}"
        lacking = LACKING.search(f"{why}\n" + "\n".join(done.lines))
        raise MigrationFailed(message, details=done.lines[-8:], remedy=INSTALL if lacking else CORRECT)
    return done.text


def cause(said: str) -> str:
    """The first line of why a program failed, of all that it said: the database's own word goes before a program's.

    A trace follows the cause in some languages and precedes it in others; a tool's last line is neither.
    """
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    after = lines[next((number for number, line in enumerate(lines) if line.startswith("Traceback ")), len(lines)) :]
    raised = [line for line in after[1:] if not line[0].isspace()]
    ways = (
        [line for line in lines if re.search(r"\b(?:ERROR|FATAL|PANIC):\s", line)],
        raised,
        [line for line in lines if re.match(r"\W*(?:[\w.]*(?:[Ee]rror|[Ee]xception)|fatal|panic)\b.*:\s", line)],
        [line for line in lines if not re.match(r"npm (?:ERR!|error|notice|warn)|\W*\w*[Ww]arning\b", line)],
    )
    return next((found[0].strip()[:LONGEST] for found in ways if found), "")


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


def _explained(
    error: process.ProgramFailed, config: Config, home: Path
) -> MigrationFailed | SettingsError | Unreachable:
    said = "\n".join(error.details)
    if "No module named 'alembic'" in said:
        return SettingsError(
            f"{config.python} has no alembic",
            remedy=f"{config.python} -m pip install alembic 'psycopg[binary]', or set migrations.python",
        )
    if "connection failed" in said or "could not connect" in said:
        return Unreachable("the migrations cannot reach the database", remedy="inv check says why")
    why = cause(said)
    return MigrationFailed(
        f"alembic could not run the migrations of this commit{f': {why}' if why else ''}",
        details=error.details[-8:],
        remedy=_path(said, home)
        or "run it by hand against a copy of the database; what env.py imports must be installed, "
        "for the interpreter that migrations.python names",
    )


def _path(said: str, home: Path) -> str:
    """What helps where a module is not found that is a file of the commit: alembic's own setting, not an installation."""
    lacking = re.search(r"No module named '(\w+)'", said)
    there = lacking and ((home / lacking[1]).is_dir() or (home / f"{lacking[1]}.py").is_file())
    told = 'prepend_sys_path = . in alembic.ini (in pyproject.toml a list: ["."])'
    return f"{told}: alembic looks for modules beside it only then" if there else ""


def _secrets(url: Secret) -> tuple[Secret, ...]:
    """The URL, and the password in it by itself."""
    password = url.reveal().partition("://")[2].rpartition("@")[0].partition(":")[2]
    return (url, *((Secret(password),) if password else ()))
