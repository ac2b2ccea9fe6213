"""The CI that a command runs in: which run its jobs share, and what they hand to it.

GitHub Actions sets ``GITHUB_ACTIONS``, ``GITHUB_RUN_ID``, ``GITHUB_RUN_ATTEMPT``, ``GITHUB_ACTOR``, and names the files
for outputs and summary in ``GITHUB_OUTPUT`` and ``GITHUB_STEP_SUMMARY`` (docs.github.com, "Variables reference" and
"Workflow commands"). Another CI says ``DEPLOYLIB_RUN``: a word that all jobs of one run share; so may a person, whose
commands are one run then, on the local Render as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploylib import decoded
from deploylib.errors import SettingsError
from deploylib.models import Value
from deploylib.outcome import Report, StageResult, StageStatus
from deploylib.struck import harmless

__all__ = ["Build", "Tested", "annotation", "build", "hand_over", "publish", "summary", "tested"]

ADDRESS = re.compile(r"https?://[\w.~:/?#@!&+,;=%-]{1,1000}", re.ASCII)  # nothing of it is markup
HANDED_OVER = "DEPLOYLIB_TESTS"
LINE = 500  # characters: a variable of a program holds 128 KiB on Linux, and a result has some thirty lines, twice

SIGNS = {StageStatus.DONE: "✓", StageStatus.SKIPPED: "–", StageStatus.PLANNED: "→", StageStatus.FAILED: "✗"}


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


class Tested(Value, frozen=True):
    """What came of the product's tests, from the job that ran them: it has no key, so another job records it."""

    commit: str
    result: StageResult


def build(environ: Mapping[str, str], *, local: bool = False) -> Build | None:
    """The CI run that we are a job of; None on a person's machine.

    Args:
        local: on the local Render only what ``DEPLOYLIB_RUN`` names is shared: each job of a CI has a Render of its own.

    Raises:
        SettingsError: what it calls itself cannot be part of a key.
    """
    given = environ.get("DEPLOYLIB_RUN", "")
    if given and not re.fullmatch(r"[A-Za-z0-9._-]{1,80}", given):
        raise SettingsError(
            f"DEPLOYLIB_RUN is {given!r}: letters, digits, dot, dash, at most 80", remedy="give the CI's own run number"
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


def publish(report: Report, environ: Mapping[str, str]) -> None:
    """Hand a report to GitHub: outputs for the jobs after this one, and at the end of a run the summary."""
    if path := environ.get("GITHUB_OUTPUT"):
        _append(path, "".join(f"{name}={value}\n" for name, value in _outputs(report).items()))
    ended = report.outcome != "paused"
    if ended and (path := environ.get("GITHUB_STEP_SUMMARY")):
        _append(path, summary(report))


def hand_over(report: Report, environ: Mapping[str, str]) -> None:
    """Give what came of the tests to the jobs after this one, as the output ``result``."""
    path = environ.get("GITHUB_OUTPUT")
    if not path or report.commit is None:
        return
    for result in report.stages:
        failure = result.failure
        if failure is not None:
            failure = msgspec.structs.replace(failure, details=_cut(failure.details), error=failure.error[:LINE])
        shortened = msgspec.structs.replace(result, lines=_cut(result.lines), failure=failure)
        value = msgspec.json.encode(Tested(commit=report.commit.id, result=shortened)).decode()
        _append(path, f"result={value}\n")


def tested(environ: Mapping[str, str]) -> Tested | None:
    """What the job of the tests has handed over; None where there was none, or it did not come to its end.

    Raises:
        SettingsError: what is there is no such result.
    """
    text = environ.get(HANDED_OVER, "")
    if not text.strip():
        return None
    try:
        return decoded.json(text.encode(errors="replace"), Tested)
    except decoded.Undecodable as error:
        raise SettingsError(
            f"{HANDED_OVER} is not what inv tests --hand-over gives: {error}",
            remedy="give it the output `result` of that step as it is, or unset it",
        ) from error


def _cut(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line[:LINE] for line in lines[:40])


def annotation(title: str, message: str) -> str:
    """GitHub's command that shows an error on the run's page."""
    return f"::error title={_escaped(title, also=True)}::{_escaped(message)}"


def summary(report: Report) -> str:
    """A run as a table in Markdown; what comes from elsewhere is shown as it is and cannot format anything."""
    title = f"### {_plain(report.outcome)}: {_plain(report.environment)}"
    if report.commit is not None:
        title += f" ← `{report.commit.short}` {_plain(report.commit.subject)}"
    lines = [title, "", "| stage | | | s |", "|---|---|---|---|"]
    for one in report.stages:
        text = "<br>".join(_plain(line) for line in one.lines)
        lines.append(f"| {SIGNS[one.status]} {one.status} | {one.stage} | {text} | {one.seconds:.1f} |")
    lines += [f"\n**{_plain(report.error)}**"] if report.error else []
    lines += [f"- put back: {_plain(f'{one.service} {one.text}')}" for one in report.put_back]
    live = ((one, one.url if ADDRESS.fullmatch(one.url) else "") for one in report.live)
    lines += ["", *(f"- live: {_plain(one.service)} `{one.commit[:7] or 'nothing'}` {url}" for one, url in live)]
    lines += [f"- next: {_plain(line)}" for line in report.next]
    return "\n".join(lines) + "\n\n"


def _outputs(report: Report) -> dict[str, str]:
    url = next((one.url for one in report.live if one.url), "")
    told = {"run": report.run, "outcome": report.outcome, "services": json.dumps(report.deploying), "url": url}
    # A second line would be another output; JSON has one, and must not be cut.
    return {name: value if name == "services" else harmless(value) for name, value in told.items()}


def _append(path: str, text: str) -> None:
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SettingsError(
            f"what a job hands on cannot be written to {path}: {error.strerror}",
            remedy="unset GITHUB_OUTPUT and GITHUB_STEP_SUMMARY where this is no job of GitHub; what was done is in inv history",
        ) from error


def _escaped(text: str, *, also: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if also else text


def _plain(text: str) -> str:
    """Text in which nothing is markup."""
    text = harmless(text.replace("\n", " ")).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]#|~@$])", r"\\\1", text)
    return re.sub(r"(?<=:)(?=//)|(?<=www)(?=\.)", r"\\", text, flags=re.IGNORECASE)  # an address alone becomes a link
