"""The tool that migrates.

Alembic in a child of ours, or another one by the commands that the settings name.

The child runs with the interpreter that the settings name, because ``env.py`` imports the application. Each revision runs
in a transaction of its own, with a short limit for locks and another try for those that are not granted; who holds such a
lock is named. Limits come through libpq's start-up options: a ``SET`` inside a transaction is lost when that transaction
is rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from deploylib.errors import MigrationFailed, SettingsError, Unreachable
from deploylib.migrations import alembic_settings
from deploylib.migrations.alembic_child import __main__ as alembic_child
from deploylib.migrations.revision_files import read_revisions
from deploylib.models import Migration, Revision, Secret, decoding
from deploylib.models.database import Copy
from deploylib.models.units import seconds, words
from deploylib.postgres import connection, sqlstates
from deploylib.settings import Config, MigrationSettings
from deploylib.system import Clock, process
from deploylib.system import files as disk

__all__ = ["Applied", "Tool", "convert_part", "upgrade"]

T = TypeVar("T")
READ_ONLY = "read-only transaction"  # of SQLSTATE 25006, which a tool need not tell
LONGEST = 300
CORRECT = "correct the migrations and commit"
CORRECT_EITHER = "correct the migrations or the settings, then inv deploy; the old version still serves"
FORKED = (
    "alembic merge heads, and commit; or, where two branches are meant, give each a branch_labels of its own in the first "
    "revision of the branch"
)
ACTIVATE = (
    "activate the environment that has what the command imports (. .venv/bin/activate), or install it: the command runs with "
    "your PATH, also where inv is typed by its own path (deploylib's docs/migrations.md)"
)
INSTALL = (
    "it runs in a fresh checkout, where nothing is installed: let the command install first what it needs, for example "
    "sh -c 'cd api && npm ci --silent >&2 && …' (deploylib's docs/migrations.md)"
)
LACKING = {
    re.compile(r"No module named '|\bpython3?: (?:command )?not found"): ACTIVATE,
    re.compile(r"ERR_MODULE_NOT_FOUND|Cannot find (?:module|package) '"): INSTALL,
}
UNCHECKED = (
    "no exact target: the command applies whatever it finds",
    "no transaction for each migration, unless the tool makes one",
    "whether each can be undone",
    "the limits hold only where the tool's driver reads PGOPTIONS, as libpq does; it is not tried again for a lock",
)


class Applied(msgspec.Struct, frozen=True):
    """One revision that was applied.

    After several tries it had waited for a lock.

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


def upgrade(
    url: Secret | str,
    files: Path | str,
    *,
    within: float = 120,
    runner: process.Runner = process.SYSTEM,
    clock: Clock | None = None,
) -> tuple[Applied, ...]:
    """Bring a database to the newest revision in a folder.

    It takes the lock that backups and releases of the database take, too, and makes no backup itself.

    Args:
        url: the database; ``env.py`` finds it in ``DATABASE_URL``.
        files: the folder that has an ``alembic.ini``, or ``migrations`` with an ``env.py``.
        within: seconds for which locks are tried for.

    Returns:
        What was applied, oldest first; nothing where the schema is there already, or ahead.

    Raises:
        SettingsError: the folder has no migrations.
        MigrationFailed: a revision failed; those before it are applied and stay.
        Unreachable: the database does not answer.
    """
    tool = Tool(Path(files).resolve(), Config(root=Path(files).resolve()), runner)
    if not tool.has_migrations:
        raise SettingsError(
            f"{files} has no migrations", remedy="name the folder of alembic.ini, or of migrations/env.py"
        )
    address = url if isinstance(url, Secret) else Secret(url)
    with connection.lock_database(address, clock=clock or Clock(), within=within):
        status = tool.read_status(address)
        return tool.upgrade(address, status.target, within=within) if status.pending else ()


