"""The edge to programs.

Every program is started here, as a list of arguments, with a deadline, without a shell.

Secrets travel in a child's environment, never in its arguments; what a child says is kept only as its last lines,
with the secrets struck out. However much it says, what is kept of it has a limit; it is never kept on the disk.

A program that is asked prints JSON, which is its answer, and nothing else is. Exit codes say too little: pip-audit ends
with 0 when it was told nothing about any package, and with 1 for a finding, a service that is down and a bug alike. Why
there is no answer is said in words of ours, as a program may quote anything.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import random
import re
import select
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from deploylib.errors import DeployError, SettingsError
from deploylib.models import Secret, decoding
from deploylib.system import threads
from deploylib.system.clock import Deadline

__all__ = [
    "MOST",
    "SYSTEM",
    "Command",
    "Completed",
    "ProgramFailed",
    "ReadOnlyRunner",
    "Runner",
    "SystemRunner",
    "Unanswered",
    "WithholdingRunner",
    "ask_program",
    "forbid_dumps",
    "insist",
    "is_alive",
    "kill_all",
    "last_lines",
    "this_process",
    "user_name",
]

LAST_LINES, LINE = 20, 500
PR_SET_DUMPABLE = 4  # linux/prctl.h
CHUNK = 1 << 20  # bytes
MOST = 64 << 20  # bytes of an output that is an answer
HEAD, TAIL = 16 << 10, 256 << 10  # bytes of what is only shown
CUT = "\n[…]\n".encode()
LEAVE_WITHIN = 2.0  # seconds from SIGTERM to SIGKILL
AT_LEAST, LINGER = 0.05, 1.0  # seconds: for what is over; for a pipe that a program has left to another one
# A killed command says nothing any more, but its end of a pipe closes. prctl(PR_SET_PDEATHSIG) is of Linux only, and
# reaches neither what a program has started nor one that runs as another account.
GUARD = 'read -r group || exit 0; read -r _; kill -TERM "-$group" && sleep 2 && kill -KILL "-$group"'
EXHAUSTED = {  # of a machine that starts nothing now, though it is installed
    errno.EMFILE: "allow a program more open files: ulimit -n 1024, and the same again",
    errno.ENFILE: "end something that runs here: too many files are open on this machine",
    errno.EAGAIN: threads.LESS,
    errno.ENOMEM: threads.LESS,
}
TRIES, PATIENCE = 3, 60.0  # of a program whose answer is needed; seconds for each
TROUBLES = (
    (r"(\d{3}) (?:Client|Server) Error", "answered {}"),
    (r"refused", "refuses the connection"),
    (r"NameResolution|resolve|getaddrinfo", "is not found on the network"),
    (r"[Tt]imed? ?out", "did not answer in time"),
    (r"SSL|[Cc]ertificate", "shows a certificate that is not trusted"),
    (r"ConnectionError|ProtocolError", "broke the connection"),
)
Form = TypeVar("Form")
_running: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that has ended.

    Attributes:
        stdout: all of it, or its beginning and its end where it was only to be shown.
        stderr: its beginning and its end.
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
        """The last lines that it said."""
        return last_lines(self.stderr.strip() or self.stdout[-TAIL:].strip())


class Exhausted(SettingsError):
    """This machine has no room for a program, which may be installed."""


class ProgramFailed(DeployError):
    """A program ended with another code than 0, or not in time.

    Callers turn it into the outcome it means.
    """

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
        quiet: seconds after which a stream of which nothing comes is at its end, and the program is killed.
        check: raise when it ends with another code than 0.
        writes: it changes something that outlives it; refused in a dry run.
        secrets: struck out of what it said.
        drops: names of our variables that it must not inherit.
        bare: it inherits none of our variables at all.
        account: user and group to run as, for a program that refuses to be root; None: ours.
        shown: its output is only shown, so that beginning and end are enough; else more than `MOST` of it is a failure.
        tree: it must not go on without us: where it is ended, so is what it has started, and also where we are killed.
    """

    args: Sequence[str]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    stdin: bytes | Iterator[bytes] | None = field(default=None, repr=False)
    timeout: float = 60.0
    quiet: float = 900.0
    check: bool = True
    writes: bool = False
    secrets: Sequence[Secret] = ()
    drops: Sequence[str] = ()
    bare: bool = False
    account: tuple[int, int] | None = None
    shown: bool = False
    tree: bool = False

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
        """Run and hand on its output in pieces.

        A failure raises *instead of* ending the output.
        """
        ...


