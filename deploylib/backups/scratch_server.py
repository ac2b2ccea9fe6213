"""A Postgres to throw away, from the programs on this machine.

It listens on a socket in a private folder, with a password, and writes without fsync: it is worth nothing once the
block is over. Where a program that is not ours is to find it, it also listens on 127.0.0.1: each tool reads an address
with a socket in its own way, Django as this machine's port 5432. Postgres refuses to run as root, so root hands it to
an account that exists; none of our variables goes with it, for others of that account could read them.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from deploylib.errors import BackupFailed, DeployError, Interrupted, SettingsError, Unreachable
from deploylib.models import Secret
from deploylib.models.interruption import suppress_failure
from deploylib.models.units import volume
from deploylib.postgres import Programs, binaries, connect, connection
from deploylib.system import files, process

__all__ = ["ScratchDied", "ScratchUnfit", "server"]

NAME = "deploylib-scratch"
PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC"}
LONGEST = 80  # a socket's path has at most 103 bytes on macOS, 107 on Linux
# Beside the data: an empty server takes 40 MB, and its write-ahead log grew to 268 MB under a load (15, 16 and 18);
# max_wal_size is no hard limit.
SPARE = 350_000_000
ANSWERS_WITHIN = 30  # seconds, on a busy machine
PORTS = 5  # that are tried: between the look and the start somebody else may take one
TAKEN = re.compile(r'could not bind \S+ address "[^"]*": Address already in use')
SERVER = re.compile(r" (?:LOG|FATAL|PANIC):  (?!could not (?:send|receive) data|unexpected EOF|checkpoint \w+:)")
TERMINATED = re.compile(
    r"terminated by signal \d+(?:: [\w ]+)?|[Nn]o space left on device|[Oo]ut of memory|received \w+ shutdown request"
)
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # where it does not listen, a number in a socket's name; PGPORT of the machine would be taken otherwise
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "64MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "20",
    "max_locks_per_transaction": "1024",  # a restore of many tables, and what a migration of them locks; some MB
    "restart_after_crash": "off",  # one that has lost a session to a crash is no proof of anything any more
}


class ScratchUnfit(SettingsError):
    """This machine has no place that can hold what the backup holds.

    That says nothing of the backup.
    """


class ScratchDied(BackupFailed):
    """The scratch Postgres ended while something was proven on it.

    Nothing was found out, and it is no one else's fault.
    """


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a server of ours lies, and as whom it runs."""

    folder: Path
    account: tuple[int, int] | None
    programs: Programs
    runner: process.Runner

    def run(self, program: str, *args: str, check: bool = True, timeout: float = 60.0) -> None:
        """Start one of the server's programs as its account."""
        words = [self.programs.program(program), *args]
        self.runner.run(
            process.Command(
                words, cwd=self.folder, env=PATH, bare=True, account=self.account, check=check, timeout=timeout
            )
        )


@contextmanager
def server(
    programs: Programs,
    *,
    runner: process.Runner,
    size: int = 0,
    folder: Path | None = None,
    listens: bool = False,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Secret]:
    """Run a server for this block, and remove it.

    Whatever happens in the block.

    Args:
        programs: of the version that it shall have; a server must lie beside them.
        runner: how they are started.
        size: bytes that it will hold; refused where the disk has not the room.
        folder: where its own folder is made; None: the system's folder for temporary files.
        listens: on 127.0.0.1 too, at the port that its URL has.
        settings: of ``postgresql.conf``, in place of ours.

    Yields:
        Its superuser's URL, by the socket.

    Raises:
        ScratchUnfit: no room, or it does not start.
        ScratchDied: it has ended before the block has, whatever the block made of that.
    """
    base = folder or Path(tempfile.gettempdir())
    if len(str(base)) > LONGEST - len(NAME) - 20:
        raise ScratchUnfit(f"{base} is too long for a socket's path", remedy="set TMPDIR to a shorter one, like /tmp")
    if not base.is_dir():
        raise ScratchUnfit(f"{base} is no folder", remedy="make it, or name another one")
    _sweep(base, programs, runner)
    with _placeable(base):
        room = shutil.disk_usage(base).free
    if room < size + SPARE:
        raise ScratchUnfit(
            f"a restore needs {volume(size + SPARE)} in {base}, which has {volume(room)}",
            remedy="make room there, or set TMPDIR to a folder on another disk",
        )
    with _placeable(base):
        own = Path(tempfile.mkdtemp(prefix=f"{NAME}-{os.getpid()}-", dir=base))
    try:
        with ExitStack() as stack:
            with _placeable(base):
                stack.enter_context(files.keep_in_use(own))
            given = {**({"listen_addresses": connection.LOOPBACK} if listens else {}), **settings}
            yield stack.enter_context(_serving(own, programs, runner, given))
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _serving(own: Path, programs: Programs, runner: process.Runner, settings: Mapping[str, str]) -> Iterator[Secret]:
    """Run the server in a folder of its own for this block."""
    with _placeable(own.parent):
        place = _placed(own, programs, runner)
    try:
        with _placeable(own.parent):
            url = _started(place, settings)
        try:
            yield url
        except (ScratchUnfit, Interrupted):
            raise
        except Exception as error:
            _require_alive(place, url, error)
            raise
        _require_alive(place, url, None)
    finally:
        _stop(place)


@contextmanager
def _placeable(base: Path) -> Iterator[None]:
    """Tell in an operator's words why no place can be made.

    Raises:
        ScratchUnfit: it cannot be made there.
    """
    try:
        yield
    except OSError as error:
        raise ScratchUnfit(
            f"there is no place for a scratch Postgres in {base}: {error.strerror or error}",
            remedy="make room there and see who may write, or set TMPDIR to another folder",
        ) from error


