"""Between a command line and the library: settings and view in, one printed result and one exit code out."""

from __future__ import annotations

import getpass
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from deploylib import ci, remedies, report, struck, threads, view
from deploylib.clock import SYSTEM as CLOCK
from deploylib.config import Config, load
from deploylib.errors import Blocked, Interrupted, NotExamined, SettingsError
from deploylib.examined import Scanned, Verdict
from deploylib.outcome import Report
from deploylib.process import SYSTEM as RUNNER
from deploylib.process import kill_all, undumpable
from deploylib.stages import Context
from deploylib.struck import Struck, harmless, no_command

STRUCK = Struck()  # what this process must not print, from the first command on

__all__ = ["annotate", "beside", "crashed", "judge", "session", "settings", "show", "shown", "tell"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GO_ON = "inv deploy goes on where this stopped"
HEEDED_WITHIN = 8.0  # seconds: a runner of CI kills after ten, and says so to nobody


def settings(environment: str, *, looking: bool = False) -> Config:
    """The settings of the product that the current folder is in, from the top of its working copy.

    Args:
        looking: see `deploylib.config.load`.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise SettingsError(
            "the current folder is gone", remedy="cd to the product's folder, and the same again"
        ) from error
    top = next((folder for folder in (here, *here.parents) if _is_top(folder)), here)
    return load(top, environment, os.environ, looking=looking)


def _is_top(folder: Path) -> bool:
    """Whether it is that of a working copy; one that we may not look into is none that we could use."""
    with suppress(OSError):
        return (folder / ".git").exists()
    return False


@contextmanager
def session(environment: str, **options: Any) -> Iterator[Context]:
    """Everything a command of the library works with; Ctrl-C and SIGTERM end it in order."""
    config = settings(environment, looking=options.get("asked") == "check")
    options["ref"] = options.get("ref") or None
    for name in ("skip", "only"):  # --skip tests,scan is the same as --skip tests --skip scan
        options[name] = tuple(word for given in options.get(name) or () for word in given.replace(",", " ").split())
    for secret in config.known_secrets:
        STRUCK.learn(secret)
    undumpable()
    sys.excepthook = crashed
    logging.getLogger("stamina").setLevel(logging.ERROR)  # another try is no news; giving up is told by the error
    threads.reserve_little()
    with _signals(environment), view.choose(sys.stderr, os.environ, CLOCK, shown) as chosen:
        yield Context(config=config, runner=RUNNER, clock=CLOCK, view=chosen, struck=STRUCK, **options)


def shown(line: str) -> str:
    """One line as it may be printed, whoever has written it; a container in a job of GitHub does not know that it is in one."""
    return no_command(harmless(STRUCK.text(line)))


def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback as anything else is printed: its last line may quote a driver that quotes a password."""
    lines = "".join(traceback.format_exception(kind, error, trace)).splitlines()
    sys.stderr.write("".join(f"{shown(line)}\n" for line in lines))


def beside(ctx: Context, environment: str) -> Context:
    """Another environment of the same product, only to be looked at."""
    return Context(
        config=settings(environment), runner=ctx.runner, clock=ctx.clock, view=ctx.view, dry=True, struck=ctx.struck
    )


def show(result: Report, *, json: bool, hand_over: bool = False) -> None:
    """Print a report, hand it to the CI, and end the program with its exit code if that is not 0.

    Args:
        hand_over: its stages as well, for the jobs after this one, which record them.
    """
    tell(result, report.text(result).splitlines(), json=json)
    try:
        ci.publish(result, os.environ)
        if hand_over:
            ci.hand_over(result, os.environ)
    except SettingsError as error:
        if hand_over or result.outcome == "paused":  # the jobs after this one go by it
            raise
        sys.stderr.write(f"{shown(error.message)}\n")  # what came of the run is what it is
    if result.exit_code:
        annotate(result.outcome, result.error)
        raise SystemExit(result.exit_code)


def annotate(title: str, message: str) -> None:
    """Show an error on the page of a GitHub run; of no meaning elsewhere."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        lines = [harmless(STRUCK.text(line)) for line in message.splitlines()]
        sys.stderr.write(ci.annotation(title, "\n".join(lines)) + "\n")


def judge(found: Scanned, *, json: bool) -> None:
    """Print a scan, and end the program with its verdict's exit code if that is not 0."""
    tell(found, report.scanned(found), json=json)
    codes = {Verdict.FINDINGS: Blocked.exit_code, Verdict.NOT_EXAMINED: NotExamined.exit_code}
    if code := codes.get(found.verdict):
        annotate("scan", found.line)
        raise SystemExit(code)


def secret(name: str) -> str:
    """A value that is asked for without showing it, or read from standard input: never an argument."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{name}: ")
    return sys.stdin.read().removesuffix("\n")


def tell(value: Any, lines: Sequence[str], *, json: bool, code: int = 0) -> None:
    """Print a result to standard output: as lines, or as the JSON of *value*; then end the program with a *code* but 0."""
    if json:
        told = STRUCK.value(msgspec.to_builtins(value))
        text = struck.document(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        text = "\n".join(shown(line) for given in lines for line in given.splitlines() or [""])
    if "utf" not in (sys.stdout.encoding or "").lower():
        text = "\n".join(report.ascii_only(line) for line in text.splitlines())
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    if code:
        raise SystemExit(code)


@contextmanager
def _signals(environment: str) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into `Interrupted`; a second one ends the program at once.

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
    before = {each: signal.signal(each, handle) for each in SIGNALS}
    threading.Thread(target=_insist, args=(theirs, environment), name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        ours.close()
        for each, handler in before.items():
            signal.signal(each, handler)


def _insist(woken: socket.socket, environment: str) -> None:
    """End the program some seconds after a signal, or at the second one; what is recorded by then is enough to go on."""
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
    kill_all()
    name = signal.Signals(number).name
    error = Interrupted(f"stopped by {name}, in the middle", remedy=remedies.about(environment, GO_ON))
    os.write(2, f"{error.diagnostics()}\n".encode(errors="replace"))
    os._exit(Interrupted.exit_code)
