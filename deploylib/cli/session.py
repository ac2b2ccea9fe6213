"""Give a task its session, and print one result.

Settings and view go in, one exit code comes out.
"""

from __future__ import annotations

import getpass
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Any, NoReturn

import msgspec

from deploylib import settings
from deploylib.cli import github, progress, rendering
from deploylib.cli import text as cli_text
from deploylib.cli.outlet import Outlet
from deploylib.environment import Environment
from deploylib.errors import Blocked, DeployError, Interrupted, NotExamined, SettingsError
from deploylib.models import LogLine, redaction, remedies
from deploylib.models.findings import Scanned, Verdict
from deploylib.models.progress import Progress
from deploylib.models.redaction import Struck, harmless, no_command
from deploylib.models.results import NOTHING, PAUSED, PLANNED, Report
from deploylib.release import note_undelivered
from deploylib.system import Clock, process, threads

STRUCK = Struck()  # what this process must not print, from the first command on

__all__ = [
    "annotate",
    "clean_line",
    "fail",
    "is_watched",
    "print_crash",
    "print_result",
    "secret",
    "session",
    "tell",
    "tell_as_they_come",
]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last one: the terminal was closed
GO_ON = "the same command again goes on where this stopped"
HEEDED_WITHIN = 8.0  # seconds: a runner of CI kills after ten, and says so to nobody


@contextmanager
def session(
    environment: str, *, looking: bool = False, tells: bool = True, verbose: bool = False
) -> Iterator[Environment]:
    """Open an environment for one command; signals end it in order.

    Args:
        looking: only to find out what a release would lack; a store is then not required.
        tells: messages that wait go out with this command, if it has not told any itself.
        verbose: show every line that builds and programs write.
    """
    config = settings.load(settings.top(), environment, os.environ, looking=looking)
    for secret in config.known_secrets:
        STRUCK.learn(secret)
    process.forbid_dumps()
    sys.excepthook = print_crash
    logging.getLogger("stamina").setLevel(logging.ERROR)  # another try is no news; giving up is told by the error
    threads.reserve_little()
    with _signals(environment), _view(verbose=verbose) as chosen:
        env = Environment(config, progress=chosen, struck=STRUCK)
        try:
            yield env
        except Interrupted:
            tells = False
            raise
        finally:
            if tells and not env.messenger.has_told:
                note_undelivered(env, env.messenger.deliver_waiting())


def _view(*, verbose: bool) -> AbstractContextManager[Progress]:
    return progress.choose_view(Outlet(sys.stderr), os.environ, Clock(), clean_line, verbose=verbose)


def clean_line(line: str) -> str:
    """Make a line fit to be printed, whoever wrote it.

    Also for a runner's commands: a container in a job of GitHub does not know that it is in one.
    """
    return no_command(harmless(STRUCK.text(line)))


def print_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback, made fit to be printed.

    Its last line may quote a driver that quotes a password.
    """
    lines = "".join(traceback.format_exception(kind, error, trace)).splitlines()
    _complain("\n".join(clean_line(line) for line in lines))


def print_result(value: Any, env: Environment, show: str, options: Mapping[str, Any], *, json: bool) -> None:
    """Print a result, and end the program with its exit code.

    Args:
        show: the name of its rendering, where it is neither report nor scan.
        options: of the command.
    """
    if isinstance(value, Report):
        return _print_report(value, env.build.url if env.build else "", json=json)
    if isinstance(value, Scanned):
        return _print_scan(value, json=json)
    lines = rendering.as_lines(value, show, env, options)
    return tell(rendering.as_json(value, show), lines, json=json, code=getattr(value, "exit_code", 0))


def _print_report(value: Report, url: str, *, json: bool) -> None:
    """Print a report, and hand it to the CI."""
    if (lost := _print(value, cli_text.format_report(value).splitlines(), json=json)) is not None:
        if value.outcome in {NOTHING, PLANNED}:  # the answer is all that comes of it
            raise lost
        _complain(lost.message)  # what came of the run is what it is
    try:
        github.publish(value, os.environ, url)
    except SettingsError as error:
        if value.outcome == PAUSED:  # the jobs after this one go by it
            raise
        _complain(clean_line(error.message))
    if value.exit_code:
        annotate(value.outcome, value.error)
        raise SystemExit(value.exit_code)


def fail(error: DeployError, environment: str, *, json: bool) -> NoReturn:
    """Tell an error, and end the program with its exit code."""
    error.remedy = remedies.about(environment, error.remedy)
    if json:
        document = {"outcome": error.outcome, "exit_code": error.exit_code, "error": error.message}
        _print({**document, "details": error.details, "next": [error.remedy]}, (), json=True)
    _complain("\n".join(clean_line(line) for line in error.diagnostics().splitlines()))
    annotate(error.outcome, error.message)
    raise SystemExit(error.exit_code)


def annotate(title: str, message: str) -> None:
    """Show an error on the page of a GitHub run."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        lines = [harmless(STRUCK.text(line)) for line in message.splitlines()]
        _complain(github.annotation(title, "\n".join(lines)))


