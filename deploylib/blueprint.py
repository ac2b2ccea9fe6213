"""Render's Blueprint, ``render.yaml``: what it says, checked before anything depends on it.

Fields and shapes follow Render's published JSON schema of Blueprints (``render.com/schema/render.yaml.json``):
unknown keys are errors everywhere.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import Any, Literal

import msgspec
import yaml

from deploylib.errors import SettingsError
from deploylib.models import Kind, PathFilter

__all__ = ["Blueprint", "BlueprintDatabase", "BlueprintService", "matches", "parse", "reaches", "within"]

ANY = Any
MOST = 100_000  # values of a Blueprint
RUNTIMES = ("docker", "elixir", "go", "image", "node", "python", "ruby", "rust", "static")


class _Open(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of what is read from the file: unknown keys are errors."""


class BuildFilter(_Open, frozen=True):
    """Paths that make a push deploy the service; from the repository's root even where rootDir is set."""

    paths: tuple[str, ...] = ()
    ignored_paths: tuple[str, ...] = ()


class BlueprintService(_Open, frozen=True):
    """One service, of any of the shapes; what we do not use is accepted and left alone."""

    type: Literal["web", "worker", "pserv", "cron", "keyvalue", "redis", "workflow"]
    name: str
    runtime: str = ""
    root_dir: str = ""
    branch: str = ""
    repo: str = ""
    build_command: str = ""
    start_command: str = ""
    pre_deploy_command: str = ""
    health_check_path: str = ""
    static_publish_path: str = ""
    build_filter: BuildFilter | None = None
    auto_deploy: bool | None = None
    auto_deploy_trigger: Literal["off", "commit", "checksPass"] | None = None
    env_vars: tuple[dict[str, ANY], ...] = ()
    schedule: str = ""
    max_shutdown_delay_seconds: int | None = None
    num_instances: int | None = None
    plan: str = ""
    region: str = ""
    build_source: ANY = None
    image: ANY = None
    initial_deploy_hook: str = ""
    docker_command: str = ""
    dockerfile_path: str = ""
    docker_context: str = ""
    registry_credential: ANY = None
    scaling: ANY = None
    disk: ANY = None
    domain: ANY = None
    domains: ANY = None
    headers: ANY = None
    routes: ANY = None
    previews: ANY = None
    preview_plan: str = ""
    pull_request_previews_enabled: ANY = None
    maintenance_mode: ANY = None
    ip_allow_list: ANY = None
    render_subdomain_policy: ANY = None
    maxmemory_policy: ANY = None
    persistence_mode: ANY = None

    @property
    def kind(self) -> Kind | None:
        """The API's word for it; None where it is not deployed from a commit (key value, workflow)."""
        if self.type == "web":
            return Kind.STATIC if self.runtime == "static" else Kind.WEB
        return {"pserv": Kind.PRIVATE, "worker": Kind.WORKER, "cron": Kind.CRON}.get(self.type)

    @property
    def filter(self) -> PathFilter:
        """The files it is made of: its filter, else its folder, else everything."""
        if self.build_filter is not None and (self.build_filter.paths or self.build_filter.ignored_paths):
            return PathFilter(paths=self.build_filter.paths, ignored=self.build_filter.ignored_paths)
        return within(self.root_dir)


class BlueprintDatabase(_Open, frozen=True):
    """One Postgres database."""

    name: str
    database_name: str = ""
    user: str = ""
    plan: str = ""
    region: str = ""
    disk_size_gb: int | None = msgspec.field(default=None, name="diskSizeGB")
    postgres_major_version: str = ""
    high_availability: ANY = None
    read_replicas: ANY = None
    ip_allow_list: ANY = None
    connection_pool: ANY = None
    storage_autoscaling_enabled: ANY = None
    preview_plan: str = ""
    preview_disk_size_gb: int | None = msgspec.field(default=None, name="previewDiskSizeGB")


class Blueprint(_Open, frozen=True):
    """The whole file."""

    services: tuple[BlueprintService, ...] = ()
    databases: tuple[BlueprintDatabase, ...] = ()
    env_var_groups: ANY = None
    projects: ANY = None
    ungrouped: ANY = None
    build_sources: ANY = None
    previews: ANY = None
    previews_enabled: ANY = None
    previews_expire_after_days: ANY = None
    version: str = "1"

    def service(self, name: str) -> BlueprintService | None:
        """The service called *name*, if there is one."""
        return next((service for service in self.services if service.name == name), None)

    @property
    def deployable(self) -> tuple[BlueprintService, ...]:
        """The services that are deployed from a commit."""
        return tuple(service for service in self.services if service.kind is not None)


