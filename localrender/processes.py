"""Commands in process groups of their own: started, read line by line, stopped, and found again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

import msgspec
import psutil

from localrender import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from localrender.state import State

_ALLOWED = {
    *("PATH", "HOME", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    "NODE_EXTRA_CA_CERTS",
}
# Where a package goes and which are left out is the build command's own affair; npm, too, hands on what it was told.
_WITHHELD = {
    *("PIP_PREFIX", "PIP_ROOT", "PIP_TARGET", "PIP_USER"),
    *(
        "UV_PROJECT",
        "UV_PROJECT_ENVIRONMENT",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_WORKING_DIR",
        "UV_WORKING_DIRECTORY",
    ),
    *(
        f"npm_config_{name}"
        for name in ("dry_run", "global", "ignore_scripts", "include", "omit", "only", "production")
    ),
}
_HERE = (loopback.PLAIN, loopback.OTHER, "::1", "localhost")
_ALLOWED_PREFIXES = ("LC_", "PIP_", "UV_", "npm_config_", "NPM_CONFIG_")
_LONGEST_LINE = 64 * 1024
_AT_ONCE = 0.05  # seconds
PUBLIC_PORTS, INTERNAL_PORTS = range(20_000, 30_000), range(12_000, 20_000)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of the caller's environment that a build may see: where things are, never a secret of the caller.

    The services reach each other without the caller's proxy.
    """
    proxies = {name: value for name, value in environment.items() if name.lower().endswith("_proxy")}
    past = proxies.get("no_proxy") or proxies.get("NO_PROXY", "")
    if proxies and past != "*":
        proxies |= dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(filter(None, (past, *_HERE))))
    allowed = {
        name: value
        for name, value in environment.items()
        if (name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)) and name not in _WITHHELD
    }
    return allowed | proxies


def look_in(path: str) -> None:
    """Look for programs where the newest caller does, then where we did: a tool may have come since the start."""
    places = [*path.split(os.pathsep), *os.environ.get("PATH", os.defpath).split(os.pathsep)]
    os.environ["PATH"] = os.pathsep.join(dict.fromkeys(filter(None, places)))


def is_free(port: int) -> bool:
    """Whether nothing listens on this loopback port, at either address of ours."""
    for address in {loopback.PLAIN, loopback.address()}:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def free_port(among: range, taken: Iterable[int] = ()) -> int:
    """A port on which nothing listens, below the range that outgoing connections use."""
    refused, choose = set(taken), SystemRandom()
    for _ in range(1000):
        port = choose.choice(among)
        if port not in refused and is_free(port):
            return port
    raise OSError(f"no free port from {among.start} to {among.stop}")


class Program(msgspec.Struct, frozen=True):
    """One process of an instance, as the system shows it.

    Attributes:
        name: as the system calls it: no arguments, in which there may be a secret.
        on_sigterm: `caught`, `ignored`, `default`, or `unknown` where the system does not tell.
        listening: the addresses and ports on which it listens.
        connected: those to which it is connected.
    """

    pid: int
    name: str
    on_sigterm: str
    listening: list[tuple[str, int]]
    connected: list[tuple[str, int]]


class Left(msgspec.Struct, frozen=True):
    """A process whose parent has ended."""

    pid: int
    name: str


class Ended(msgspec.Struct, frozen=True):
    """How an instance has ended.

    Attributes:
        seconds: from SIGTERM to the end of its first process.
        killed: it had not ended in time.
        left: what its first process had started and left running.
    """

    code: int
    seconds: float
    killed: bool
    left: list[Left]