def _started(place: _Place, more: Mapping[str, str]) -> Secret:
    """Make and start the server in *place*; returns its superuser's URL."""
    password, data, sockets = secrets.token_urlsafe(24), place.folder / "data", place.folder / "s"
    secret = place.folder / "password"
    for folder in (data, sockets):
        folder.mkdir(mode=0o700)
    secret.touch(mode=0o600)
    secret.write_text(password)
    if place.account:
        for path in (data, sockets, secret):
            os.chown(path, *place.account)
    options = ["--encoding=UTF8", "--locale=C", "--username=postgres", "--auth=scram-sha-256", "--no-sync"]
    given = {**SETTINGS, **more, "unix_socket_directories": str(sockets)}
    try:
        place.run("initdb", f"--pgdata={data}", f"--pwfile={secret}", *options)
        with (data / "postgresql.conf").open("a") as settings:
            settings.writelines(f"{name} = '{value}'\n" for name, value in given.items())
        port = _start(place, data, given)
    except process.ProgramFailed as error:
        log = data / "log"
        last_words = tuple(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else error.details
        raise ScratchUnfit(
            f"the scratch Postgres does not start: {error.message}",
            details=last_words,
            remedy=binaries.trouble() or "see what it said",
        ) from error
    finally:
        secret.unlink()
    return Secret(f"postgresql://postgres:{quote(password)}@:{port}/postgres?host={quote(str(sockets), safe='')}")


def _start(place: _Place, data: Path, given: Mapping[str, str], tries: int = PORTS) -> str:
    """Start it, and return its port: a free one, where it listens.

    Raises:
        ProgramFailed: it does not start.
    """
    log, port = data / "log", _free_port() if given["listen_addresses"] else given["port"]
    try:
        place.run("pg_ctl", "start", "-w", f"--pgdata={data}", f"--log={log}", f"--options=-p {port}")
    except process.ProgramFailed:
        if tries > 1 and log.exists() and TAKEN.search(log.read_text(errors="replace")):
            log.unlink()
            return _start(place, data, given, tries - 1)
        raise
    return port


def _free_port() -> str:
    """Find a port that nobody listens at."""
    with socket.socket() as free:
        free.bind((connection.LOOPBACK, 0))
        return str(free.getsockname()[1])


def _require_alive(place: _Place, url: Secret, error: Exception | None) -> None:
    """See that the server answers, before anything else is blamed.

    Raises:
        ScratchDied: it does not; its last words are told, without what it was asked, which may hold data.
    """
    try:
        with connect(url, ANSWERS_WITHIN):
            return
    except Unreachable:
        log = place.folder / "data" / "log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        last_words = tuple(line for line in lines if SERVER.search(line))[-8:]
    cause = next((line for line in last_words if TERMINATED.search(line)), "")
    raise ScratchDied(
        "the scratch Postgres died before the proof was done" + (f": {TERMINATED.findall(cause)[0]}" if cause else ""),
        details=last_words,
        remedy="see what it said: mostly the machine has no memory left, or somebody ended it; then inv backup",
    ) from error


def _stop(place: _Place) -> None:
    """End it at once: nothing of it is kept.

    One that cannot be told to ends by itself, a minute after its folder.
    """
    data = f"--pgdata={place.folder / 'data'}"
    with suppress_failure(DeployError):
        place.run("pg_ctl", "stop", "--mode=immediate", "-w", data, check=False)


def _placed(own: Path, programs: Programs, runner: process.Runner) -> _Place:
    """Choose the account, and programs that it can reach.

    It is the one that root becomes; programs that it cannot reach are copied.
    """
    if os.geteuid() != 0:
        return _Place(own, None, programs, runner)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        remedy = "run the command as an ordinary user, or make the account nobody"
        raise ScratchUnfit("Postgres does not run as root, and there is no account nobody", remedy=remedy) from error
    account = entry.pw_uid, entry.pw_gid
    own.chmod(0o711)
    reached = process.Command(
        ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(programs.folder)], cwd=Path("/"), account=account, check=False
    )
    try:
        apart = runner.run(reached).returncode
    except process.ProgramFailed as error:
        remedy = "see whether the disk with the programs answers"
        raise ScratchUnfit(f"{programs.folder} cannot be looked at: {error.message}", remedy=remedy) from error
    if apart:
        package = programs.folder.parents[1]  # the wheel finds its libraries in a folder beside its own
        copy = own / "programs" / package.name / programs.folder.parent.name
        shutil.copytree(programs.folder.parent, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, own / "programs" / libraries.name)
        for path in (own / "programs").rglob("*"):
            os.chown(path, *account, follow_symlinks=False)
        programs = Programs(copy / "bin", programs.version)
    return _Place(own, account, programs, runner)


def _sweep(base: Path, programs: Programs, runner: process.Runner) -> None:
    """End and remove what a process of ours left that was killed.

    Only folders that we own: nobody else made them. A number that is no process here may be one in a container that
    shares the folder; that one holds a lock.
    """
    for left in base.glob(f"{NAME}-*-*"):
        pid = left.name.removeprefix(f"{NAME}-").partition("-")[0]
        try:
            status = left.lstat()
        except OSError:  # another command removes it at this moment
            continue
        if not pid.isdigit() or status.st_uid != os.geteuid() or not left.is_dir():
            continue
        if not process.is_alive(int(pid)) and not files.is_in_use(left):
            if (left / "data").is_dir():
                _stop(_placed_again(left, programs, runner))
            shutil.rmtree(left, ignore_errors=True)


def _placed_again(left: Path, programs: Programs, runner: process.Runner) -> _Place:
    owner = (left / "data").stat()
    if copied := next(left.glob("programs/*/*/bin"), None):
        programs = Programs(copied, programs.version)
    return _Place(left, (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None, programs, runner)
