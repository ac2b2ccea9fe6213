"""The edge to programs: every program is started here, as a list of arguments, with a deadline, without a shell.

Secrets travel in a child's environment, never in its arguments; what a child says is kept only as its last lines,
with the secrets struck out.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from deploylib.errors import DeployError, SettingsError
from deploylib.models import Secret

__all__ = [
    "SYSTEM",
    "Command",
    "Completed",
    "ProgramFailed",
    "ReadOnlyRunner",
    "Runner",
    "SystemRunner",
    "alive",
    "here",
]

LAST_LINES = 20
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended.

    Attributes:
        stdout: all of it.
        lines: the last lines of its standard error, or of its output where that is empty.
    """

    args: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes = field(repr=False, default=b"")

    @property
    def text(self) -> str:
        """The output as text, without the last line's end."""
        return self.stdout.decode(errors="replace").rstrip("\n")

    @property
    def lines(self) -> tuple[str, ...]:
        """What it said last."""
        said = (self.stderr.strip() or self.stdout.strip()).decode(errors="replace")
        return tuple(line.rstrip() for line in said.splitlines()[-LAST_LINES:])


class ProgramFailed(DeployError):
    """A program ended with another code than 0, or not in time; callers turn it into the outcome it means."""

    exit_code = 1
    outcome = "program failed"


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start.

    Attributes:
        args: the program and its arguments; never a secret.
        cwd: working folder.
        env: variables on top of ours.
        stdin: bytes, or pieces that are fed as they come.
        timeout: seconds after which it is killed; does not apply to a stream.
        check: raise when it ends with another code than 0.
        writes: it changes something that outlives it; refused in a dry run.
        secrets: struck out of what it said.
        drops: names of our variables that it must not inherit.
        bare: it inherits none of our variables at all.
        account: user and group to run as, for a program that refuses to be root; None: ours.
    """

    args: Sequence[str]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    stdin: bytes | Iterator[bytes] | None = field(default=None, repr=False)
    timeout: float = 60.0
    check: bool = True
    writes: bool = False
    secrets: Sequence[Secret] = ()
    drops: Sequence[str] = ()
    bare: bool = False
    account: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The program's name, as people know it."""
        return Path(self.args[0]).name


class Runner(Protocol):
    """How the library starts programs."""

    def run(self, command: Command, /) -> Completed:
        """Run to the end.

        Raises:
            ProgramFailed: it failed or took too long.
            SettingsError: there is no such program.
        """
        ...

    def stream(self, command: Command, /) -> Iterator[bytes]:
        """Run and hand on its output in pieces; a failure raises *instead of* ending the output."""
        ...


class SystemRunner:
    """Really starts them."""

    def run(self, command: Command, /) -> Completed:
        """Run to the end; see `Runner.run`."""
        with tempfile.TemporaryFile() as said, _started(command, said) as child:
            try:
                stdout = _strike(_talk(child, command), command.secrets)
            except subprocess.TimeoutExpired as error:
                raise _failed(command, f"did not end within {command.timeout:.0f} s", said) from error
            said.seek(0)
            stderr = _strike(said.read(), command.secrets)
            done = Completed(tuple(command.args), child.returncode, stdout, stderr)
        if command.check and done.returncode != 0:
            message = f"{command.name} ended with code {done.returncode}"
            raise ProgramFailed(message, details=done.lines, remedy="see what it said")
        return done

    def stream(self, command: Command, /) -> Iterator[bytes]:
        """Run and hand on its output; see `Runner.stream`."""
        with tempfile.TemporaryFile() as said, _started(command, said) as child:
            while chunk := _pipe(child.stdout).read(CHUNK):
                yield chunk
            if child.wait() != 0:
                raise _failed(command, f"ended with code {child.returncode}", said)


@dataclass(frozen=True, slots=True)
class ReadOnlyRunner:
    """Starts programs that only read; a dry run that would write fails instead of lying."""

    real: Runner

    def run(self, command: Command, /) -> Completed:
        """Run what only reads; see `Runner.run`."""
        if command.writes:
            raise RuntimeError(f"a dry run must not start {command.name}")
        return self.real.run(command)

    def stream(self, command: Command, /) -> Iterator[bytes]:
        """Refused: what is streamed is meant for the store."""
        raise RuntimeError(f"a dry run must not start {command.name}")


SYSTEM: Runner = SystemRunner()


def alive(pid: int) -> bool:
    """Whether a process of this machine runs; one of another account counts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def here() -> tuple[str, int]:
    """This machine's name and our process id, by which another command here can see whether we still run."""
    return socket.gethostname(), os.getpid()


@contextmanager
def _started(command: Command, stderr: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The running program; it does not outlive the block."""
    ours = {} if command.bare else os.environ
    inherited = {name: value for name, value in ours.items() if name not in command.drops}
    user, group = command.account or (None, None)
    try:
        child = subprocess.Popen(  # noqa: S603 - arguments are a list, there is no shell
            list(command.args),
            cwd=command.cwd,
            env={**inherited, **command.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
    except OSError as error:  # it is not there, not ours to start, or no program
        message = f"{command.args[0]} cannot be started: {error.strerror}"
        raise SettingsError(message, remedy=f"install {command.name}") from error
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None and not pipe.closed:
                _close(pipe)
        child.wait()


def _talk(child: subprocess.Popen[bytes], command: Command) -> bytes:
    """Write and read at once: a program that answers before it has read everything must not wait for us."""
    if command.stdin is None or isinstance(command.stdin, bytes):
        return child.communicate(command.stdin, timeout=command.timeout)[0]
    stdin, child.stdin = _pipe(child.stdin), None
    with ThreadPoolExecutor(max_workers=1) as pool:
        fed = pool.submit(_feed, stdin, command.stdin)
        try:
            stdout, _ = child.communicate(timeout=command.timeout)
        except BaseException:
            child.kill()
            raise
        fed.result()
    return stdout


def _feed(stdin: IO[bytes], pieces: Iterator[bytes]) -> None:
    """Write *pieces* to the program; one that stops reading early has failed and says so by its code."""
    try:
        for piece in pieces:
            stdin.write(piece)
    except BrokenPipeError:
        return
    finally:
        _close(stdin)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    """A pipe that was asked for, which is therefore there."""
    if pipe is None:
        raise RuntimeError("the program was started without this pipe")
    return pipe


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return


def _failed(command: Command, what: str, said: IO[bytes]) -> ProgramFailed:
    said.seek(0)
    lines = Completed((), 1, b"", _strike(said.read(), command.secrets)).lines
    return ProgramFailed(f"{command.name} {what}", details=lines, remedy="see what it said")


def _strike(text: bytes, secrets: Sequence[Secret]) -> bytes:
    for secret in secrets:
        if secret.reveal():
            text = text.replace(secret.reveal().encode(), "•••".encode())
    return text