class SystemRunner:
    """Starts the programs of this machine."""

    def run(self, command: Command, /) -> Completed:
        """Run to the end; see `Runner.run`."""
        deadline = Deadline.after(command.timeout)
        with _started(command) as (child, errors):
            given = b"" if command.stdin is None else command.stdin
            fed = threads.start(
                lambda: _feed(_pipe(child.stdin), iter((given,)) if isinstance(given, bytes) else given)
            )
            heard = _Heard(child.stdout, HEAD, TAIL) if command.shown else _Heard(child.stdout, MOST)
            try:
                heard.ended.result(deadline.left)
                if heard.lost and not command.shown:
                    raise _failed(command, f"printed more than {MOST >> 20} MB", errors)
                child.wait(max(deadline.left, AT_LEAST))
                fed.result(max(deadline.left, AT_LEAST))
            except (TimeoutError, subprocess.TimeoutExpired) as error:
                raise _failed(command, f"did not end within {command.timeout:.0f} s", errors) from error
            stdout, stderr = heard.text(command.secrets), errors.text(command.secrets)
        done = Completed(tuple(command.args), child.returncode, stdout, stderr)
        if command.check and done.returncode != 0:
            message = f"{command.name} ended with code {done.returncode}"
            raise ProgramFailed(message, details=done.lines, remedy="see what it said")
        return done

    def stream(self, command: Command, /) -> Iterator[bytes]:
        """Run and hand on its output; see `Runner.stream`."""
        with _started(command) as (child, errors):
            given = b"" if command.stdin is None else command.stdin
            pieces = iter((given,)) if isinstance(given, bytes) else given
            fed = threads.start(lambda: _feed(_pipe(child.stdin), pieces))
            try:
                yield from _as_it_comes(_pipe(child.stdout), command.quiet)
                child.wait(command.quiet)
            except (TimeoutError, subprocess.TimeoutExpired) as error:
                raise _failed(command, f"has said nothing for {command.quiet:.0f} s", errors) from error
            fed.result(LEAVE_WITHIN)  # an error of the pieces goes before what the program made of it
            if child.returncode != 0:
                raise _failed(command, f"ended with code {child.returncode}", errors)


@dataclass(frozen=True, slots=True)
class ReadOnlyRunner:
    """Starts programs that only read.

    A dry run that would write fails instead of lying.
    """

    real: Runner

    def run(self, command: Command, /) -> Completed:
        """Run what only reads; see `Runner.run`."""
        if command.writes:
            raise RuntimeError(f"a dry run must not start {command.name}")
        return self.real.run(command)

    def stream(self, command: Command, /) -> Iterator[bytes]:
        """Refuse: what is streamed is meant for the store."""
        raise RuntimeError(f"a dry run must not start {command.name}")


@dataclass(frozen=True, slots=True)
class WithholdingRunner:
    """Starts programs without some of our variables.

    They read what the product says.
    """

    real: Runner
    names: Sequence[str]

    def run(self, command: Command, /) -> Completed:
        """Run without them; see `Runner.run`."""
        return self.real.run(replace(command, drops=(*command.drops, *self.names)))

    def stream(self, command: Command, /) -> Iterator[bytes]:
        """Run without them; see `Runner.stream`."""
        return self.real.stream(replace(command, drops=(*command.drops, *self.names)))


SYSTEM: Runner = SystemRunner()


def _as_it_comes(output: IO[bytes], quiet: float) -> Iterator[bytes]:
    """Give its pieces of `CHUNK` bytes, the last one shorter.

    TimeoutError when none of it comes for *quiet* seconds.
    """
    chunk, there = bytearray(), select.poll()
    there.register(output, select.POLLIN)
    while there.poll(quiet * 1000):
        more = os.read(output.fileno(), CHUNK - len(chunk))
        chunk += more
        if chunk and (len(chunk) == CHUNK or not more):
            yield bytes(chunk)
            chunk.clear()
        if not more:
            return
    raise TimeoutError


def is_alive(pid: int) -> bool:
    """Tell whether a process of this machine runs, of any account."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether it has ended, and nobody has asked how.

    It keeps its id until then, for good in a container whose first process asks nobody (proc(5): the state is the
    field after the name, which may hold anything). Where there is no ``/proc``, that is not known.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1]
    except OSError:
        return False
    return state in ([b"Z"], [b"X"])


def this_process() -> tuple[str, int]:
    """Name where we run, and our process id.

    Another command sees by them whether we still run, if it runs in the same place. The name of a machine is none:
    many are called ``ubuntu``, and a container may bear its host's. So it goes with the id of this boot and with the
    namespace of process ids (proc(5), namespaces(7)); where there is no ``/proc``, with a hardware address.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        place = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except (OSError, ValueError):
        place = f"{uuid.getnode():x}"  # a new random number where there is no such address: nobody is taken for dead
    return f"{socket.gethostname()} {place}", os.getpid()


