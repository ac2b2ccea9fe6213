"""Find all that a release lacks here, before anybody is asked.

Otherwise the stage that cannot do without a package, a tool or a store finds that out by itself, one after the other.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Self

import msgspec

from deploylib.errors import DeployError, SettingsError, Unreachable
from deploylib.models import PathFilter
from deploylib.models.extras import install_command, missing_packages
from deploylib.models.globs import matches
from deploylib.models.units import words
from deploylib.scanners import package_files
from deploylib.settings import BOT, JSON_WEBHOOK, WEBHOOK, Config

__all__ = ["REMEDY", "CheckFinding", "missing", "path"]

REMEDY = " → "  # stands between what was found and what is to be done

NODE = ("node", "npm", "npx")
LOOPBACK = r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?/\S*"
# Of Slack itself the form is known; whoever stands before it may have another one.
SLACK_WEBHOOK = re.compile(
    rf"https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/\S+/\S+|https://(?!hooks\.slack)[^/\s]+/\S*|{LOOPBACK}"
)
JSON_ADDRESS = re.compile(rf"https://[^/\s]+\S*|{LOOPBACK}")
SLACK_TOKEN = re.compile(r"xox[be]-[\w.-]+|xoxe\.xoxb-[\w.-]+")


class CheckFinding(msgspec.Struct, frozen=True):
    """Something that must be put right first, and how.

    Attributes:
        unreachable: somebody did not answer, or not to us; what else there is to find is not known.
    """

    text: str
    remedy: str
    unreachable: bool = False

    @classmethod
    def of(cls, error: DeployError) -> Self:
        """Make a finding of an error, as one of several."""
        unreachable = error.exit_code == Unreachable.exit_code
        return cls("; ".join((error.message, *error.details)), error.remedy, unreachable)


def missing(
    config: Config, *, stages: Collection[str], files: Collection[str], database: bool, asked: bool = False
) -> list[CheckFinding]:
    """Find what the stages to come lack here.

    Args:
        stages: those of the run that are not done yet, nor left out.
        files: those of the commit.
        database: the product has one that is opened from here.
        asked: by somebody who wants to know: also a store, and what only the message about the run's end lacks.
    """
    return [
        *(_store(config) if asked else ()),
        *(_channels(config) if asked else ()),
        *_packages(config, stages, database=database, asked=asked),
        *_programs(config, stages, files, database=database),
        *(_smoke(config) if asked or "verify" in stages else ()),
    ]


def path(config: Config) -> str:
    """List the folders in which the product's commands are looked for.

    Beside this interpreter, then as everywhere.
    """
    return f"{Path(sys.executable).parent}{os.pathsep}{config.environ.get('PATH', '')}"


def _store(config: Config) -> list[CheckFinding]:
    """Find what the store lacks.

    The keys are told by who uses them.
    """
    try:
        config.require_shared_store()
    except SettingsError as error:
        return [CheckFinding.of(error)]
    return []


def _packages(config: Config, stages: Collection[str], *, database: bool, asked: bool) -> list[CheckFinding]:
    wanted = {
        "postgres": ("the database", database, ("psycopg",)),
        "s3": (f"the store {config.store}", config.store.startswith("s3://"), ()),
        "scan": ("the scan", "scan" in stages and not config.is_local, ()),
        "load": ("the load test", asked and config.environment.loadtest.rate > 0, ()),  # a release goes on without
        "notify": ("Slack", asked and (config.webhook or config.slack_token) is not None, ()),
    }
    findings = []
    for extra, (what, needed, only) in wanted.items():
        gone = [name for name in missing_packages(extra) if not only or name.startswith(only)] if needed else []
        if gone:
            some = "packages are" if len(gone) > 1 else "package is"
            text = f"{what}: {len(gone)} {some} not installed: {', '.join(gone)}"
            findings.append(CheckFinding(text, install_command(extra)))
    return findings


def _smoke(config: Config) -> list[CheckFinding]:
    """Find secrets of smoke requests that are not set."""
    named = {
        variable: f"services.{name}.smoke, {request.name}"
        for name, service in config.settings.services.items()
        for request in service.smoke
        for variable in request.send_env.values()
    }
    return [
        CheckFinding(
            f"{variable} is not set: {where} sends it in a header",
            f"{config.explain_setting(variable)}, or take the header out",
        )
        for variable, where in named.items()
        if config.secret(variable) is None
    ]


def _channels(config: Config) -> list[CheckFinding]:
    """Secrets of channels that are none by their shape.

    They are never quoted, and nobody is asked: a look tells nobody anything.
    """
    chosen, findings = config.environment, []
    for secret, name, pattern, like in (
        (
            config.webhook,
            chosen.slack_webhook_env or WEBHOOK,
            SLACK_WEBHOOK,
            "https://hooks.slack.com/services/T…/B…/…",
        ),
        (config.json_webhook, chosen.webhook_env or JSON_WEBHOOK, JSON_ADDRESS, "https://…"),
        (config.slack_token, chosen.slack_token_env or BOT, SLACK_TOKEN, "xoxb-…, the token of a bot"),
    ):
        if secret is not None and not pattern.fullmatch(secret.reveal()):
            findings.append(CheckFinding(f"{name} is set, and is not like {like}", config.explain_setting(name)))
    return findings


def _programs(config: Config, stages: Collection[str], files: Collection[str], *, database: bool) -> list[CheckFinding]:
    settings = config.settings
    ignored = PathFilter(paths=settings.scan.ignored)
    locks = [name for name in sorted(files) if posixpath.basename(name) in package_files.NPM_LOCKS]
    locks = [name for name in locks if not (settings.scan.ignored and matches(name, ignored))]
    wanted: list[tuple[str, str]] = []
    if not config.is_local and "scan" in stages and locks:
        wanted.append(("npm", f"{locks[0]} is audited by it (scan.ignored leaves it out)"))
    if not config.is_local and "tests" in stages and settings.tests:
        wanted += _first("tests", settings.tests)
    if database and settings.migrations.command:
        wanted += _first("migrations.command", settings.migrations.command)
        wanted += _first("migrations.pending", settings.migrations.pending)
    looked = path(config)
    return [
        CheckFinding(f"{program} is not here: {why}", _remedy(program))
        for program, why in dict(reversed(wanted)).items()
        if not _there(program, config.root, looked)
    ]


def _first(setting: str, command: str) -> Sequence[tuple[str, str]]:
    """Name the program of a command in the settings."""
    split = words(command, setting)
    return ((split[0], f"the settings start it ({setting} = {command!r})"),) if split else ()


def _there(program: str, root: Path, looked: str) -> bool:
    """Tell whether it can be started.

    A path of the product's own is looked for in its folder.
    """
    return shutil.which(program, path=looked) is not None or ("/" in program and (root / program).exists())


def _remedy(program: str) -> str:
    if program in NODE:
        return "install Node, which brings it: https://nodejs.org/en/download"
    return install_command("gate") if program == "nox" else f"install {program}, or see whether it is on the PATH"
