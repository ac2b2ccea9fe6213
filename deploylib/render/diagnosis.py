"""Diagnose why a deploy did not go live.

The platform's word, its event, and the last words of the program.

Where those are the sign of something well known, they are told as that, with what helps: the words of shells (127: not
found), of Render's own log (docs, "Troubleshooting deploys": a publish directory that does not exist, no open ports) and of
the local Render.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from deploylib.errors import (
    BuildFailed,
    Contradiction,
    DeployError,
    DeployStopped,
    ForeignDeploy,
    Interrupted,
    QuotaUsedUp,
    StartFailed,
    Unhealthy,
)
from deploylib.models import Deploy, DeployStatus, Order, Value
from deploylib.render.client import Client

__all__ = [
    "Diagnosis",
    "between",
    "diagnose",
    "explain_replaced",
    "failure",
    "find_first_error",
    "last_words",
    "meaning",
    "unhealthy",
]

TRACEBACK = "Traceback (most recent call last)"
# The word as compilers, package managers and interpreters say it; and what only looks like it.
ERROR = re.compile(
    r"\b(?:[A-Z]\w*Error|error(?: [A-Z]+\d+)?|ERR!|ERROR|FATAL|fatal|panic)(?:\[\w+\])?(?::|\b(?= [A-Z]+\d+:)| (?=\S))"
)
HARMLESS = re.compile(
    r"\b(?:0|no) errors?\b|\bwarn(?:ing)?\b|^(?:added|Collecting|Downloading|Installing|Using) ", re.IGNORECASE
)
MOST = 100  # lines that the platform gives at once
PAGES = 5  # of them, of a long build
NOTHING = ("(it wrote nothing)",)
CORRECT = "correct it, commit, inv deploy"
AROUND = timedelta(minutes=1)  # the event may be a little older than the deploy
LAST_LINES = 20  # a crash of Node shows its cause above a dozen lines of stack
PUBLISH = re.compile(r"(?i:publish) (?:directory|path) [`'\"]?(?P<what>[^\s`'\"]+)[`'\"]? does not exist")
NAME = r"(?P<{}>[\w.@/+-]+)"
TOOL = re.compile(
    rf": (?:line )?\d+: {NAME.format('script')}: (?:command )?not found"
    rf"|sh: {NAME.format('shell')}: (?:command )?not found"
    rf"|sh: command not found: {NAME.format('zsh')}"
    rf"|env: [\u2018'`]?{NAME.format('env')}[\u2019'`]?: No such file or directory"
)
ELSEWHERE = re.compile(r"it listens on port (?P<what>\d+(?:, \d+)*), and not on")
UNSET = re.compile(r"no value here for (?P<what>\w+(?:, \w+)*), which the Blueprint leaves out")
GROUP = re.compile(r"nothing here of a group of variables that the account holds")
PACKAGE = re.compile(
    r"npm (?:error|ERR!) 404\s+(?:The requested resource )?'(?P<npm>@?[\w./-]+@[\w.^~*-]+)"
    r"|ERROR: No matching distribution found for (?P<pip>[\w.=<>!~-]+)"
)
UNFETCHED = re.compile(r"submodule (?P<what>.+) is not in this clone: (?P<how>git submodule .+)")
NO_PORT = re.compile(r"no open (?:HTTP )?ports", re.IGNORECASE)
HOW = {
    "pnpm": "corepack enable, or npm install --global pnpm",
    "yarn": "corepack enable, or npm install --global yarn",
    "bun": "npm install --global bun",
    "uv": "pip install uv",
    "poetry": "pip install poetry",
    "pipenv": "pip install pipenv",
    "pdm": "pip install pdm",
    "npm": "install Node",
    "npx": "install Node",
    "node": "install Node",
}
PORT = "let it listen at 0.0.0.0 on the port that PORT names (process.env.PORT, os.environ['PORT']), commit, inv deploy"


class Diagnosis(Value, frozen=True):
    """A cause in words, and what helps.

    Attributes:
        is_certain: not only what may be the cause.
    """

    cause: str
    remedy: str
    is_certain: bool = True


def explain_replaced(order: Order, deploy: Deploy, client: Client) -> DeployError:
    """Explain a deploy that ended canceled or replaced.

    Somebody else's took its place, or it was stopped.
    """
    if (used_up := _used_up(order, deploy, client)) is not None:
        return used_up
    newest = next(iter(client.deploys(order.target.service_id, limit=1)), None)
    if newest is None:
        return Contradiction(
            f"{order.target.name}: the platform lists no deploy, and {deploy.id} was {deploy.status}",
            remedy=f"see the service ({order.target.dashboard_url or 'in the Render Dashboard'})",
            service=order.target.name,
        )
    if newest.id != deploy.id:
        return ForeignDeploy(
            f"{order.target.name}: {newest.id} ({newest.commit[:7]}, trigger {newest.trigger}) took the place of our deploy",
            remedy="inv status shows what is live; deploy again when nobody else does",
            service=order.target.name,
            commit=newest.commit,
        )
    return DeployStopped(
        f"{order.target.name}: the deploy was canceled",
        remedy="if you did not cancel it: inv deploy",
        service=order.target.name,
    )


def _used_up(order: Order, deploy: Deploy, client: Client) -> QuotaUsedUp | None:
    """Explain a failure by the workspace's quota.

    None: the platform has told of none since the deploy was made.
    """
    if deploy.created_at is None or not client.has_used_up_minutes(order.target.service_id, deploy.created_at - AROUND):
        return None
    return QuotaUsedUp(
        f"{order.target.name}: the workspace has no build minutes left, so the platform has stopped the deploy",
        remedy="add build minutes or raise the spend limit (Render Dashboard → Billing), or wait for the next month; then inv deploy",
        service=order.target.name,
    )


def failure(order: Order, deploy: Deploy, client: Client) -> DeployError:
    """Explain a failed deploy as an error.

    Its kind from the status, the cause from its event, the last words from its log.
    """
    name = order.target.name
    if (used_up := _used_up(order, deploy, client)) is not None:
        return used_up
    cause = client.failure(order.target.service_id, deploy.id)
    code = cause.get("nonZeroExit")
    ended = f"exited with code {code}" if code else "ended" if cause.get("earlyExit") else ""
    if deploy.status is DeployStatus.BUILD_FAILED:
        lines = _read_log(order, deploy, client, "build")
        details = _last(lines)
        why, remedy = diagnose(details, client, "correct the build, commit, inv deploy")
        first = find_first_error(lines if len(lines) < MOST else _whole_build(order, deploy, client))
        if first and not set(first) <= set(details):
            details = (*first, "…", *details)
        why = why or (f": {first[-1].strip()}" if first else "")
        return BuildFailed(f"{name}: the build {ended or 'failed'}{why}", details=details, remedy=remedy, service=name)
    details = last_words(order, deploy, client, "app")
    if deploy.status is DeployStatus.PRE_DEPLOY_FAILED:
        if details == NOTHING:  # the documents do not say to which of the two logs its words belong
            details = last_words(order, deploy, client, "build")
        why, remedy = diagnose(details, client, CORRECT)
        return StartFailed(
            f"{name}: the pre-deploy command {ended or 'failed'}{why}", details=details, remedy=remedy, service=name
        )
    if ended or "oomKilled" in cause:
        what = "ran out of memory" if "oomKilled" in cause else ended
        lasted = between(deploy.started_at, deploy.finished_at)
        took = f", {lasted:.1f} s after the deploy began" if lasted is not None else ""
        why, remedy = diagnose(details, client, CORRECT)
        return StartFailed(f"{name}: the program {what}{took}{why}", details=details, remedy=remedy, service=name)
    return unhealthy(order, client, details, str(cause.get("unhealthy") or ""))


def unhealthy(order: Order, client: Client, details: tuple[str, ...], why: str) -> Unhealthy:
    """Explain a program that runs and is not well.

    At another port, or for a reason that the platform tells.
    """
    path = order.target.health_path or "its port"
    known, remedy = diagnose((*details, why), client, f"make {path} answer 2xx within 5 s, commit, inv deploy")
    words = f": {why}" if why else known
    return Unhealthy(
        f"{order.target.name}: it runs, but {path} did not answer well{words}",
        details=details,
        remedy=remedy,
        service=order.target.name,
    )


def diagnose(lines: tuple[str, ...], client: Client, otherwise: str) -> tuple[str, str]:
    """Explain last words: what they mean, and what helps.

    As the end of a sentence; where they say nothing, that is empty and the step the usual one.
    """
    known = meaning(lines, local=client.is_local)
    if known is None:
        return "", otherwise
    return (f": {known.cause}", known.remedy) if known.is_certain else ("", f"{otherwise}; {known.remedy}")


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Count the seconds between two moments of the platform.

    None where it has not told both.
    """
    return (end - start).total_seconds() if start and end else None


