"""What the last words of a build or a program mean, where they are the sign of something well known, and what helps then.

The words are those of shells (127: not found), of Render's own log (docs, "Troubleshooting deploys": a publish directory that
does not exist, no open ports) and of the local Render.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from deploylib.models import Value

__all__ = ["Diagnosis", "of"]

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
    """A cause in words, and what helps."""

    cause: str
    remedy: str


def of(lines: Iterable[str], *, local: bool) -> Diagnosis | None:
    """What the last of these lines that is known means; None where none is.

    Args:
        local: it was said on this machine, by the local Render.
    """
    return next((known for line in reversed(list(lines)) if (known := _known(line, local=local)) is not None), None)


def _known(line: str, *, local: bool) -> Diagnosis | None:
    if found := PUBLISH.search(line):
        return Diagnosis(
            f"the build has made no {found['what']!r}",
            "let staticPublishPath name the folder that the build makes, from rootDir, commit, inv deploy",
        )
    if found := TOOL.search(line):
        return _tool(next(name for name in found.groups() if name).rpartition("/")[2], local=local)
    if found := UNSET.search(line):
        return _unset(found["what"].split(", "))
    if GROUP.search(line):
        step = "inv local.env NAME for each variable of it that is needed, then inv deploy"
        return Diagnosis("nothing is here of a group of variables that the account holds", step)
    if found := ELSEWHERE.search(line):
        return Diagnosis(f"it listens on port {found['what']}", PORT)
    return Diagnosis("it has opened no port", PORT) if NO_PORT.search(line) else None


def _unset(names: list[str]) -> Diagnosis:
    """Variables that the local Render has no value of: nothing is wrong with the commit."""
    first, *others = names
    more = f" (and so for {', '.join(others)})" if others else ""
    have = "have" if others else "has"
    return Diagnosis(f"{', '.join(names)} {have} no value here", f"inv local.env {first}{more}, then inv deploy")


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