@dataclass(frozen=True, slots=True)
class Tool:
    """The migrations of one commit, and the program that runs them.

    Attributes:
        files: the tree of the commit.
        config: where migrations are in it, by what they are run, and which variables are withheld from them.
        unchecked: what is not promised of another tool than alembic.
    """

    unchecked: ClassVar[tuple[str, ...]] = UNCHECKED

    files: Path
    config: Config
    runner: process.Runner = process.SYSTEM

    @property
    def settings(self) -> MigrationSettings:
        """How the migrations are run."""
        return self.config.settings.migrations

    @property
    def has_migrations(self) -> bool:
        """Whether the commit has migrations, of whatever tool.

        Raises:
            SettingsError: the settings name a place that the commit does not have.
        """
        return bool(self.settings.command) or any(alembic_settings.locate(self.settings, self.files))

    @property
    def folder(self) -> str:
        """The folder of the migrations; empty where files alone do not say."""
        if self.settings.command:
            return self.settings.files.partition("*")[0].rpartition("/")[0]
        return alembic_settings.find_folder(self.settings, self.files)

    def read_files(self, names: Collection[str]) -> tuple[Revision, ...]:
        """Read the migrations among these files; run nothing of them."""
        folder = self.folder
        if self.settings.command:
            chosen = {path.relative_to(self.files).as_posix() for path in _matching(self.files, self.settings.files)}
        else:
            kept = {"env.py", "__init__.py"}
            chosen = {
                name
                for name in names
                if folder and name.startswith(f"{folder}/") and name.endswith(".py") and Path(name).name not in kept
            }
        return read_revisions(self.files, chosen & set(names))

    def timeout(self, within: float) -> float:
        """Give an upgrade its seconds, of which *within* for locks."""
        limits = self.settings
        return within + 60 + 6 * seconds(limits.statement_timeout) + seconds(limits.patience)

    def read_status(self, url: Secret, *, dry: bool = False) -> Migration:
        """Read where the schema is and what the commit wants of it.

        Args:
            dry: another tool's list is asked for by a session that may only read; where it needs more, that is told.

        Raises:
            MigrationFailed: alembic cannot read the migrations.
        """
        if self.settings.command:
            pending, writes = self._look(url) if dry else (self.list_pending(url), "")
            rendered = all(one.rendered for one in pending)
            return Migration(
                target=pending[-1].id if pending else "",
                pending=pending,
                sql="\n".join(one.sql for one in pending) if rendered else "",
                unchecked=UNCHECKED,
                notes=(writes,) if writes else (),
            )
        answer = self.run_alembic(url, {"command": "status"}, writes=False)
        if "error" in answer:
            remedy = FORKED if " heads, of which " in answer["error"] else CORRECT
            raise MigrationFailed(answer["error"], remedy=remedy)
        return Migration(
            current=answer["current"],
            target=answer["target"],
            pending=convert_part(answer, "pending", tuple[Revision, ...]),
            applied=convert_part(answer, "had", tuple[Revision, ...]),
            ahead=answer["ahead"],
            versions=answer.get("versions", ""),
            sql=answer.get("sql", ""),
        )

    def upgrade(self, url: Secret, target: str, *, within: float) -> tuple[Applied, ...]:
        """Bring the schema to exactly *target*.

        A lock that is not granted is tried again, with growing pauses, for at most *within* seconds.

        Raises:
            MigrationFailed: a revision failed; those before it are applied and stay.
        """
        if self.settings.command:
            return self._upgrade_by_command(url, self.timeout(within))
        request = {"command": "upgrade", "target": target, "within": within}
        answer = self.run_alembic(url, request, writes=True, timeout=self.timeout(within))
        if "failed" in answer:
            raise _failure(answer)
        if "error" in answer:
            raise MigrationFailed(answer["error"], remedy=CORRECT)
        if answer["current"] != target and not answer["ahead"]:
            raise MigrationFailed(
                f"after the migrations the schema is at {answer['current'] or 'nothing'}, not at {target}",
                remedy="look at env.py: it may run against another database or swallow an error",
            )
        return convert_part(answer, "applied", tuple[Applied, ...])

    def _upgrade_by_command(self, url: Secret, timeout: float) -> tuple[Applied, ...]:
        pending = self.list_pending(url)
        self.run_command(url, self.settings.command, writes=True, timeout=timeout)
        if left := self.list_pending(url):
            raise MigrationFailed(
                f"after the migrations {left[0].id} is still pending",
                remedy="run the command by hand: it may go to another database, or swallow an error",
            )
        return tuple(Applied(id=one.id, title=one.title, seconds=0.0, tries=1) for one in pending)

    def run_alembic(
        self, url: Secret, request: Mapping[str, Any], *, writes: bool, timeout: float = 60
    ) -> dict[str, Any]:
        """Let the child answer a request.

        Raises:
            MigrationFailed: it could not run the commit's own code.
            SettingsError: the interpreter has no alembic.
            Unreachable: the database does not answer.
        """
        files, limits = self.files, self.settings
        path, chosen = alembic_settings.locate(limits, files)
        ini, toml = alembic_settings.together(files, chosen) if chosen else ("", "")
        home = alembic_settings.find_home(files, chosen)
        whole = {
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
                self.runner.run(
                    process.Command(
                        [self.config.python, alembic_child.__file__, str(result)],
                        cwd=home,
                        env={**self._environment(url), "PYTHONPATH": str(files)},
                        stdin=msgspec.json.encode(whole),
                        timeout=timeout,
                        writes=writes,
                        secrets=_secrets(url),
                        drops=self.config.withheld,
                        tree=True,
                    )
                )
            except process.ProgramFailed as error:
                raise _explanation(error, self.config, home) from error
            try:
                return decoding.json(result.read_bytes(), dict[str, Any], most=process.MOST)
            except (OSError, decoding.Undecodable) as error:
                raise MigrationFailed(
                    "alembic ended without an answer",
                    remedy="see whether env.py or a migration ends the program (sys.exit)",
                ) from error

    def _look(self, url: Secret) -> tuple[tuple[Revision, ...], str]:
        """List what is pending, by a session that may only read.

        Tell where that is not enough.

        Raises:
            MigrationFailed: the command failed.
        """
        try:
            return self.list_pending(url, reads=True), ""
        except MigrationFailed as error:
            if READ_ONLY not in " ".join((error.message, *error.details)):
                raise
        writes = f"{self.settings.pending!r} writes to the database, also in a dry run; let it only read"
        return self.list_pending(url), writes

    def list_pending(self, url: Secret, *, reads: bool = False) -> tuple[Revision, ...]:
        """List another tool's pending migrations, as its command prints them.

        Each has the SQL of its file.

        Args:
            reads: its sessions may only read, where its driver reads PGOPTIONS.

        Raises:
            MigrationFailed: the command failed.
        """
        output = self.run_command(url, self.settings.pending, writes=False, reads=reads)
        sources = _matching(self.files, self.settings.files)
        return tuple(self._revision(name, sources) for line in output.splitlines() if (name := line.strip()))

    def _revision(self, name: str, sources: list[Path]) -> Revision:
        file = next((each for each in sources if _is_of(name, each.relative_to(self.files))), None)
        text = file.read_text(encoding="utf-8", errors="replace") if file else ""
        return Revision(
            id=name,
            sql=text,
            rendered=file is not None,
            path=file.relative_to(self.files).as_posix() if file else "",
            remarks=tuple(line.strip() for line in text.splitlines() if "deploylib:" in line),
        )

    def run_command(self, url: Secret, line: str, *, writes: bool, timeout: float = 60, reads: bool = False) -> str:
        """Run one of the other tool's commands, without a shell.

        Return its output.

        Args:
            url: the database; with that of a copy nothing of ours goes along that leads elsewhere, or asks for TLS.
            reads: see `list_pending`.

        Raises:
            MigrationFailed: it ended with another code than 0, or not in time; with the first line of the cause.
        """
        environment = self._environment(url)
        if reads:
            environment["PGOPTIONS"] += " -c default_transaction_read_only=on"
        astray = (*connection.MISLEADING, *connection.OF_TLS) if isinstance(url, Copy) and url.own else ()
        command = process.Command(
            words(line, "migrations.command and migrations.pending"),
            cwd=self.files,
            env=environment,
            timeout=timeout,
            check=False,
            writes=writes,
            secrets=_secrets(url),
            drops=(*self.config.withheld, *astray),
            tree=True,
        )
        try:
            done = self.runner.run(command)
        except process.ProgramFailed as error:  # it did not end in time
            raise MigrationFailed(
                f"{line}: {error.message}", details=error.details[-8:], remedy=CORRECT_EITHER
            ) from error
        if done.returncode:
            why = find_cause(done.stderr.decode(errors="replace")) or find_cause(done.text)
            message = f"{line}: {command.name} ended with code {done.returncode}{f': {why}' if why else ''}"
            output = "\n".join((why, *done.lines))
            remedy = next((step for pattern, step in LACKING.items() if pattern.search(output)), CORRECT_EITHER)
            raise MigrationFailed(message, details=done.lines[-8:], remedy=remedy)
        return done.text

    def _environment(self, url: Secret) -> dict[str, str]:
        limits = (self.settings.lock_timeout, self.settings.statement_timeout)
        lock, statement = (int(seconds(text) * 1000) for text in limits)
        return {
            "DATABASE_URL": url.reveal(),
            "PGOPTIONS": f"-c lock_timeout={lock} -c statement_timeout={statement}",
            "PGAPPNAME": "deploylib",
            "PGCONNECT_TIMEOUT": "5",
        }


def convert_part(answer: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Convert a part of the child's answer; an absent one is empty.

    Raises:
        MigrationFailed: a file says something of another kind, ``tolerates = 5`` for example.
    """
    try:
        return msgspec.convert(answer.get(name, ()), kind)
    except msgspec.ValidationError as error:
        raise MigrationFailed(
            f"a revision says something that is not understood: {error}", remedy="correct its file, and commit"
        ) from error


def find_cause(output: str) -> str:
    """Find the first line of why a program failed, in its output.

    The database's own word goes before a program's. A trace follows the cause in some languages and precedes it in others;
    a tool's last line is neither.
    """
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    after = lines[next((number for number, line in enumerate(lines) if line.startswith("Traceback ")), len(lines)) :]
    raised = [line for line in after[1:] if not line[0].isspace()]
    ways = (
        [line for line in lines if re.search(r"\b(?:ERROR|FATAL|PANIC):\s", line)],
        raised,
        [line for line in lines if re.match(r"\W*(?:[\w.]*(?:[Ee]rror|[Ee]xception)|fatal|panic)\b.*:\s", line)],
        [line for line in lines if not re.match(r"npm (?:ERR!|error|notice|warn)|\W*\w*[Ww]arning\b", line)],
    )
    return next((way[0].strip()[:LONGEST] for way in ways if way), "")


def _matching(files: Path, pattern: str) -> list[Path]:
    if not pattern:
        return []
    try:
        return sorted(path for path in files.glob(pattern) if path.is_file())
    except (NotImplementedError, ValueError) as error:  # an absolute one; ``**`` beside other characters
        message = f"migrations.files is {pattern!r}, which is no glob of files of the commit"
        raise SettingsError(message, remedy="write it from the top of the repository: migrations/**/*.sql") from error


def _is_of(name: str, path: Path) -> bool:
    """Tell whether a file is a migration's.

    Its name, or its folder's, begins with the migration's.
    """
    return name in {path.name, path.stem, path.parent.name, path.as_posix()} or path.stem.startswith(f"{name}_")


def _failure(answer: Mapping[str, Any]) -> MigrationFailed:
    """Tell which revision failed, who blocked it, what to do."""
    details = [*answer["error"].splitlines(), *(f"in its way: {one}" for one in answer.get("waited_for", ()))]
    name, where = answer["failed"], f"the schema is at {answer['current'] or 'nothing'}"
    if half := answer.get("half", ()):
        return MigrationFailed(
            f"migration {name} failed half way; {where}, and what its autocommit_block has done stays",
            details=(*details, *(f"done: {' '.join(text.split())[:100]}" for text in half)),
            remedy="undo that, or write it so that it can be done twice (if_not_exists=True); then inv deploy",
        )
    if answer.get("sqlstate") in alembic_child.WAITING_FOR_A_LOCK:
        blockers = answer.get("waited_for", ())
        held = f", held by {blockers[0]}" if blockers else ""
        return MigrationFailed(
            f"migration {name} did not get its lock in {answer['tries']} {'try' if answer['tries'] == 1 else 'tries'}{held}; {where}",
            details=tuple(details),
            remedy="end the session that holds the lock (select * from pg_stat_activity), then inv deploy",
        )
    step = "correct the migration, commit, inv deploy; the old version still serves"
    if sqlstates.is_of_the_server(state := answer.get("sqlstate")):
        step = f"{sqlstates.remedy(state, answer['error'])} (inv deploy; the old version still serves)"
    return MigrationFailed(f"migration {name} failed; {where}", details=tuple(details), remedy=step)


def _explanation(
    error: process.ProgramFailed, config: Config, home: Path
) -> MigrationFailed | SettingsError | Unreachable:
    output = "\n".join(error.details)
    if "No module named 'alembic'" in output:
        return SettingsError(
            f"{config.python} has no alembic",
            remedy=f"{config.python} -m pip install alembic 'psycopg[binary]', or set migrations.python",
        )
    if "connection failed" in output or "could not connect" in output:
        return Unreachable("the migrations cannot reach the database", remedy="inv check says why")
    why = find_cause(output)
    return MigrationFailed(
        f"alembic could not run the migrations of this commit{f': {why}' if why else ''}",
        details=error.details[-8:],
        remedy=_path(output, home)
        or "run it by hand against a copy of the database; what env.py imports must be installed, "
        "for the interpreter that migrations.python names",
    )


def _path(output: str, home: Path) -> str:
    """Name alembic's setting for a module that lies here."""
    lacking = re.search(r"No module named '(\w+)'", output)
    there = lacking and ((home / lacking[1]).is_dir() or (home / f"{lacking[1]}.py").is_file())
    setting = 'prepend_sys_path = . in alembic.ini (in pyproject.toml a list: ["."])'
    return f"{setting}: alembic looks for modules beside it only then" if there else ""


def _secrets(url: Secret) -> tuple[Secret, ...]:
    """List the URL, and the password in it by itself."""
    password = url.reveal().partition("://")[2].rpartition("@")[0].partition(":")[2]
    return (url, *((Secret(password),) if password else ()))
