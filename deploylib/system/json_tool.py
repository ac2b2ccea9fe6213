"""Asking another program: the JSON that it prints is its answer, and nothing else is.

Exit codes say too little: pip-audit ends with 0 when it was told nothing about any package, and with 1 for a finding, a
service that is down and a bug alike. Why there is no answer is said in words of ours, as a program may quote anything.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import TypeVar

from deploylib.errors import SettingsError
from deploylib.models import decoding
from deploylib.system.clock import Deadline
from deploylib.system.process import MOST, Command, ProgramFailed, Runner

__all__ = ["TRIES", "Silence", "ask", "insist"]

TRIES = 3
PATIENCE = 60.0
TROUBLES = (
    (r"(\d{3}) (?:Client|Server) Error", "answered {}"),
    (r"refused", "refuses the connection"),
    (r"NameResolution|resolve|getaddrinfo", "is not found on the network"),
    (r"[Tt]imed? ?out", "did not answer in time"),
    (r"SSL|[Cc]ertificate", "shows a certificate that is not trusted"),
    (r"ConnectionError|ProtocolError", "broke the connection"),
)
Answer = TypeVar("Answer")


class Silence(Exception):
    """There is no answer.

    Attributes:
        reason: why; nothing of what the program printed.
        missing: the program is not installed, so that nobody need ask again.
    """

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.missing = missing


def ask(command: Command, form: type[Answer], who: str, *, runner: Runner) -> Answer:
    """What the program answers.

    Args:
        form: of its answer, which may itself raise `Silence` when it says that it is none.
        who: whom the reason names: the program, or the service that it asks.

    Raises:
        Silence: it is not installed, did not end in time, or printed something else.
    """
    module = command.args[2] if command.args[1] == "-m" else command.name
    missing = Silence(f"{module.replace('_', '-')} is not installed", missing=True)
    try:
        done = runner.run(command)
    except SettingsError as error:
        raise missing from error
    except ProgramFailed as error:
        raise Silence(f"{who} did not answer in time") from error
    try:
        return decoding.json(done.stdout, form, most=MOST)
    except decoding.Misshapen as error:
        raise Silence(f"{who} answers in a form that is not known") from error
    except decoding.Undecodable as error:
        said = done.stderr.decode(errors="replace")
        if re.search(rf"No module named '?{module}", said):
            raise missing from error
        troubles = ((re.search(words, said), meaning) for words, meaning in TROUBLES)
        known = next((meaning.format(*found.groups()) for found, meaning in troubles if found), "")
        raise Silence(f"{who} {known or f'gave no answer; the program ended with code {done.returncode}'}") from error


def insist(command: Command, form: type[Answer], who: str, *, runner: Runner, deadline: Deadline) -> Answer:
    """What the program answers when it is asked again, a few times with growing pauses; see `ask`.

    Raises:
        Silence: the last one.
    """
    silence = Silence("time ran out")
    for attempt in range(TRIES):
        if attempt:
            pause = 2 ** (attempt - 1) * random.uniform(1, 2)  # noqa: S311 - spreads those who ask
            deadline.clock.sleep(min(pause, deadline.left()))
        if deadline.passed():
            break
        try:
            return ask(replace(command, timeout=min(PATIENCE, deadline.left())), form, who, runner=runner)
        except Silence as error:
            silence = error
            if error.missing:
                break
    raise silence
