"""The edge to programs: every program is started here, as a list of arguments, with a deadline, without a shell.

Secrets travel in a child's environment, never in its arguments; what a child says is kept only as its last lines,
with the secrets struck out.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from deploylib.errors import DeployError, SettingsError
from deploylib.models import Secret

__all__ = ["SYSTEM", "Completed", "ProgramFailed", "ReadOnlyRunner", "Runner", "Stream", "SystemRunner"]

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


class Stream(Protocol):
    """The output of a running program, read piece by piece."""

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of at most 1 MiB; raises `ProgramFailed` *instead of ending* when the program failed."""
        ...


class Runner(Protocol):
    """How the library starts programs."""

    def run(
        self,
        args: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | Iterator[bytes] | None = None,
        timeout: float = 60.0,
        check: bool = True,
        writes: bool = False,
        secrets: Sequence[Secret] = (),
    ) -> Completed:
        """Run to the end.

        Args:
            args: the program and its arguments.
            cwd: working folder.
            env: variables on top of ours.
            stdin: bytes, or pieces that are fed as they come.
            timeout: seconds after which it is killed.
            check: raise when it ends with another code than 0.
            writes: it changes something that outlives it; refused in a dry run.
            secrets: struck out of what it said.

        Raises:
            ProgramFailed: it failed or took too long.
            SettingsError: there is no such program.
        """
        ...

    def stream(
        self, args: Sequence[str], *, env: Mapping[str, str] | None = None, secrets: Sequence[Secret] = ()
    ) -> Iterator[bytes]:
        """Run and hand on its output; a failure raises before the end of the output is reported."""
        ...


class SystemRunner:
    """Really starts them."""

    def run(
        self,
        args: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | Iterator[bytes] | None = None,
        timeout: float = 60.0,
        check: bool = True,
        writes: bool = False,  # noqa: ARG002 - the read-only runner looks at it
        secrets: Sequence[Secret] = (),
    ) -> Completed:
        """Run to the end; see `Runner.run`."""
        with tempfile.TemporaryFile() as said, _started(args, cwd=cwd, env=env, stderr=said) as child:
            try:
                if stdin is not None and not isinstance(stdin, bytes):
                    _feed(child, stdin)
                    stdin = None
                stdout, _ = child.communicate(stdin, timeout=timeout)
            except subprocess.TimeoutExpired as error:
                message = f"{_name(args)} did not end within {timeout:.0f} s"
                raise ProgramFailed(
                    message, details=_said(said, secrets), remedy="look at what it waits for"
                ) from error
            said.seek(0)
            done = Completed(tuple(args), child.returncode, stdout or b"", _strike(said.read(), secrets))
        if check and done.returncode != 0:
            message = f"{_name(args)} ended with code {done.returncode}"
            raise ProgramFailed(message, details=done.lines, remedy="see what it said")
        return done

    def stream(
        self, args: Sequence[str], *, env: Mapping[str, str] | None = None, secrets: Sequence[Secret] = ()
    ) -> Iterator[bytes]:
        """Run and hand on its output; see `Runner.stream`."""
        with tempfile.TemporaryFile() as said, _started(args, env=env, stderr=said) as child:
            assert child.stdout is not None  # noqa: S101 - it was asked for
            while chunk := child.stdout.read(CHUNK):
                yield chunk
            if child.wait() != 0:
                message = f"{_name(args)} ended with code {child.returncode}"
                raise ProgramFailed(message, details=_said(said, secrets), remedy="see what it said")


@dataclass(frozen=True, slots=True)
class ReadOnlyRunner:
    """Starts programs that only read; a dry run that would write fails instead of lying."""

    real: Runner

    def run(
        self,
        args: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | Iterator[bytes] | None = None,
        timeout: float = 60.0,
        check: bool = True,
        writes: bool = False,
        secrets: Sequence[Secret] = (),
    ) -> Completed:
        """Run what only reads; see `Runner.run`."""
        if writes:
            raise RuntimeError(f"a dry run must not start {_name(args)}")
        return self.real.run(
            args, cwd=cwd, env=env, stdin=stdin, timeout=timeout, check=check, secrets=secrets
        )

    def stream(
        self, args: Sequence[str], *, env: Mapping[str, str] | None = None, secrets: Sequence[Secret] = ()
    ) -> Iterator[bytes]:
        """Refused: what is streamed is meant for the store."""
        raise RuntimeError(f"a dry run must not start {_name(args)}")


SYSTEM: Runner = SystemRunner()


@contextmanager
def _started(
    args: Sequence[str], *, stderr: IO[bytes], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The running program; it does not outlive the block."""
    try:
        child = subprocess.Popen(  # noqa: S603 - arguments are a list, there is no shell
            list(args),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise SettingsError(
            f"{args[0]} cannot be started: {error.strerror}", remedy=f"install {_name(args)}"
        ) from error
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None and not pipe.closed:
                _close(pipe)
        child.wait()


def _feed(child: subprocess.Popen[bytes], pieces: Iterator[bytes]) -> None:
    """Write *pieces* to the program; one that stops reading early has failed and says so by its code."""
    assert child.stdin is not None  # noqa: S101 - it was asked for
    try:
        for piece in pieces:
            child.stdin.write(piece)
    except BrokenPipeError:
        return
    finally:
        _close(child.stdin)
        child.stdin = None


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return


def _name(args: Sequence[str]) -> str:
    return Path(args[0]).name


def _said(file: IO[bytes], secrets: Sequence[Secret]) -> tuple[str, ...]:
    file.seek(0)
    return Completed((), 1, b"", _strike(file.read(), secrets)).lines


def _strike(text: bytes, secrets: Sequence[Secret]) -> bytes:
    for secret in secrets:
        if secret.reveal():
            text = text.replace(secret.reveal().encode(), "•••".encode())
    return text