def user_name(named: str = "") -> str:
    """Name the user that we run as; never empty.

    Args:
        named: the name that the environment gives.
    """
    if named.strip():
        return named.strip()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # an account that only a container knows
        return f"user {os.getuid()}"


def kill_all() -> None:
    """Kill every program that still runs.

    For the end of a command that cannot wait any longer.
    """
    for child in list(_running):
        with suppress(ProcessLookupError):
            child.kill()


def last_lines(output: bytes, count: int = LAST_LINES) -> tuple[str, ...]:
    """Cut a program's last lines to a length that is readable."""
    lines = output[-TAIL:].decode(errors="replace").splitlines()[-count:]
    return tuple(line.rstrip() if len(line) <= LINE else f"{line[: LINE - 1]}…" for line in lines)


class _Heard:
    """What comes out of a pipe, read beside us.

    All of it up to a length, or its beginning and its end.

    Args:
        head: bytes that are kept of the beginning.
        tail: likewise of the end; 0: nothing more is read once there is more than the beginning.

    Attributes:
        ended: once it was read to its end.
        lost: there was more than is kept.
    """

    def __init__(self, pipe: IO[bytes] | None, head: int, tail: int = 0) -> None:
        self._pipe, self._most, self._least = _pipe(pipe), head, tail
        self._head, self._tail, self.lost = bytearray(), bytearray(), False
        self.ended = threads.start(self._read)

    def _read(self) -> None:
        with suppress(ValueError):  # it was closed meanwhile: the program has ended, and left it to another one
            while piece := self._pipe.read(CHUNK):
                first = piece[: self._most - len(self._head)]
                self._head += first
                self._tail += piece[len(first) :]
                self.lost = self.lost or len(self._tail) > self._least
                if self.lost and not self._least:
                    return
                if len(self._tail) > 2 * self._least:
                    del self._tail[: -self._least]

    def text(self, secrets: Sequence[Secret]) -> bytes:
        """Give what was kept, without the secrets.

        Neither whole ones, nor what a cut has left of one.
        """
        with suppress(TimeoutError):
            self.ended.result(LINGER)
        if not self.lost:
            return _strike(bytes(self._head + self._tail), secrets)
        cut = max((len(secret.reveal().encode()) for secret in secrets), default=0)
        head, tail = _strike(bytes(self._head), secrets), _strike(bytes(self._tail), secrets)
        return head[: len(head) - cut] + CUT + tail[cut:]