class _Loader(yaml.SafeLoader):
    """YAML as Render reads it: ``off`` is a word, only ``true`` and ``false`` are booleans."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def parse(text: str, name: str = "render.yaml") -> Blueprint:
    """Read and check a Blueprint.

    Args:
        text: the file's content.
        name: how the file is called in messages.

    Raises:
        SettingsError: not YAML, an unknown key, a wrong type, or a shape that Render would refuse.
    """
    remedy = f"correct {name}; Render's reference: https://render.com/docs/blueprint-spec"
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader with fewer booleans
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise SettingsError(f"{name} is not valid YAML{where}: {problem}", remedy=remedy) from error
    except (
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:  # the library's own, for values
        problem = "a value does not fit its type (a date, a number), or it is nested too deep"
        raise SettingsError(f"{name} is not valid YAML: {problem}", remedy=remedy) from error
    _require_bounded(document, name, remedy)
    try:
        blueprint = msgspec.convert(document or {}, Blueprint)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{name}: {_located(str(error), document)}", remedy=remedy) from error
    problems = _problems(blueprint)
    if problems:
        raise SettingsError(f"{name}: {problems[0]}", details=tuple(problems[1:]), remedy=remedy)
    return blueprint


def _require_bounded(document: Any, name: str, remedy: str) -> None:
    """Refuse what aliases make endless: a few lines of them stand for a billion values, or for themselves."""
    left, seen = [document], 0
    while left:
        one = left.pop()
        seen += 1
        if seen > MOST:
            raise SettingsError(
                f"{name} has more than {MOST:,} values, counted as its aliases repeat them", remedy=remedy
            )
        left += one.values() if isinstance(one, dict) else one if isinstance(one, (list, set, tuple)) else ()


def _located(message: str, document: Any) -> str:
    """Name the service that a path such as ``$.services[0].plan`` points at."""
    found = re.search(r"`\$\.services\[(\d+)\]", message)
    if not found:
        return message
    try:
        name = document["services"][int(found[1])]["name"]
    except (KeyError, IndexError, TypeError):
        return message
    return f"service {name!r}: {message}"


def _problems(blueprint: Blueprint) -> list[str]:
    """What the schema says across keys."""
    found = []
    if not blueprint.services:
        found.append("it has no services")
    names = [service.name for service in blueprint.services]
    found += [f"two services are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
    for service in blueprint.deployable:
        where = f"service {service.name!r}"
        if service.runtime not in RUNTIMES and service.build_source is None:
            choices = ", ".join(RUNTIMES)
            found.append(f"{where}: runtime {service.runtime!r} is not one that Render knows ({choices})")
        if service.kind is Kind.STATIC and not service.static_publish_path:
            found.append(f"{where}: a static site needs staticPublishPath")
        if service.kind is Kind.STATIC and service.start_command:
            found.append(f"{where}: a static site has no startCommand")
        native = service.runtime in RUNTIMES and service.runtime not in {"docker", "image", "static"}
        if native and not service.start_command:
            found.append(f"{where}: startCommand is missing")
        if service.kind is Kind.CRON and not service.schedule:
            found.append(f"{where}: a cron job needs a schedule")
    return found


def within(folder: str) -> PathFilter:
    """Every file in *folder*, as ``rootDir`` names it; all there are where that is the repository's root."""
    path = posixpath.normpath(f"/{folder}").strip("/")
    return PathFilter(paths=(f"{path}/**",) if path else ())


def matches(path: str, chosen: PathFilter) -> bool:
    """Whether the file *path* belongs to a service: included, and not ignored.

    Render's rules (its page on monorepos): no paths means everything; ignored paths win; ``*`` and ``?`` stop at a
    slash, ``**`` spans folders and may be none of them.
    """
    if any(_glob(pattern).fullmatch(path) for pattern in chosen.ignored):
        return False
    return not chosen.paths or any(_glob(pattern).fullmatch(path) for pattern in chosen.paths)


def reaches(folder: str, chosen: PathFilter) -> bool:
    """Whether a file in *folder* may belong to a service, where nobody has looked which files there are."""
    if any(_covers(pattern, folder) for pattern in chosen.ignored):
        return False
    return not chosen.paths or any(_may_match_in(pattern, folder) for pattern in chosen.paths)


def _covers(pattern: str, folder: str) -> bool:
    """Whether everything in *folder* matches, however it is called and however deep it is."""
    return all(_glob(pattern).fullmatch(f"{folder}/{name}") for name in ("\1", "\1/\1"))


def _may_match_in(pattern: str, folder: str) -> bool:
    wanted, parts = _plain(pattern).split("/"), folder.split("/")
    for number, part in enumerate(wanted):
        if "**" in part or number == len(parts):
            return True
        if not _glob(part).fullmatch(parts[number]):
            return False
    return len(wanted) == len(parts)  # it names the folder itself


def _plain(pattern: str) -> str:
    return pattern.removeprefix("./").lstrip("/")


@lru_cache(maxsize=512)
def _glob(pattern: str) -> re.Pattern[str]:
    parts, rest = [], _plain(pattern)
    while rest:
        if rest.startswith("**/"):
            parts.append("(?:[^/]+/)*")
            rest = rest[3:]
        elif rest.startswith("**"):
            parts.append(".*")
            rest = rest[2:]
        elif rest[0] == "*":
            parts.append("[^/]*")
            rest = rest[1:]
        elif rest[0] == "?":
            parts.append("[^/]")
            rest = rest[1:]
        elif rest[0] == "[" and (end := rest.find("]", 1)) > 0:
            parts.append(_set(rest[1:end]))
            rest = rest[end + 1 :]
        else:
            parts.append(re.escape(rest[0]))
            rest = rest[1:]
    return re.compile("".join(parts), re.DOTALL)


def _set(inner: str) -> str:
    """``[abc]``, ``[^abc]``, ``[a-z]``: never a slash; what is no set of characters stands for itself."""
    negated = "^" if inner.startswith("^") else ""
    members = re.sub(r"([^0-9A-Za-z-])", r"\\\1", inner.removeprefix("^")).replace("--", r"-\-")  # no set operation
    pattern = f"(?!/)[{negated}{members}]"
    try:
        re.compile(pattern)
    except re.error:
        return re.escape(f"[{inner}]")
    return pattern