def last_words(order: Order, deploy: Deploy, client: Client, kind: str) -> tuple[str, ...]:
    """Read what the build or the new program said last.

    A log that cannot be read must not hide the failure itself.
    """
    return _last(_read_log(order, deploy, client, kind))


def _last(lines: list[str]) -> tuple[str, ...]:
    return tuple(lines[-LAST_LINES:]) or NOTHING


def _read_log(order: Order, deploy: Deploy, client: Client, kind: str) -> list[str]:
    """Read the end of a log; where it cannot be, say why."""
    target = order.target
    try:
        lines = client.logs(target.owner_id, target.service_id, kind, deploy.created_at, limit=MOST)
        serving = client.instances(target.service_id) if kind == "app" else set()
    except Interrupted:
        raise
    except DeployError as error:
        return [f"(its log cannot be read: {error.message})"]
    return [line.text.rstrip() for line in lines if line.text.strip() and line.instance not in serving]


def _whole_build(order: Order, deploy: Deploy, client: Client) -> list[str]:
    """Read the log of a build from its beginning.

    As far as it is read; empty: it cannot be.
    """
    target = order.target
    query: dict[str, object] = {"ownerId": target.owner_id, "resource": [target.service_id], "type": ["build"]}
    query |= {"startTime": deploy.created_at.isoformat()} if deploy.created_at else {}
    lines: list[str] = []
    try:
        for _ in range(PAGES):
            page = client.log_page(query)
            lines += [line.text.rstrip() for line in page.lines]
            if not page.more:
                break
            query |= {"startTime": page.start, "endTime": page.end}
    except Interrupted:
        raise
    except DeployError:
        return lines  # its end is told all the same
    return lines


