"""Reads and checks a Blueprint (`render.yaml`), and tells what of it can run here.

The shapes are those of `blueprint.schema.json`: what it refuses is an error. What is right and cannot run here, such as an image,
is left out by name with its reason, and the rest runs.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

import msgspec

from localrender import documented, keyvalue, runtimes, shape, source, yaml12
from localrender.errors import bad_input
from localrender.model import ANY, BuildFilter, DatabaseSpec, EnvVar, KeyValueSpec, ServiceSpec
from localrender.runtimes import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from localrender.source import Repository
    from localrender.yaml12 import Location

MOST_INSTANCES = 10


class Entry(msgspec.Struct, frozen=True):
    """A service of the Blueprint with its variables."""

    spec: ServiceSpec
    env: list[EnvVar]


class LeftOut(msgspec.Struct, frozen=True):
    """A service that does not run here, and why."""

    name: str
    reason: str
    remedy: str


class Blueprint(msgspec.Struct, frozen=True):
    """A checked Blueprint and the git repository that holds it."""

    services: list[Entry]
    databases: list[DatabaseSpec]
    repository: str
    stores: list[KeyValueSpec] = []
    left_out: list[LeftOut] = []
    notes: list[str] = []

    def described(self, remarks: Iterable[str]) -> dict[str, Any]:
        """What it holds, as whoever asks for it is told, with remarks on it from elsewhere."""
        return {
            "valid": True,
            "services": [
                {"name": entry.spec.name, "type": entry.spec.kind, "runtime": entry.spec.runtime}
                for entry in self.services
            ],
            "databases": [{"name": database.name, "version": database.major} for database in self.databases],
            "left_out": [msgspec.to_builtins(one) for one in self.left_out],
            "notes": [*self.notes, *remarks],
        }


def load(path: Path, *, any_postgres: bool = False, only: Iterable[str] = ()) -> Blueprint:
    """Read and check everything that can be checked without changing anything.

    Args:
        path: The Blueprint.
        any_postgres: Databases are made on a server the user names: its version counts, not the Blueprint's.
        only: The services that are wanted; only what these need must be here. Without any: all.

    Raises:
        LocalRenderError: With exit code 2: what is wrong, all of it.
    """
    if not path.is_file():
        raise bad_input(
            "blueprint_missing",
            f"there is no Blueprint at {path}",
            "name it: python -m localrender up PATH/render.yaml",
        )
    repository = source.repository_of(path)
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        told = "it is no UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise bad_input(
            "blueprint_invalid", f"{path} cannot be read: {told}", f"write {path.name} as UTF-8, readable for you"
        ) from error
    document, notes = read(text, path.name)
    return _Reader(document, repository, any_postgres=any_postgres).blueprint(notes, set(only))


def read(text: str, name: str) -> tuple[yaml12.Document, list[str]]:
    """The document as it is written, and what is worth a note.

    Raises:
        LocalRenderError: Not YAML, nothing in it, or a type, value or combination that Render would refuse: all of them.
    """
    document, found = examine(text, name)
    errors = [one.within(name) for one in found if not one.is_note]
    notes = [one.within(name) for one in found if one.is_note]
    if errors:
        first, *others = errors
        raise bad_input("blueprint_invalid", first, f"correct {name}", details=(*others, *notes))
    return document, notes


def examine(text: str, name: str) -> tuple[yaml12.Document, list[shape.Remark]]:
    """The document as it is written, and all that is to be said of it, in the order of its lines.

    Raises:
        LocalRenderError: Not YAML, or nothing in it.
    """
    document = yaml12.load_yaml(text, name)
    if document.data is None:
        raise bad_input("blueprint_invalid", f"{name} is empty: it has no services", f"describe one in {name}")
    found = [*documented.modernise(document), *shape.check_schema(document)]
    if all(one.is_note for one in found):
        found += documented.check_references(document)
    return document, sorted(found)


class _Reader:
    """Makes of a document that is in order what the local Render runs."""

    def __init__(self, document: yaml12.Document, repository: Repository, *, any_postgres: bool) -> None:
        self.document = document
        self.repository = repository
        self.any_postgres = any_postgres
        self.groups = {group["name"]: self.variables(group, at) for group, at in self.each("envVarGroups")}

    def each(self, key: str) -> Iterator[tuple[dict[str, Any], Location]]:
        for scope in documented.scopes(self.document):
            yield from scope.each(key)

    def blueprint(self, notes: list[str], only: set[str]) -> Blueprint:
        services: list[Entry] = []
        left_out: list[LeftOut] = []
        stores: list[KeyValueSpec] = []
        for raw, at in self.each("services"):
            if problem := self.problem(raw):
                left_out.append(LeftOut(raw["name"], problem.message, problem.remedy))
            elif raw["type"] in documented.KEY_VALUE:
                stores.append(self.store(raw))
            else:
                services.append(self.service(raw, at))
        self.require(bool(services or stores), left_out, only, notes)
        wanted = {
            variable.database[0]
            for entry in services
            if not only or entry.spec.name in only
            for variable in entry.env
            if variable.database
        }
        databases: list[DatabaseSpec] = []
        problems: list[tuple[str, str]] = []
        for raw, at in self.each("databases"):
            problem = None if self.any_postgres else runtimes.postgres_problem(self.major(raw))
            if problem is None:
                databases.append(self.database(raw, databases))
            elif raw["name"] in wanted or not only:
                problems.append(
                    (f"the database {raw['name']} (line {self.document.line(at)}): {problem.message}", problem.remedy)
                )
        if problems:
            (first, remedy), *others = problems
            raise bad_input("unsupported_postgres", first, remedy, details=tuple(text for text, _ in others))
        return Blueprint(services, databases, self.repository.path, stores, left_out, notes)

    def require(self, runs: bool, left_out: list[LeftOut], only: set[str], notes: list[str]) -> None:  # noqa: FBT001
        """See that there is something to run, and that what is wanted is among it."""
        empty = not runs and not any(self.each("databases"))
        refused = [one for one in left_out if one.name in only or empty]
        if refused:
            details = tuple(f"{one.name}: {one.reason}" for one in refused[1:])
            told = f"{refused[0].name} cannot run here: {refused[0].reason}"
            raise bad_input("unsupported_service", told, refused[0].remedy, details=(*details, *notes))
        if empty:
            raise bad_input("blueprint_invalid", "there are no services", "describe one", details=tuple(notes))

    def problem(self, raw: dict[str, Any]) -> Problem | None:
        """Why a service cannot run here, or None."""
        name, kind, runtime = raw["name"], raw["type"], raw.get("runtime", "")
        if kind in documented.KEY_VALUE:
            return keyvalue.problem()
        if kind == "workflow":
            return Problem("it is a workflow", "deploy it at Render")
        if "buildSource" in raw:
            return Problem("it is made from a build source", "deploy it at Render")
        if "repo" in raw and not source.is_of(self.repository, raw["repo"]):
            return Problem(
                f"it is built from {raw['repo']}, and this is no clone of that", "run it from its own repository"
            )
        if runtime == "static" and kind != "web":
            return Problem(f"runtime static is no runtime of a {kind}", "give it the runtime that it is written for")
        if runtime != "static" and kind != "cron" and runtime in runtimes.TOOLS and not raw.get("startCommand"):
            return Problem("it has no startCommand", f"give {name} a startCommand")
        able = runtimes.problem(name, runtime)
        commands = (raw.get(key) or "" for key in ("buildCommand", "preDeployCommand", "startCommand"))
        return able or runtimes.command_problem(*commands)

    def service(self, raw: dict[str, Any], at: Location) -> Entry:
        trigger = raw.get("autoDeployTrigger", "commit" if raw.get("autoDeploy", True) else "off")
        chosen = raw.get("buildFilter")
        spec = ServiceSpec(
            name=raw["name"],
            kind="static" if raw["runtime"] == "static" else raw["type"],
            runtime=raw["runtime"],
            plan=raw.get("plan", "starter"),
            region=raw.get("region", "oregon"),
            repo=raw.get("repo", self.repository.path),
            branch=raw.get("branch", self.repository.branch),
            root_dir=posixpath.normpath(f"/{raw.get('rootDir', '')}").strip("/"),
            build_command=raw.get("buildCommand", ""),
            start_command=raw.get("startCommand", ""),
            pre_deploy_command=raw.get("preDeployCommand", ""),
            publish_path=raw.get("staticPublishPath", ""),
            headers=[dict(one) for one in raw.get("headers", ())],
            routes=[dict(one) for one in raw.get("routes", ())],
            health_check_path=raw.get("healthCheckPath", ""),
            instances=min(int(raw.get("numInstances", 1)), MOST_INSTANCES),
            shutdown_seconds=int(raw.get("maxShutdownDelaySeconds", 30)),
            schedule=raw.get("schedule", ""),
            auto_deploy=trigger,
            build_filter=None
            if chosen is None
            else BuildFilter(paths=chosen.get("paths", []), ignored_paths=chosen.get("ignoredPaths", [])),
        )
        return Entry(spec, list({variable.key: variable for variable in self.variables(raw, at)}.values()))

    def variables(self, raw: dict[str, Any], at: Location) -> list[EnvVar]:
        found: list[EnvVar] = []
        for index, one in enumerate(raw.get("envVars", ())):
            if "fromGroup" in one:
                found += self.groups.get(one["fromGroup"], [EnvVar(key=ANY, unset=True)])
            else:
                found.append(self.variable(one, (*at, "envVars", index)))
        return found

    def variable(self, raw: dict[str, Any], at: Location) -> EnvVar:
        key = raw["key"]
        if "fromDatabase" in raw:
            return EnvVar(key=key, database=(raw["fromDatabase"]["name"], raw["fromDatabase"]["property"]))
        if "fromService" in raw:
            reference = raw["fromService"]
            if reference["type"] in documented.KEY_VALUE and "property" in reference:
                return EnvVar(key=key, keyvalue=(reference["name"], reference["property"]))
            how = "envVarKey" if "envVarKey" in reference else "property"
            return EnvVar(key=key, service=(reference["name"], how, reference[how]))
        if "value" in raw:
            return EnvVar(key=key, value=self.document.written[*at, "value"])
        return EnvVar(key=key, generate=bool(raw.get("generateValue")), unset=not raw.get("generateValue"))

    def store(self, raw: dict[str, Any]) -> KeyValueSpec:
        return KeyValueSpec(
            name=raw["name"],
            policy=raw.get("maxmemoryPolicy", "allkeys-lru"),
            persistence=raw.get("persistenceMode", "snapshot"),
        )

    def major(self, raw: dict[str, Any]) -> str:
        return str(raw.get("postgresMajorVersion", runtimes.NEWEST_POSTGRES))

    def database(self, raw: dict[str, Any], others: list[DatabaseSpec]) -> DatabaseSpec:
        """A database; at Render each has a server of its own, so a name that is taken here becomes another one."""
        plain = re.sub(r"[^a-z0-9_]", "_", raw["name"].lower())
        name, user = raw.get("databaseName", plain), raw.get("user", f"{plain}_user")
        taken = {one.database for one in others} | {one.user for one in others}
        return DatabaseSpec(
            name=raw["name"],
            database=f"{name}_{plain}" if name in taken else name,
            user=f"{user}_{plain}" if user in taken else user,
            major=self.major(raw),
            plan=raw.get("plan", "basic-256mb").replace("-", "_").replace(" ", "_"),
            region=raw.get("region", "oregon"),
            disk_gb=int(raw.get("diskSizeGB", 1)),
        )
