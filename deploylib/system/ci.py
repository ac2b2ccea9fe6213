"""The CI that a command runs in.

Which run its jobs share, and what they hand to it.

GitHub Actions sets ``GITHUB_ACTIONS``, ``GITHUB_RUN_ID``, ``GITHUB_RUN_ATTEMPT``, ``GITHUB_ACTOR``, and names the files
for outputs and summary in ``GITHUB_OUTPUT`` and ``GITHUB_STEP_SUMMARY`` (docs.github.com, "Variables reference" and
"Workflow commands"). Another CI says ``DEPLOYLIB_RUN``: a word that all jobs of one run share; so may a person, whose
commands are one run then, on the local Render as well.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploylib.errors import SettingsError
from deploylib.models import StageName, Value, decoding
from deploylib.models.results import StageResult

__all__ = [
    "HANDED_OVER",
    "Build",
    "GateResult",
    "append",
    "count_bytes",
    "hand_over",
    "name_machine",
    "read_build",
    "read_gate",
]

HANDED_OVER = {StageName.TESTS: "DEPLOYLIB_TESTS", StageName.SCAN: "DEPLOYLIB_SCAN"}
LINE = 500  # characters: a variable of a program holds 128 KiB on Linux, and a result has some thirty lines, twice


class Build(Value, frozen=True):
    """One run of a CI.

    Attributes:
        id: what all its jobs share and no other run has: of GitHub's, run id and attempt.
        url: where a person can look at it.
        earlier: the ids of the attempts before it: what they have found out is not this one's.
    """

    id: str
    author: str = ""
    url: str = ""
    earlier: tuple[str, ...] = ()


class GateResult(Value, frozen=True):
    """What came of a gate, from the job that passed it.

    It has no key, so another job records it.
    """

    commit: str
    result: StageResult


def read_build(environ: Mapping[str, str], *, local: bool = False) -> Build | None:
    """Read which CI run we are a job of.

    None on a person's machine.

    Args:
        local: on the local Render only what ``DEPLOYLIB_RUN`` names is shared: each job of a CI has a Render of its own.

    Raises:
        SettingsError: what it calls itself cannot be part of a key.
    """
    given = environ.get("DEPLOYLIB_RUN", "")
    if given and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", given):
        raise SettingsError(
            f"DEPLOYLIB_RUN is {given!r}: letters, digits, dot, dash, at most 80, and a letter or digit first",
            remedy="give the CI's own run number",
        )
    github = environ.get("GITHUB_ACTIONS") == "true" and environ.get("GITHUB_RUN_ID", "")
    author = environ.get("GITHUB_ACTOR", "")
    if not github or (local and not given):
        return Build(id=given, author=author or environ.get("USER", "")) if given else None
    where = f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{environ.get('GITHUB_REPOSITORY', '')}"
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "1")
    number = int(attempt) if attempt.isascii() and attempt.isdigit() else 1
    return Build(
        id=given or f"{github}-{attempt}",
        author=author,
        url=f"{where}/actions/runs/{github}",
        earlier=() if given else tuple(f"{github}-{before}" for before in range(max(1, number - 20), number)),
    )


def hand_over(commit: str, result: StageResult, environ: Mapping[str, str]) -> None:
    """Give what came of a gate to the jobs after this.

    It is the output ``result``.
    """
    path = environ.get("GITHUB_OUTPUT")
    if not path:
        return
    failure = result.failure
    if failure is not None:
        failure = msgspec.structs.replace(failure, details=_cut(failure.details), error=failure.error[:LINE])
    shortened = msgspec.structs.replace(result, lines=_cut(result.lines), failure=failure)
    value = msgspec.json.encode(GateResult(commit=commit, result=shortened)).decode()
    append(path, f"result={value}\n")


def read_gate(environ: Mapping[str, str], gate: StageName) -> GateResult | None:
    """Read what the job of a gate has handed over.

    None where there was none, or it did not come to its end.

    Raises:
        SettingsError: what is there is no such result.
    """
    variable = HANDED_OVER[gate]
    text = environ.get(variable, "")
    if not text.strip():
        return None
    remedy = "give it the output `result` of that step as it is, or unset it"
    try:
        handed = decoding.json(text.encode(errors="replace"), GateResult)
    except decoding.Undecodable as error:
        raise SettingsError(f"{variable} is not what inv {gate} --hand-over gives: {error}", remedy=remedy) from error
    if handed.result.stage != gate:
        raise SettingsError(f"{variable} is not what inv {gate} --hand-over gives", remedy=remedy)
    return handed


def _cut(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line[:LINE] for line in lines[:40])


def count_bytes(path: str) -> int:
    """Count the bytes of a file of the CI.

    0: there is none yet.
    """
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def append(path: str, text: str) -> None:
    """Add a text to a file of the CI."""
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SettingsError(
            f"what a job hands on cannot be written to {path}: {error.strerror}",
            remedy="unset GITHUB_OUTPUT and GITHUB_STEP_SUMMARY where this is no job of GitHub; what was done is in inv history",
        ) from error


def name_machine(environ: Mapping[str, str]) -> str:
    """Name the machine that measures.

    Times of two of them do not compare.

    A runner that GitHub hosts is one of a kind of which each has another name.
    """
    hosted = environ.get("RUNNER_ENVIRONMENT") == "github-hosted"
    own = f"github-hosted {environ.get('RUNNER_OS', '')}" if hosted else platform.node()
    return f"{own}, {os.cpu_count()} {platform.machine()}"