class Running:
    """A command that runs: its own session, its output read line by line."""

    def __init__(self, process: asyncio.subprocess.Process, state: State) -> None:
        self.process = process
        self.pid = process.pid
        self.state = state
        self.drained = asyncio.Event()

    def has_ended(self) -> bool:
        """Whether the command itself has ended."""
        return self.process.returncode is not None

    def listening(self) -> set[int]:
        """The ports on which the command or what it has started listens; those that may not be looked at are left out."""
        return {port for program in self.programs() for _, port in program.listening}

    def programs(self) -> list[Program]:
        """The command and what it has started, itself first; those that may not be looked at are left out."""
        found = []
        for process in self.tree():
            with suppress(psutil.Error):
                open_ = process.net_connections("tcp")
                listening = [(one.laddr.ip, one.laddr.port) for one in open_ if one.status == psutil.CONN_LISTEN]
                connected = [(one.raddr.ip, one.raddr.port) for one in open_ if one.status == psutil.CONN_ESTABLISHED]
                name = process.name()
                found.append(Program(process.pid, name, _on_sigterm(process.pid), listening, connected))
        return found

    def tree(self) -> Iterator[psutil.Process]:
        """The command and what it has started, itself first."""
        with suppress(psutil.Error):
            own = psutil.Process(self.pid)
            yield from (own, *own.children(recursive=True))

    async def end(self, patience: float) -> Ended:
        """End it as a container is ended: SIGTERM to the first process alone; SIGKILL to all with its end, or in time."""
        began, tree, killed = time.monotonic(), list(self.tree()), False
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(self.process.wait()), patience)
        except TimeoutError:
            killed = True
        seconds = time.monotonic() - began
        await asyncio.sleep(_AT_ONCE)  # what ends with its parent may be a moment later
        others = [process for process in tree if process.pid != self.pid and not killed and is_alive(process)]
        left = [Left(process.pid, name) for process in others if (name := _name(process))]
        self.signal(signal.SIGKILL)
        return Ended(await self.wait(), round(seconds, 3), killed, left)

    async def wait(self) -> int:
        """Wait for the end; its code as a shell tells it (128 + signal)."""
        code = await self.process.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.drained.wait(), 0.5)
        self.signal(signal.SIGKILL)
        self.state.forget(self.pid)
        return 128 - code if code < 0 else code

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; a group that has ended is fine."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def stop(self, patience: float) -> int:
        """SIGTERM, then SIGKILL after this many seconds."""
        self.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self.wait()), patience)
        self.signal(signal.SIGKILL)
        return await self.wait()


def _on_sigterm(pid: int) -> str:
    """What a process does about SIGTERM, by the masks of Linux; Node has a handler of its own, which ends it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        masks = dict(line.split(":\t", 1) for line in lines if line.startswith(("SigCgt:", "SigIgn:")))
        bit = 1 << (signal.SIGTERM - 1)
        caught, ignored = (int(masks[name], 16) & bit for name in ("SigCgt", "SigIgn"))
    except (OSError, KeyError, ValueError):
        return "unknown"
    return "caught" if caught else "ignored" if ignored else "default"


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return str(process.name())
    return ""


async def start(
    command: str, folder: Path, environment: Mapping[str, str], take: Callable[[str], None], state: State, kind: str
) -> Running:
    """Run a command line as Render does, with a shell.

    Args:
        command: For `bash -c` (`sh` where there is no bash).
        folder: Where it runs.
        environment: All it sees.
        take: Gets each line of its output.
        state: Remembers the process.
        kind: What the process is, for whoever finds it later.
    """
    shell = shutil.which("bash") or "/bin/sh"
    reading, writing = os.pipe()
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *(shell, "-c", command),
            cwd=folder,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
        )
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:  # it may have children already: end the group, not its leader alone
        os.close(reading)
        await Running(await starting, state).stop(0)
        raise
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    running = Running(process, state)
    state.remember(process.pid, kind)
    _read(reading, take, running.drained)
    return running


def _read(descriptor: int, take: Callable[[str], None], drained: asyncio.Event) -> None:
    os.set_blocking(descriptor, False)
    loop = asyncio.get_running_loop()
    rest = b""

    def ready() -> None:
        nonlocal rest
        try:
            chunk = os.read(descriptor, _LONGEST_LINE)
        except BlockingIOError:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        if rest and (not chunk or len(rest) > _LONGEST_LINE):
            lines, rest = [*lines, rest], b""
        for line in lines:
            take(line.decode(errors="replace").rstrip("\r"))
        if not chunk:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            drained.set()

    loop.add_reader(descriptor, ready)


def end_leftovers(state: State, kinds: Iterable[str], services: Iterable[str]) -> None:
    """End what an earlier server left: its recorded processes, and members of their groups.

    A member whose leader is gone is proven by `RENDER_SERVICE_ID`, which names a service of this state alone.
    """
    chosen, known = set(kinds), set(services)
    victims = {process for process, kind in state.processes() if kind in chosen}
    if known and "app" in chosen:
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and process.environ().get("RENDER_SERVICE_ID") in known:
                    victims.add(process)
    for number in ("terminate", "kill"):
        for process in victims:
            with suppress(psutil.NoSuchProcess):
                getattr(process, number)()
        victims = wait_for_end(victims, 5)


def wait_for_end(those: Iterable[psutil.Process], patience: float) -> set[psutil.Process]:
    """Wait until processes have ended; those that have not in time.

    A zombie has ended: not every container has an init that collects the children of a killed parent.
    """
    deadline = time.monotonic() + patience
    alive = set(those)
    while alive and time.monotonic() < deadline:
        alive = {process for process in alive if is_alive(process)}
        time.sleep(0.02 if alive else 0)
    return alive


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