def find_first_error(lines: Sequence[str]) -> tuple[str, ...]:
    """Find the first line that tells a real error; empty: none does.

    What comes later mostly follows from it. Of a traceback of Python it is all of it, whose last line names the error.
    """
    for at, line in enumerate(lines):
        if line.startswith(TRACEBACK):
            end = next((n for n in range(at + 1, len(lines)) if not lines[n].startswith(" ")), len(lines) - 1)
            return tuple(lines[max(at, end - LAST_LINES) : end + 1])
        if ERROR.search(line) and not HARMLESS.search(line):
            return (line,)
    return ()


def meaning(lines: Iterable[str], *, local: bool) -> Diagnosis | None:
    """Find what the last known line of these means.

    None where none is.

    That a value is lacking is said after every failure: it is the cause where a line of the program names it, or none
    tells an error, and may be it otherwise.

    Args:
        local: it was said on this machine, by the local Render.
    """
    newest_first = list(reversed(list(lines)))
    certain = (_known(line, local=local) for line in newest_first)
    lacking = (_lacking(line, newest_first) for line in newest_first)
    return next((one for one in (*certain, *lacking) if one is not None), None)


def _known(line: str, *, local: bool) -> Diagnosis | None:
    if match := PUBLISH.search(line):
        return Diagnosis(
            f"the build has made no {match['what']!r}",
            "let staticPublishPath name the folder that the build makes, from rootDir, commit, inv deploy",
        )
    if match := TOOL.search(line):
        return _tool(next(name for name in match.groups() if name).rpartition("/")[2], local=local)
    if match := PACKAGE.search(line):
        package = next(name for name in match.groups() if name)
        step = f"name a {package.partition('=')[0]} that is there, or the registry that has it, commit, inv deploy"
        return Diagnosis(f"the registry has no {package}", step)
    if match := UNFETCHED.search(line):
        return Diagnosis(f"its submodule {match['what']} is not in this clone", f"{match['how']}, then inv deploy")
    if match := ELSEWHERE.search(line):
        return Diagnosis(f"it listens on port {match['what']}", PORT)
    return Diagnosis("it has opened no port", PORT) if NO_PORT.search(line) else None


def _lacking(line: str, lines: Sequence[str]) -> Diagnosis | None:
    if match := UNSET.search(line):
        return _unset(match["what"].split(", "), [each for each in lines if not UNSET.search(each)])
    if GROUP.search(line):
        step = "inv local.env NAME for each variable of it that is needed, then inv deploy"
        return Diagnosis("nothing is here of a group of variables that the account holds", step)
    return None


def _unset(lacking: Sequence[str], lines: Sequence[str]) -> Diagnosis:
    """Name variables that the local Render has no value of.

    Nothing is wrong with the commit where that is the cause: those that the program names, or all, where it tells no error.
    """
    named = [name for name in lacking if any(re.search(rf"\b{re.escape(name)}\b", line) for line in lines)]
    first, *others = names = named or lacking
    more = f" (and so for {', '.join(others)})" if others else ""
    cause = f"{', '.join(names)} {'have' if others else 'has'} no value here"
    step = f"inv local.env {first}{more}, then inv deploy"
    if named or not find_first_error(lines):
        return Diagnosis(cause, step)
    return Diagnosis(cause, f"or, as {cause}, where that is why: {step}", is_certain=False)


def _tool(name: str, *, local: bool) -> Diagnosis:
    if name not in HOW:
        step = (
            f"see that {name} is among what the build command installs, or install it where that runs; then inv deploy"
        )
        return Diagnosis(f"{name} was not found", step)
    if local:
        return Diagnosis(f"{name} is not on this machine", f"install {name} here ({HOW[name]}), then inv deploy")
    step = f"let the build command install {name} first ({HOW[name]}), commit, inv deploy"
    return Diagnosis(f"there is no {name} in the runtime of the service", step)
