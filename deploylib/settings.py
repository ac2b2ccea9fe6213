"""Read settings: one file, and variables for the secrets.

Nothing else reads either.

The file is ``deploylib.toml``, or ``[tool.deploylib]`` in ``pyproject.toml``; without one, the defaults deploy the
Blueprint to the environment ``local``.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from deploylib.errors import SettingsError
from deploylib.models import Secret, decoding
from deploylib.models.findings import AcceptedFinding
from deploylib.models.signals import Signal
from deploylib.models.smoke import SmokeRequest
from deploylib.models.units import is_address, seconds, size
from deploylib.models.value import SettingsTable

__all__ = [
    "Config",
    "EnvironmentSettings",
    "LoadTestSettings",
    "MigrationSettings",
    "MonitorSettings",
    "RuleSettings",
    "ScanSettings",
    "ServiceSettings",
    "Settings",
    "Variable",
    "load",
    "top",
]


class Variable(SettingsTable, frozen=True):
    """``[[environment_variables]]``: what a service must find in its environment.

    Attributes:
        pattern: the whole value must match it.
        minimum_length: default 16 for a secret, 1 for all else.
        services: who needs it; default: all.
    """

    name: str
    required: bool = True
    kind: Literal["url", "postgres-url", "integer", "boolean", "text", "secret"] = "text"
    pattern: str = ""
    minimum_length: int = 0
    services: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"{self.name}: its pattern is no regular expression") from error


class ScanSettings(SettingsTable, frozen=True):
    """``[scan]``: what is examined, by what measure, and what is accepted.

    Attributes:
        requirements: the Python requirement files; default: every ``requirements*.txt`` of the tree, and what commands name.
        service: where pip-audit asks for advisories.
        osv_url: another address of the service ``osv``.
        severity: bandit's, from which a release waits for a finding.
        confidence: bandit's.
        ignored: globs of files that nobody examines.
        within: the longest that a scan may take.
    """

    requirements: tuple[str, ...] = ()
    service: Literal["pypi", "osv", "esms"] = "pypi"
    osv_url: str = ""
    severity: Literal["low", "medium", "high"] = "medium"
    confidence: Literal["low", "medium", "high"] = "medium"
    ignored: tuple[str, ...] = ()
    accepted: tuple[AcceptedFinding, ...] = ()
    within: str = "3m"


REFERENCE = "deploylib's docs/settings.md"
STORE, WEBHOOK, JSON_WEBHOOK = "DEPLOYLIB_STORE", "SLACK_WEBHOOK_URL", "DEPLOYLIB_WEBHOOK_URL"
BOT, SLACK_API = "SLACK_BOT_TOKEN", "SLACK_API_URL"
S3_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# What the platform, the store, Slack and GitHub are reached with, by the usual names; and the files by which a step of GitHub
# gives variables and outputs to the steps after it.
OURS = re.compile(
    r"(AWS|ACTIONS|DEPLOYLIB|RENDER|SLACK)_\w+|(GH|GITHUB)_(ENTERPRISE_)?TOKEN"
    r"|GITHUB_(ENV|OUTPUT|PATH|STATE|STEP_SUMMARY)"
)
SAYS_SO = re.compile(
    "KEY|PASSWORD|SECRET|TOKEN|WEBHOOK"
)  # a name of ours whose value is a secret, not a place or a word
MOST_SMOKE = 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")  # of an environment: part of keys, and of what a person types
PERSON = re.compile(r"[UW][A-Z0-9]{4,30}")  # Slack's id of one
MOST_RATE = 2_500  # arrivals a second: 0.7 of what one process sends in a second of processor
MOST_ARRIVALS = 300_000  # of a run: what its report has room for
MINIMAL = ("HOME", "LANG", "LC_ALL", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TEMP", "TMP", "TMPDIR", "TZ")


class ServiceSettings(SettingsTable, frozen=True):
    """``[services.NAME]``: what the Blueprint does not say of a service.

    Attributes:
        health: path that answers the commit (and the schema revision) being served; default: its health check path.
        paths: globs of the files that it is made of; default: as the Blueprint says, or the platform.
        ignored: globs of files that it is not made of all the same; without *paths*, besides those of the Blueprint.
        after: services that must be live before this one is deployed.
        smoke: requests that every release of it must answer; at most `MOST_SMOKE`.
        slow: of ``inv local.fitness``: a path that takes a second or more, or ``POST /path``, whose body is sent slowly.
        busy: likewise: paths that ask the database; default: *slow*, where it is a path, *health*, and what *smoke* reads.
    """

    health: str = ""
    paths: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    smoke: tuple[SmokeRequest, ...] = ()
    slow: str = ""
    busy: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.smoke) > MOST_SMOKE:
            raise ValueError(f"{len(self.smoke)} smoke requests; at most {MOST_SMOKE}: the rest is for tests")


class MigrationSettings(SettingsTable, frozen=True):
    """``[migrations]``: where alembic's scripts are, and how they are run.

    Attributes:
        path: alembic's script location; default ``migrations`` where that folder has an ``env.py``.
        config: an ``alembic.ini``, or a ``pyproject.toml`` with ``[tool.alembic]``, in place of *path*.
        python: the interpreter that has what ``env.py`` imports; default: the one that runs deploylib.
        lock_timeout: longest wait for one lock, also the longest stall that a reader may see.
        statement_timeout: longest run of one statement.
        patience: the same, both, for ``CREATE INDEX CONCURRENTLY``, ``VALIDATE`` and their like, which block nobody.
        longest_lock: longest that a rehearsal may hold a lock which others notice on a table with rows.
        small_table: rows up to which work under a lock is no hazard.
        restored_whole: size of the database up to which the rehearsed copy is dumped and restored once more with its
            rows; of a larger one the definitions alone are.
        command: another tool's migrations, in place of alembic: ``npx prisma migrate deploy``.
        pending: the command that prints what is pending of them, one a line; it needs *command*.
        files: glob of their SQL files.
        only: the only variables that the migrations inherit, besides a few like PATH and HOME; empty: all but ours.
    """

    path: str = ""
    config: str = ""
    python: str = ""
    lock_timeout: str = "1s"
    statement_timeout: str = "10m"
    patience: str = "30m"
    longest_lock: str = "1s"
    small_table: int = 10_000
    restored_whole: str = "1GB"
    command: str = ""
    pending: str = ""
    files: str = ""
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.command) != bool(self.pending):
            raise ValueError("command and pending need each other: without both nobody knows what is to be done")


class LoadTestSettings(SettingsTable, frozen=True):
    """``[environments.NAME.loadtest]``: a load test after each release.

    Attributes:
        rate: arrivals a second, each of which does one task of the locustfile; 0: there is none.
        policy: what is done about a release that is slower: it is noted, told, or put back.
        service: that is tested; default: the only web service, or the first.
        file: the locustfile.
        seconds: that are measured.
        in_flight: the most users that are busy at once; who arrives beyond that is skipped, which makes a run invalid.
        p95: the longest that 95 of 100 requests may take, from when they were due; empty: nothing is asked.
        error_rate: the share of the requests that may go wrong.
    """

    rate: float = 0.0
    policy: Literal["note", "alert", "rollback"] = "note"
    service: str = ""
    file: str = "loadtests/locustfile.py"
    seconds: str = "10s"
    in_flight: int = 100
    p95: str = ""
    error_rate: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= MOST_RATE:
            raise ValueError(
                f"loadtest: rate is {self.rate:g}; it is from 0 (off) to {MOST_RATE}, which one process can send"
            )
        try:
            lasts = seconds(self.seconds, "loadtest: seconds")
        except SettingsError as error:
            raise ValueError(error.message) from error
        if lasts < 1:
            raise ValueError(f"loadtest: seconds is {self.seconds}; the least is 1s")
        if self.rate * lasts > MOST_ARRIVALS:
            arrivals = f"{self.rate:g} a second for {self.seconds} are {self.rate * lasts:.0f} arrivals"
            raise ValueError(f"loadtest: {arrivals}; at most {MOST_ARRIVALS}")
        if self.in_flight < 1:
            raise ValueError(f"loadtest: in_flight is {self.in_flight}; the least is 1")
        if not 0 <= self.error_rate <= 1:
            raise ValueError(f"loadtest: error_rate is {self.error_rate:g}; it is from 0 to 1")


class RuleSettings(SettingsTable, frozen=True):
    """``[monitor.rules.SIGNAL]``: what is said otherwise than by default.

    Attributes:
        on: false: nobody looks at it.
        limit: seconds of p95 for latency, percent for shares, days for ages; default: see the settings page.
        for_: how long it must be bad before it is told, and good before its end is; written ``for``.
        severity: ``critical``, ``warning`` or ``note``.
        channels: the names of the only channels that are told of it.
        reminder: after how long it is told again; ``never``.
    """

    on: bool = True
    limit: float | None = None
    for_: str = msgspec.field(default="", name="for")
    severity: Literal["", "critical", "warning", "note"] = ""
    channels: tuple[str, ...] = ()
    reminder: str = ""


class MonitorSettings(SettingsTable, frozen=True):
    """``[monitor]``: how often is looked, and by what rules.

    Attributes:
        every: seconds between two rounds of ``inv monitor --watch``.
        free_every: the same, for a service on a free plan: each request keeps it awake.
        window: of our own requests, over which p95 and the rate of errors are taken.
        heartbeat_url: is asked after each round, so that somebody outside tells when the monitor is gone.
        channels: the names of the only channels that are told; default: all.
        rules: by signal.
        own: the same, of a signal of your own, by its name.
    """

    every: str = "1m"
    free_every: str = "15m"
    window: str = "30m"
    heartbeat_url: str = ""
    channels: tuple[str, ...] = ()
    rules: dict[Signal, RuleSettings] = msgspec.field(default_factory=dict)
    own: dict[str, RuleSettings] = msgspec.field(default_factory=dict)


class EnvironmentSettings(SettingsTable, frozen=True):
    """``[environments.NAME]``: where to deploy.

    Attributes:
        api_url: address of Render's API, with ``/v1``.
        api_key_env: name of the variable that holds the key.
        services: our name of a service → the platform's name or id, where they differ.
        database: name of the platform's Postgres; default: the only one of the Blueprint.
        database_url_env: name of the variable that holds the database's URL, in place of *database*.
        store: of backups and history: ``s3://bucket/prefix``, or a folder; default: the variable ``DEPLOYLIB_STORE``.
        store_encryption: asked of the bucket for every object; empty: the bucket's default.
        store_kms_key: id or ARN of the key for ``aws:kms``; default: the account's.
        only_this_machine: a folder store is good enough, because nobody deploys from elsewhere.
        backups: ``"on"``; ``"export"`` for a database that is not opened from here, of which the platform makes them, and
            whose migrations are the pre-deploy command's; or ``"none"`` where the data may be lost.
        bake: how long a web service is watched there, in place of the one for all environments.
        slack_webhook_env: name of the variable that holds the address of a Slack webhook; of no meaning where that is
            not set. For ``local`` there is no default.
        slack_channel: id or name of the channel in which a bot keeps one message a run, in place of the webhook.
        slack_token_env: name of the variable that holds the bot's token; default: ``SLACK_BOT_TOKEN``.
        webhook_env: name of the variable that holds another address that is told by JSON: of Teams, of Discord, one's own.
            For ``local`` there is no default.
    """

    api_url: str = ""
    api_key_env: str = "RENDER_API_KEY"
    services: dict[str, str] = msgspec.field(default_factory=dict)
    database: str = ""
    database_url_env: str = ""
    store: str = ""
    store_encryption: Literal["", "AES256", "aws:kms", "aws:kms:dsse"] = ""
    store_kms_key: str = ""
    only_this_machine: bool = False
    backups: Literal["on", "export", "none"] = "on"
    bake: str = ""
    slack_webhook_env: str = ""
    slack_channel: str = ""
    slack_token_env: str = ""
    webhook_env: str = ""
    loadtest: LoadTestSettings = LoadTestSettings()


class Settings(SettingsTable, frozen=True):
    """The whole file.

    Attributes:
        tests: the command that tests a commit before it may be released.
        slack_people: an author's address in git → id in Slack, of those who are called when a release of theirs fails.
    """

    blueprint: str = "render.yaml"
    shared: tuple[str, ...] = ()
    services: dict[str, ServiceSettings] = msgspec.field(default_factory=dict)
    environments: dict[str, EnvironmentSettings] = msgspec.field(default_factory=dict)
    migrations: MigrationSettings = MigrationSettings()
    target: str = "5m"
    start_within: str = "5m"
    bake: str = ""
    deadline: str = "20m"
    backup_every: str = "24h"
    keep_backups: int = 5
    postgres_bin: str = ""
    minimum_free: str = "200MB"
    local_time_scale: int = 60
    scan: ScanSettings = ScanSettings()
    environment_variables: tuple[Variable, ...] = ()
    tests: str = ""
    monitor: MonitorSettings = MonitorSettings()
    slack_people: dict[str, str] = msgspec.field(default_factory=dict)
    follow_logs: bool = True

    def __post_init__(self) -> None:
        if self.local_time_scale < 1:
            raise ValueError(f"local_time_scale is {self.local_time_scale}; the least is 1, as slow as Render itself")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What one command runs with.

    Attributes:
        root: the product's folder, the top of its working copy.
        name: the environment's name.
        environ: the environment variables, for the secrets that the settings name.
        thrown_away: the state of a local Render that is there for one command; None: the usual one.
    """

    root: Path
    name: str = "local"
    settings: Settings = Settings()
    environment: EnvironmentSettings = EnvironmentSettings()
    environ: Mapping[str, str] = os.environ
    thrown_away: Path | None = None

    def __repr__(self) -> str:
        return f"Config(root={self.root}, name={self.name!r})"

    @property
    def is_local(self) -> bool:
        """Whether the platform is the local Render, started when needed."""
        return self.name == "local" and not self.environment.api_url

    @property
    def local_state(self) -> Path:
        """The folder of the local Render."""
        return self.thrown_away or self.root / Path(self.settings.blueprint).parent / ".localrender"

    @property
    def store(self) -> str:
        """The place of backups and history.

        The address of a bucket, or a folder.
        """
        chosen = self.environment.store or (not self.is_local and self.environ.get(STORE, "")) or ".deploylib"
        return chosen if "://" in chosen else str(self.root / _at_home(chosen))

    @property
    def postgres_bin(self) -> str:
        """The folder of Postgres' programs; empty: they are looked for."""
        chosen = self.settings.postgres_bin
        return str(_at_home(chosen)) if chosen else ""

    @property
    def flag(self) -> str:
        """The flag that names this environment, after a space; none for ``local``."""
        return "" if self.is_local else f" --environment {self.name}"

    @property
    def webhook(self) -> Secret | None:
        """The address of Slack's webhook; None: nobody wants to know."""
        return self._secret(self.environment.slack_webhook_env or ("" if self.is_local else WEBHOOK))

    @property
    def slack_token(self) -> Secret | None:
        """The bot's token; None: no channel is named, or none is set."""
        chosen = self.environment
        return self._secret(chosen.slack_token_env or BOT) if chosen.slack_channel else None

    @property
    def channel_variables(self) -> tuple[str, ...]:
        """The variables that are read for an address to tell."""
        chosen = self.environment
        names = (
            chosen.slack_webhook_env or ("" if self.is_local else WEBHOOK),
            (chosen.slack_token_env or BOT) if chosen.slack_channel else "",
            chosen.webhook_env or ("" if self.is_local else JSON_WEBHOOK),
        )
        return tuple(name for name in names if name)

    @property
    def slack_api(self) -> str:
        """Where Slack's methods are; another place for Slack's GovSlack."""
        return self.environ.get(SLACK_API, "").strip() or "https://slack.com/api/"

    @property
    def json_webhook(self) -> Secret | None:
        """Another address that is told; None where nobody wants to know."""
        return self._secret(self.environment.webhook_env or ("" if self.is_local else JSON_WEBHOOK))

    def _secret(self, name: str) -> Secret | None:
        value = self.environ.get(name, "").strip() if name else ""
        return Secret(value) if value else None

    @property
    def _named_secrets(self) -> frozenset[str]:
        """The variables that any settings name for a secret."""
        chosen = (self.environment, *self.settings.environments.values())
        smoke = [request for service in self.settings.services.values() for request in service.smoke]
        return frozenset(
            {name for one in chosen for name in (one.api_key_env, one.database_url_env)}
            | {name for one in chosen for name in (one.slack_webhook_env, one.slack_token_env, one.webhook_env)}
            | {name for request in smoke for name in request.send_env.values()}
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """The variables that are ours alone.

        What runs the product's code does not inherit them.

        All that the settings of any environment name, and what `OURS` tells.
        """
        named = self._named_secrets
        return tuple(name for name in self.environ if name in named or OURS.fullmatch(name))

    @property
    def known_secrets(self) -> tuple[Secret, ...]:
        """The values in the environment that must not be shown.

        What any settings name, and tokens.
        """
        named = set(self._named_secrets)
        named |= {name for name in self.secrets if SAYS_SO.search(name)} - {S3_KEYS[0]}
        return tuple(Secret(self.environ[name]) for name in sorted(named) if self.environ.get(name, "").strip())

    @property
    def withheld(self) -> tuple[str, ...]:
        """The variables that a migration does not inherit.

        Ours, or with `migrations.only` all but those and a few.
        """
        only = self.settings.migrations.only
        return tuple(name for name in self.environ if name not in {*only, *MINIMAL}) if only else self.secrets

    @property
    def python(self) -> str:
        """The interpreter for alembic."""
        chosen = self.settings.migrations.python
        return str(self.root / _at_home(chosen)) if chosen else sys.executable

    def smoke(self, service: str) -> tuple[SmokeRequest, ...]:
        """List the requests that every release of a service must answer."""
        return self.settings.services.get(service, ServiceSettings()).smoke

    @property
    def exported(self) -> bool:
        """Whether the platform's exports back the database up.

        It is not opened from here.
        """
        return self.environment.backups == "export"

    def secret(self, name: str) -> Secret | None:
        """Read the value of a variable; None where it is not set."""
        value = self.environ.get(name, "").strip()
        return Secret(value) if value else None

    def explain_setting(self, variable: str) -> str:
        """Say how a secret is given, to the workflow and here."""
        stored = f"gh secret set {variable} --env {self.name}"
        if self.is_local:
            return f"export {variable}=…"
        return stored if self.environ.get("GITHUB_ACTIONS") == "true" else f"{stored}, and here export {variable}=…"

    def require_shared_store(self) -> None:
        """See that every deploying machine sees the store.

        Raises:
            SettingsError: they are in a folder, and nobody has said that only this machine deploys.
        """
        chosen = self.environment
        if self.name == "local" or self.store.startswith("s3://") or (chosen.store and chosen.only_this_machine):
            return
        raise SettingsError(
            f"environment {self.name!r}: ledger and backups must be where every machine that deploys sees them",
            remedy=f'set store = "s3://bucket/prefix" in [environments.{self.name}], or {STORE} '
            f"(gh variable set {STORE} --env {self.name}; deploylib's docs/bucket.md); "
            "or a folder and only_this_machine = true, if nobody else deploys",
        )

    def database_url(self) -> Secret | None:
        """Read the database's URL, where settings name a variable for it.

        Raises:
            SettingsError: that variable is not set.
        """
        name = self.environment.database_url_env
        if not name:
            return None
        if not self.environ.get(name, "").strip():
            raise SettingsError(f"{name} is not set: the database of {self.name!r}", remedy=self.explain_setting(name))
        return Secret(self.environ[name].strip())


def top(folder: Path | None = None) -> Path:
    """Find the product's folder, the top of its working copy.

    From anywhere in it; by default from the current folder.

    Raises:
        SettingsError: the current folder is gone.
    """
    try:
        here = folder or Path.cwd()
    except FileNotFoundError as error:
        raise SettingsError(
            "the current folder is gone", remedy="cd to the product's folder, and the same again"
        ) from error
    return next((each for each in (here, *here.parents) if _is_top(each)), here)


def _is_top(folder: Path) -> bool:
    """Tell whether it is that of a working copy.

    One that we may not look into is none that we could use.
    """
    with suppress(OSError):
        return (folder / ".git").exists()
    return False


def load(root: Path, name: str = "local", environ: Mapping[str, str] = os.environ, *, looking: bool = False) -> Config:
    """Read the settings for the environment *name*.

    Args:
        root: folder of the product; the settings file lies there.
        name: the environment.
        environ: environment variables.
        looking: only to find out what a release would lack; a store is then not required.

    Raises:
        SettingsError: no such environment, or the file is wrong; every problem of a value names its place.
    """
    file, table = _read(root)
    remedy = f"correct {file}; every setting: {REFERENCE}"
    for place in _with_nul(table):
        raise SettingsError(f"{file}: {place}: holds a NUL character, which no path or command can have", remedy=remedy)
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{file}: {error}", remedy=remedy) from error
    _require_sound(file, settings, remedy)
    known = {"local": EnvironmentSettings(), **settings.environments}
    if name not in known:
        raise SettingsError(
            f"there is no environment {name!r}; known: {', '.join(sorted(known))}",
            remedy=f"add [environments.{name}] to {file} (see {REFERENCE}), or name another with --environment",
        )
    environment = known[name]
    config = Config(root=root, name=name, settings=settings, environment=environment, environ=environ)
    shared = config.store.startswith("s3://")
    if "://" in config.store and not shared:
        trouble = f"environments.{name}.store: {config.store} is neither s3://bucket nor a folder"
        raise SettingsError(trouble, remedy=remedy)
    if environment.store_kms_key and not environment.store_encryption.startswith("aws:kms"):
        trouble = f'environments.{name}.store_kms_key: needs store_encryption = "aws:kms"'
        raise SettingsError(trouble, remedy=remedy)
    if not looking:
        config.require_shared_store()
    return config


def _require_sound(file: str, settings: Settings, remedy: str) -> None:
    """See that durations, sizes and names are some.

    Raises:
        SettingsError: one is not.
    """
    for key in ("target", "start_within", "deadline", "backup_every"):
        seconds(getattr(settings, key), f"{file}: {key}")
    if settings.bake:
        seconds(settings.bake, f"{file}: bake")
    for key in ("lock_timeout", "statement_timeout", "patience", "longest_lock"):
        seconds(getattr(settings.migrations, key), f"{file}: migrations.{key}")
    _require_sound_environments(file, settings)
    seconds(settings.scan.within, f"{file}: scan.within")
    _require_sound_monitor(file, settings.monitor, remedy)
    size(settings.minimum_free, f"{file}: minimum_free")
    size(settings.migrations.restored_whole, f"{file}: migrations.restored_whole")
    for address, person in settings.slack_people.items():
        if not PERSON.fullmatch(person):
            wanted = "copy the member ID from their profile in Slack: U and then letters and figures"
            raise SettingsError(f"{file}: slack_people: {person!r} of {address} is no member of Slack", remedy=wanted)
    if settings.keep_backups < 1:
        raise SettingsError(f"{file}: keep_backups is {settings.keep_backups}; the least is 1", remedy=remedy)
    if odd := sorted(one for one in settings.environments if not NAME.fullmatch(one)):
        raise SettingsError(
            f"{file}: environments: {odd[0]!r} cannot be the name of an environment, which is part of places in the store",
            remedy=f"rename it in {file}: letters, digits, dot, dash and underscore, at most 80",
        )


def _require_sound_environments(file: str, settings: Settings) -> None:
    """See that the durations of each environment are some.

    Raises:
        SettingsError: one is not.
    """
    for name, environment in settings.environments.items():
        if environment.bake:
            seconds(environment.bake, f"{file}: environments.{name}.bake")
        if environment.loadtest.p95:
            seconds(environment.loadtest.p95, f"{file}: environments.{name}.loadtest.p95")


def _require_sound_monitor(file: str, monitor: MonitorSettings, remedy: str) -> None:
    """See that the durations and the address of a monitor are some.

    Raises:
        SettingsError: one is not.
    """
    for key in ("every", "free_every", "window"):
        seconds(getattr(monitor, key), f"{file}: monitor.{key}")
    if monitor.heartbeat_url and not is_address(monitor.heartbeat_url):
        raise SettingsError(f"{file}: monitor.heartbeat_url is no address", remedy=remedy)
    if Signal.BLIND in monitor.rules:
        raise SettingsError(f"{file}: monitor.rules.blind: whether it can see is no rule of a monitor", remedy=remedy)
    every = {f"rules.{name}": rule for name, rule in monitor.rules.items()}
    every |= {f"own.{name}": rule for name, rule in monitor.own.items()}
    for name, rule in every.items():
        place = f"{file}: monitor.{name}"
        if rule.for_:
            seconds(rule.for_, f"{place}.for")
        if rule.reminder not in {"", "never"}:
            seconds(rule.reminder, f"{place}.reminder")
        if rule.limit is not None and not 0 <= rule.limit < math.inf:
            raise SettingsError(f"{place}.limit: {rule.limit} is no bound", remedy=remedy)


def _with_nul(value: Any, place: str = "") -> Iterator[str]:
    """Find a NUL character in a table of settings."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _with_nul(name, place or "a name")
            yield from _with_nul(each, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for each in value:
            yield from _with_nul(each, place)
    elif isinstance(value, str) and "\0" in value:
        yield place


def _read(root: Path) -> tuple[str, dict[str, Any]]:
    own, project = root / "deploylib.toml", root / "pyproject.toml"
    if (table := _table(own)) is not None:
        return own.name, table
    if (table := _table(project)) is None:
        return own.name, {}
    tools = table.get("tool", {})
    return f"{project.name} [tool.deploylib]", tools.get("deploylib", {}) if isinstance(tools, dict) else {}


def _at_home(path: str) -> Path:
    """Read ``~`` and ``~name`` as a shell does.

    Raises:
        SettingsError: nobody is called so, or has no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        message = f"{path!r} in the settings begins in a home folder that is not known"
        raise SettingsError(message, remedy="write the whole path, from /") from error


def _table(file: Path) -> dict[str, Any] | None:
    """Read a file of settings.

    None where there is none: one that cannot be read is not taken for that.
    """
    try:
        if file.is_fifo():  # it would be waited for
            raise OSError(0, "it is a pipe")  # noqa: TRY301 - said like all else that keeps it from being read
        return decoding.toml(file.read_bytes())
    except FileNotFoundError as error:
        if file.is_symlink():  # somebody has settings, and they are not here
            message = f"{file.name} is a link to {file.readlink()}, which is not there"
            raise SettingsError(message, remedy=f"put {file.readlink()} there, or remove {file}") from error
        return None
    except OSError as error:
        remedy = f"see what {file} is, and who may read it"
        raise SettingsError(f"{file.name} cannot be read: {error.strerror}", remedy=remedy) from error
    except decoding.Undecodable as error:
        raise SettingsError(f"{file.name}: {error}", remedy=f"correct {file.name}") from error