def forbid_dumps() -> None:
    """Close our memory and environment to others of the same user.

    As far as the system can.
    Linux: ``PR_SET_DUMPABLE`` (prctl(2)); /proc/<pid>/environ and ptrace then need a mightier user, so root is not kept out.
    Elsewhere nothing is done: macOS does not show an environment to a program that is not its parent's.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (AttributeError, OSError):  # a C library without it: hygiene, not a wall
        return


@contextmanager
def _started(command: Command) -> Iterator[tuple[subprocess.Popen[bytes], _Heard]]:
    """Start the program, with ears on what it says.

    It does not outlive the block.
    """
    ours = {} if command.bare else os.environ
    inherited = {name: value for name, value in ours.items() if name not in command.drops}
    user, group = command.account or (None, None)
    guard: subprocess.Popen[bytes] | None = None
    try:
        guard = _guard() if command.tree else None
        child = subprocess.Popen(  # noqa: S603 - arguments are a list, there is no shell
            list(command.args),
            cwd=command.cwd,
            env={**inherited, **command.env},
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            process_group=0 if command.tree else None,
        )
    except ValueError as error:  # a NUL, or half a character, in a word or a variable
        _dismiss(guard)
        message = f"{command.name} cannot be started: {error}"
        raise SettingsError(message, remedy="correct the command in the settings, or the variable") from error
    except OSError as error:  # it is not there, not ours to start, or no program
        _dismiss(guard)
        message = f"{command.args[0]} cannot be started: {error.strerror}"
        if error.errno in EXHAUSTED:
            raise Exhausted(message, remedy=EXHAUSTED[error.errno]) from error
        raise SettingsError(message, remedy=f"install {command.name}") from error
    _running.add(child)
    try:
        if guard is not None:
            _pipe(guard.stdin).write(b"%d\n" % child.pid)
        yield child, _Heard(child.stderr, HEAD, TAIL)
    finally:
        if child.poll() is None:
            _end(child, tree=command.tree)
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None and not pipe.closed:
                _close(pipe)
        _dismiss(guard)
        _running.discard(child)


def _guard() -> subprocess.Popen[bytes]:
    """Start a shell that ends the program's group once we are gone.

    A terminal's Ctrl-C does not reach it.
    """
    return subprocess.Popen(  # noqa: S603 - all of its words are above
        ["/bin/sh", "-c", GUARD],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _dismiss(guard: subprocess.Popen[bytes] | None) -> None:
    if guard is not None:
        guard.kill()
        guard.wait()
        _close(_pipe(guard.stdin))


def _end(child: subprocess.Popen[bytes], *, tree: bool) -> None:
    """End a program that must not go on.

    With those that it has started, where they are its *tree*.
    """

    def send(number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number) if tree else child.send_signal(number)

    send(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(LEAVE_WITHIN)
    send(signal.SIGKILL)
    child.wait()


def _feed(stdin: IO[bytes], pieces: Iterator[bytes]) -> None:
    """Write *pieces* to the program.

    One that stops reading early has failed and says so by its code.
    """
    try:
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[stdin.write(left) :]
    except BrokenPipeError:
        return
    except ValueError:
        if not stdin.closed:  # else the program was ended meanwhile
            raise
    finally:
        _close(stdin)


def _pipe(pipe: IO[bytes] | None) -> Any:
    """Give a pipe that was asked for, and so is there."""
    if pipe is None:
        raise RuntimeError("the program was started without this pipe")
    return pipe


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return


def _failed(command: Command, what: str, errors: _Heard) -> ProgramFailed:
    lines = Completed((), 1, b"", errors.text(command.secrets)).lines
    return ProgramFailed(f"{command.name} {what}", details=lines, remedy="see what it said")


def _strike(text: bytes, secrets: Sequence[Secret]) -> bytes:
    for secret in secrets:
        if secret.reveal():
            text = text.replace(secret.reveal().encode(), "•••".encode())
    return text


class Unanswered(Exception):
    """A program gave no answer.

    Attributes:
        reason: why; nothing of what the program printed.
        missing: the program is not installed, so that nobody need ask again.
    """

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.missing = missing


def ask_program(command: Command, form: type[Form], who: str, *, runner: Runner) -> Form:
    """Ask a program, and give its answer.

    Args:
        form: of its answer, which may itself raise `Unanswered` when it says that it is none.
        who: whom the reason names: the program, or the service that it asks.

    Raises:
        Unanswered: it is not installed, did not end in time, or printed something else.
    """
    args = [each for each in command.args if each != "-P"]  # which says where Python looks for it
    module = args[2] if args[1] == "-m" else command.name
    missing = Unanswered(f"{module.replace('_', '-')} is not installed", missing=True)
    try:
        done = runner.run(command)
    except Exhausted as error:
        raise Unanswered(error.message) from error
    except SettingsError as error:
        raise missing from error
    except ProgramFailed as error:
        raise Unanswered(f"{who} did not answer in time") from error
    try:
        return decoding.json(done.stdout, form, most=MOST)
    except decoding.Misshapen as error:
        raise Unanswered(f"{who} answers in a form that is not known") from error
    except decoding.Undecodable as error:
        errors = done.stderr.decode(errors="replace")
        if re.search(rf"No module named '?{module}", errors):
            raise missing from error
        troubles = ((re.search(words, errors), meaning) for words, meaning in TROUBLES)
        known = next((meaning.format(*found.groups()) for found, meaning in troubles if found), "")
        raise Unanswered(
            f"{who} {known or f'gave no answer; the program ended with code {done.returncode}'}"
        ) from error


def insist(command: Command, form: type[Form], who: str, *, runner: Runner, deadline: Deadline) -> Form:
    """Ask a program again, a few times with growing pauses.

    See `ask_program`.

    Raises:
        Unanswered: the last one.
    """
    unanswered = Unanswered("time ran out")
    for attempt in range(TRIES):
        if attempt:
            pause = 2 ** (attempt - 1) * random.uniform(1, 2)  # noqa: S311 - spreads those who ask
            deadline.clock.sleep(min(pause, deadline.left))
        if deadline.has_passed():
            break
        try:
            return ask_program(replace(command, timeout=min(PATIENCE, deadline.left)), form, who, runner=runner)
        except Unanswered as error:
            unanswered = error
            if error.missing:
                break
    raise unanswered