def _print_scan(scanned: Scanned, *, json: bool) -> None:
    """Print a scan; its verdict is the exit code."""
    lost = _print(scanned, cli_text.format_scan(scanned), json=json)
    codes = {Verdict.FINDINGS: Blocked.exit_code, Verdict.NOT_EXAMINED: NotExamined.exit_code}
    if code := codes.get(scanned.verdict):
        annotate("scan", scanned.line)
        raise SystemExit(code)
    if lost is not None:
        raise lost


def is_watched() -> bool:
    """Tell whether somebody sees what is told while a command goes on."""
    return Outlet(sys.stderr).isatty()


def secret(name: str) -> str:
    """Ask for a value without showing it.

    Or read it from standard input: it is never an argument.
    """
    given = sys.stdin  # None where it was closed before the program began
    if given is None:
        return ""
    try:
        text = getpass.getpass(f"{name}: ") if given.isatty() else given.read().removesuffix("\n")
        text.encode()
    except UnicodeError as error:  # of a terminal or a file of another encoding
        raise SettingsError(
            f"the value of {name} is no UTF-8", remedy="give it in UTF-8, or in plain letters"
        ) from error
    return text


def tell(value: Any, lines: Sequence[str], *, json: bool, code: int = 0) -> None:
    """Print a result, and end with its exit code.

    It is printed as lines, or as the JSON of *value*; a *code* of 0 ends nothing.

    Raises:
        SettingsError: it could not be written.
    """
    lost = _print(value, lines, json=json)
    if code:
        raise SystemExit(code)
    if lost is not None:
        raise lost


def _print(value: Any, lines: Sequence[str], *, json: bool) -> SettingsError | None:
    """Write a result to standard output.

    Returns:
        why it could not be written; None: it was, or nobody reads it.
    """
    if json:
        document = STRUCK.value(msgspec.to_builtins(value))
        text = redaction.document(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
    else:
        text = "\n".join(clean_line(line) for given in lines for line in given.splitlines() or [""])
    output = Outlet(sys.stdout)
    output.write(f"{text}\n")
    return None if output.lost is None or output.has_no_reader else _not_written(output.lost)


def _not_written(error: OSError) -> SettingsError:
    return SettingsError(
        f"the result could not be written to standard output: {error.strerror}",
        remedy="what was asked for is done: give it another place to write to, then look again",
    )


def _complain(text: str) -> None:
    """Write lines to standard error, which may have no reader left."""
    Outlet(sys.stderr).write(f"{text}\n")


def tell_as_they_come(lines: Iterable[LogLine], *, json: bool) -> None:
    """Print each line when it is there.

    As JSON it is one document a line. It ends where its reader does.

    Raises:
        Interrupted: that is how it ends otherwise.
        SettingsError: it could not be written.
    """
    output = Outlet(sys.stdout)
    try:
        for line in lines:
            if json:
                shown = redaction.document(msgspec.json.encode(STRUCK.value(msgspec.to_builtins(line))).decode())
            else:
                shown = clean_line(cli_text.format_log_line(line))
            output.write(f"{shown}\n")
            if output.lost is not None:
                break
    except Interrupted as error:
        error.remedy = "nothing was changed; inv logs shows it again"
        raise
    if output.lost is not None and not output.has_no_reader:
        raise _not_written(output.lost)


@contextmanager
def _signals(environment: str) -> Iterator[None]:
    """Turn the first signal into `Interrupted`; a second one ends the program.

    Python runs a handler only between two steps of the main thread, and what it raises may be taken for something else.
    So the signal is also seen by a thread, which ends the program when that has not ended by itself `HEEDED_WITHIN`.
    """

    def handle(number: int, _frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        name = signal.Signals(number).name
        raise Interrupted(f"stopped by {name}", remedy=remedies.about(environment, GO_ON))

    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    woken = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
    heard = [each for each in SIGNALS if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, handle) for each in heard}  # nohup goes on without a terminal
    threading.Thread(target=_insist, args=(theirs, environment), name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        ours.close()
        for each, handler in before.items():
            signal.signal(each, handler)


def _insist(woken: socket.socket, environment: str) -> None:
    """End the program after a signal that was not heeded.

    Some seconds later, or at the second one; what is recorded by then is enough to go on.
    """
    number = 0
    with woken:
        try:
            for _ in range(2):
                while (heard := woken.recv(1)) and heard[0] not in SIGNALS:
                    """Another signal."""
                if not heard:
                    return
                number = heard[0]
                woken.settimeout(HEEDED_WITHIN)
        except TimeoutError:
            """The end takes too long."""
    process.kill_all()
    name = signal.Signals(number).name
    error = Interrupted(f"stopped by {name}, in the middle", remedy=remedies.about(environment, GO_ON))
    with suppress(OSError):  # nobody reads it any more
        os.write(2, f"{error.diagnostics()}\n".encode(errors="replace"))
    os._exit(Interrupted.exit_code)
