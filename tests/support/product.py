"""A product in a git repository of its own, what an operator types in it, and what then is so."""

from __future__ import annotations

import atexit
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

import psutil
import psycopg

from localrender import background, runtimes
from tests.support import warm
from tests.support.edges import Answer, Completed, environment, fetch, processes_of

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("render.yaml", "sample", "migrations", "loadtests", "tasks.py", "pyproject.toml", ".gitignore")
TIME_SCALE = 300  # Render's fifteen minutes for a health check become three seconds
GUEST_BOOK = "sample/backend/guestbook"


@functools.cache
def warm_environment() -> Path:
    """A virtual environment that has what the backend needs, for the build caches of products; made once for all workers."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir(), f"warm-{run}")
    folder.mkdir(exist_ok=True)
    lock = (folder / "used").open("w")
    fcntl.flock(lock, fcntl.LOCK_SH)  # as long as this worker lives: one that comes later must not wait for its end
    atexit.register(_forget, folder, lock)
    with (folder / "making").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=300)
            needed = ROOT / "sample" / "backend" / "requirements.txt"
            command = [str(folder / "venv/bin/python"), "-m", "pip", "install", "-q", "-r", str(needed)]
            subprocess.run(command, env=environment(), check=True, timeout=300)
            (folder / "made").touch()
    return folder


def _forget(folder: Path, lock: IO[str]) -> None:
    """The last worker that used it takes it away."""
    with lock, suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


class Product:
    """A repository, and the commands that are run in it; at the end of its block nothing of it is left.

    Attributes:
        folder: its top.
        account: the user id that runs the commands; None: whoever runs the tests.
        first: its first commit.
    """

    def __init__(
        self, folder: Path, parts: tuple[str, ...] = PARTS, account: int | None = None, *, warm: bool = True
    ) -> None:
        """Make it; its build cache is *warm*, unless an account of its own has to make one, or the first build is the subject."""
        self.folder, self.account = folder, account
        self.folder.mkdir(parents=True, exist_ok=True)
        left_out = shutil.ignore_patterns("__pycache__", "dist")
        for name in parts:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=left_out)
            else:
                shutil.copy(source, folder / name)
        if account is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, account, account)
        if warm and account is None and "sample" in parts:
            runtimes.copy_environment(warm_environment(), self.kept())
        self.git("init", "--quiet", "--initial-branch=main")
        self.first = self.configure(local_time_scale=TIME_SCALE) if "pyproject.toml" in parts else ""

    def kept(self) -> Path:
        """Where the local Render keeps the virtual environment that the first build gets."""
        # It says so itself, which is later than the first commit.
        self.write(".localrender/.gitignore", "*\n")
        return self.folder / ".localrender" / "cache" / "python"

    # What its developers do

    def git(self, *args: str) -> str:
        """Run git here."""
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        command = ["git", *identity, *args]
        return self._run(command, environment(GIT_OPTIONAL_LOCKS="0"), 60, check=True).out.strip()

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")

    def read(self, name: str) -> str:
        """A file's text."""
        return (self.folder / name).read_text()

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if self.account is not None:
            os.chown(path, self.account, self.account)

    def replace(self, name: str, old: str, new: str) -> None:
        """Edit a file: *old*, which occurs in it, becomes *new*."""
        text = self.read(name)
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new, 1))

    def commit(self, message: str, files: Mapping[str, str] | None = None) -> str:
        """Commit everything, with these files written first."""
        for name, text in (files or {}).items():
            self.write(name, text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head

    def change_frontend(self, message: str = "Another note") -> str:
        """A commit that touches only the frontend."""
        return self.commit(message, {"sample/frontend/public/note.txt": f"{message} {time.monotonic_ns()}\n"})

    def change_backend(self, message: str = "Another greeting") -> str:
        """A commit that touches only the backend, and works."""
        return self.commit(message, {f"{GUEST_BOOK}/note.py": f'"""{message} {time.monotonic_ns()}."""\n'})

    def restored(self, commit: str, message: str = "As it was") -> str:
        """A new commit with the files of an earlier one, and one more change to the frontend."""
        self.git("rm", "--quiet", "-r", "--force", ".")
        self.git("checkout", commit, "--", ".")
        return self.change_frontend(message)

    def configure(self, **settings: str | int) -> str:
        """Commit settings of the tool."""
        text = self.read("pyproject.toml")
        if "[tool.deploylib]\n" not in text:
            text += "\n[tool.deploylib]\n"
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        return self.commit(
            "Settings", {"pyproject.toml": text.replace("[tool.deploylib]\n", f"[tool.deploylib]\n{lines}")}
        )

    @contextmanager
    def configured(self, **settings: str | int) -> Iterator[None]:
        """Commit settings for a block; the next commit is without them, however it ends."""
        before = self.read("pyproject.toml")
        self.configure(**settings)
        try:
            yield
        finally:
            self.write("pyproject.toml", before)

    # What an operator types

    def inv(self, *args: str, timeout: float = 300, **env: str) -> Completed:
        """Run the command to its end."""
        if self.account is None and (prepared := warm.commands()).serves(given := environment(**env)):
            done = prepared.run(args, self.folder, given, timeout)
            return Completed(done.returncode, done.stdout, done.stderr)
        return self.new(*args, timeout=timeout, **env)

    def new(self, *args: str, timeout: float = 300, **env: str) -> Completed:
        """Run the command to its end in a Python that has to start, as an operator does."""
        return self._run([sys.executable, "-m", "invoke", *args], environment(**env), timeout)

    def ok(self, *args: str) -> Completed:
        """Run a command that must succeed."""
        done = self.inv(*args)
        assert done.code == 0, done.said
        return done

    def fault(self, name: str, **how: object) -> None:
        """Switch a fault of the local Render on."""
        self.ok("local.fault", "--name", name, *(f"--{key}={value}" for key, value in how.items()))

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        """Start the command and let it run."""
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", *args],
            cwd=self.folder,
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _run(self, command: list[str], env: dict[str, str], timeout: float, *, check: bool = False) -> Completed:
        account = {} if self.account is None else {"user": self.account, "group": self.account, "extra_groups": []}
        home = {} if self.account is None else {"HOME": str(self.folder.parent)}
        options: dict[str, Any] = {"cwd": self.folder, "env": env | home, **account}
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout, **options)
        completed = Completed(done.returncode, done.stdout, done.stderr)
        assert not check or completed.code == 0, completed.said
        return completed

    # What then is so

    @property
    def endpoint(self) -> dict[str, Any]:
        """What the local Render has written of itself."""
        found: dict[str, Any] = json.loads(self.read(".localrender/endpoint.json"))
        return found

    def url(self, service: str, path: str = "/") -> str:
        """The public address of a service."""
        return str(self.endpoint["urls"][service]).rstrip("/") + path

    def get(self, service: str, path: str = "/") -> Answer:
        """Ask a public service."""
        return fetch(self.url(service, path))

    def ask(self, path: str, *, method: str = "GET", body: object = None) -> Answer:
        """Ask the local Render, whose key this takes, at a path below its root."""
        known = self.endpoint
        headers = {"Authorization": f"Bearer {known['api_key']}"}
        return fetch(known["api_url"].removesuffix("/v1") + path, method=method, body=body, headers=headers)

    def api(self, path: str) -> Any:
        """Ask the platform's API."""
        found = self.ask(f"/v1{path}")
        assert found.status == 200, found
        return found.json

    def deploys(self, service: str, commit: str = "") -> list[dict[str, Any]]:
        """The deploys of a service at the platform, newest first; of one commit where it is named."""
        found = [one["deploy"] for one in self.api(f"/services/{self.service_id(service)}/deploys?limit=100")]
        return [one for one in found if commit in ("", one["commit"]["id"])]

    def service_id(self, name: str) -> str:
        """The id of a service at the platform."""
        services = [one["service"] for one in self.api("/services?limit=100")]
        return str(next(one["id"] for one in services if one["name"] == name))

    def served(self) -> dict[str, str]:
        """The commit that each address itself names."""
        page = re.search(r'name="release" content="(\w+)"', self.get("frontend").body)
        assert page is not None
        return {"backend": self.get("backend", "/api/health").json["releaseId"], "frontend": page[1]}

    def requests(self) -> list[dict[str, Any]]:
        """The log of the platform's API."""
        path = self.folder / ".localrender" / "requests.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def writes(self) -> list[str]:
        """The requests that asked the platform to change something."""
        return [f"{one['method']} {one['path']}" for one in self.requests() if one["method"] not in ("GET", "HEAD")]

    def events(self, run: str = "") -> list[dict[str, Any]]:
        """The events of a run, by default the newest one, as the history has them.

        Two runs may begin in the same second, which is all that their ids tell: the first event of each tells them apart.
        """
        first = (self.folder / ".deploylib" / "runs").glob(f"*{run}/0001-*.json")
        folder = max(first, key=lambda path: path.stat().st_mtime_ns).parent
        return [json.loads(path.read_text()) for path in sorted(folder.glob("[0-9]*"))]

    def outcome(self) -> str:
        """How the newest run ended, by the history; ``open`` while it has not."""
        last = self.events()[-1]
        return str(last["data"]["outcome"]) if last["kind"] == "closed" else "open"

    def database_url(self) -> str:
        """The database's address, as the platform tells it."""
        (one,) = self.api("/postgres")
        found = self.api(f"/postgres/{one['postgres']['id']}/connection-info")
        return str(found["externalConnectionString"])

    def query(self, statement: str, url: str = "") -> list[tuple[Any, ...]]:
        """Run one statement in the database and give its rows."""
        with psycopg.connect(url or self.database_url(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def revision(self) -> str:
        """The schema's revision."""
        return str(self.query("select version_num from alembic_version")[0][0])

    def sign(self, name: str) -> None:
        """Write into the guest book."""
        answer = fetch(self.url("backend", "/api/entries"), method="POST", body={"name": name, "message": "was here"})
        assert answer.status == 201, answer

    def lift_all(self) -> None:
        """Lift every hold that stands."""
        for hold in (self.folder / ".deploylib").glob("holds/local/*"):
            if not (hold / "lifted.json").exists():
                self.ok("hold.lift", f"--hold={hold.name}")

    def processes(self) -> list[psutil.Process]:
        """Everything that runs for it."""
        return processes_of(self.folder)

    def snapshot(self) -> dict[str, Any]:
        """Everything that a refused command must leave as it was; that it held the environment for a moment may show."""
        ignored = {".git", ".localrender", "leases"}
        files = {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not ignored & set(path.relative_to(self.folder).parts)
        }
        repository = (self.folder / ".git").is_dir()
        asked = ("status --porcelain", "worktree list", "for-each-ref", "rev-parse HEAD", "stash list")
        ports = {
            (process.name(), connection.laddr.port)
            for process in self.processes()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        return {
            "files": files,
            "git": [self.git(*one.split()) for one in asked] if repository else [],
            "ports": sorted(ports),
            "writes": self.writes(),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.clean()

    def clean(self) -> None:
        """End it, and see that nothing of it is left."""
        down = self._run([sys.executable, "-P", "-m", "localrender", "down"], environment(), 300)
        left = self.processes()
        names = [f"{process.pid} {' '.join(process.cmdline())}" for process in left]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        background.reset(self.folder / ".localrender")
        assert down.code == 0, down.said
        assert not names, names


def migration(title: str, body: str, more: str = "") -> str:
    """The third revision of the sample: a title, the lines of its upgrade, and what it imports besides."""
    return f'''
"""{title}

Revision ID: 0003
Revises: 0002
"""

{more}from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
{textwrap.indent(body, "    ")}
'''
