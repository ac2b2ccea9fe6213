"""Reads and checks a Blueprint (`render.yaml`): what is wrong is said with file, line and path.

The shapes are those of Render's JSON Schema of the Blueprint (`render.com/schema/render.yaml.json`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from localrender import runtimes, source, yaml12
from localrender.errors import bad_input
from localrender.model import BuildFilter, DatabaseSpec, EnvVar, ServiceSpec
from localrender.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from localrender.yaml12 import Path as Where

_COMMON = "type name runtime buildCommand envVars autoDeploy autoDeployTrigger buildFilter rootDir repo branch"
_COMMON += " preDeployCommand region"
_SERVER = f"{_COMMON} plan buildSource image dockerCommand dockerContext dockerfilePath numInstances"
_SERVER += " healthCheckPath scaling startCommand registryCredential domain domains initialDeployHook disk"
_SERVER += " previews pullRequestPreviewsEnabled previewPlan maintenanceMode maxShutdownDelaySeconds"
_SERVER += " ipAllowList renderSubdomainPolicy"
_STATIC = f"{_COMMON.replace(' region', '')} staticPublishPath previews pullRequestPreviewsEnabled headers routes"
_STATIC += " domain domains ipAllowList renderSubdomainPolicy"
_CRON = f"{_COMMON} plan schedule startCommand dockerCommand dockerfilePath dockerContext registryCredential image"
_DATABASE = "name databaseName user region plan diskSizeGB storageAutoscalingEnabled connectionPool previewPlan"
_DATABASE += " previewDiskSizeGB postgresMajorVersion highAvailability ipAllowList readReplicas"
_ROOT = "services databases envVarGroups projects ungrouped buildSources previews previewsEnabled"
_ROOT += " previewsExpireAfterDays version"
_UNSUPPORTED = {"keyvalue": "a Key Value instance", "redis": "a Key Value instance", "workflow": "a workflow"}
_DATABASE_PROPERTIES = ["connectionString", "connectionPoolString", "host", "port", "user", "password", "database"]
_SERVICE_PROPERTIES = ["host", "port", "hostport", "slug", "connectionString"]


class Entry(msgspec.Struct, frozen=True):
    """A service of the Blueprint with its variables."""

    spec: ServiceSpec
    env: list[EnvVar]


class Blueprint(msgspec.Struct, frozen=True):
    """A checked Blueprint and the git repository that holds it."""

    services: list[Entry]
    databases: list[DatabaseSpec]
    repository: str


def load(path: Path, *, any_postgres: bool = False) -> Blueprint:
    """Read and check everything that can be checked without changing anything.

    Args:
        path: The Blueprint.
        any_postgres: Databases are made on a server the user names: its version counts, not the Blueprint's.

    Raises:
        LocalRenderError: With exit code 2, when anything stands in the way of running it.
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
    reader = _Reader(path.name, yaml12.load(text, path.name), repository)
    return reader.blueprint(any_postgres=any_postgres)


class _Reader(Reader):
    def blueprint(self, *, any_postgres: bool) -> Blueprint:
        root = self.mapping(self.document.data, (), _ROOT)
        scopes = list(self.scopes(root))
        groups: dict[str, list[EnvVar]] = {}
        for scope, where in scopes:
            for item, at in self.items(scope, "envVarGroups", where):
                group = self.mapping(item, at, "name envVars")
                groups[self.text(group, "name", at)] = [
                    variable
                    for value, deeper in self.items(group, "envVars", at)
                    for variable in self.variable(value, deeper, {})
                ]
        databases = [
            self.database(item, at, any_postgres=any_postgres)
            for scope, where in scopes
            for item, at in self.items(scope, "databases", where)
        ]
        places = [place for scope, where in scopes for place in self.items(scope, "services", where)]
        services = [self.service(item, at, groups) for item, at in places]
        self.unique("service name", [entry.spec.name for entry in services])
        self.unique("database name", [database.name for database in databases])
        self.unique("databaseName", [database.database for database in databases])
        self.unique("database user", [database.user for database in databases])
        self.references(services, databases, [at for _, at in places])
        return Blueprint(services, databases, self.repository.path)

    def scopes(self, root: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Where]]:
        yield root, ()
        if "ungrouped" in root:
            yield self.mapping(root["ungrouped"], ("ungrouped",)), ("ungrouped",)
        for project, at in self.items(root, "projects", ()):
            for environment, deeper in self.items(self.mapping(project, at), "environments", at):
                yield self.mapping(environment, deeper), deeper

    def unique(self, what: str, names: list[str]) -> None:
        for name in names:
            if names.count(name) > 1:
                self.fail((), f"the {what} {name} is used twice", f"give each its own {what}")

    def service(self, item: Any, at: Where, groups: dict[str, list[EnvVar]]) -> Entry:
        raw = self.mapping(item, at)
        name = self.text(raw, "name", at)
        kind: Any = raw.get("type")
        if kind in _UNSUPPORTED:
            self.fail(
                (*at, "type"),
                f"{name} is {_UNSUPPORTED[kind]}, which the local Render does not run",
                f"leave {name} out of the Blueprint that is run here",
                "unsupported_type",
            )
        self.choice(kind, (*at, "type"), ["web", "worker", "pserv", "cron"])
        runtime = self.text(raw, "runtime", at)
        static = kind == "web" and runtime == "static"
        raw = self.mapping(item, at, _STATIC if static else _CRON if kind == "cron" else _SERVER)
        if not name:
            self.fail(at, "a service needs a name")
        if problem := runtimes.problem(name, runtime):
            self.fail((*at, "runtime"), problem.message, problem.remedy, "unsupported_runtime")
        if not static and kind != "cron" and not raw.get("startCommand"):
            self.fail(at, f"{name} has no startCommand")
        if kind == "cron" and not raw.get("schedule"):
            self.fail(at, f"{name} has no schedule")
        root_dir = self.text(raw, "rootDir", at).strip("/").removeprefix("./")
        if ".." in root_dir.split("/"):
            self.fail((*at, "rootDir"), "must lie inside the repository")
        env = {}
        for value, deeper in self.items(raw, "envVars", at):
            env.update({variable.key: variable for variable in self.variable(value, deeper, groups)})
        text: Callable[..., str] = lambda key, default="": self.text(raw, key, at, default)  # noqa: E731
        spec = ServiceSpec(
            name=name,
            kind="static" if static else kind,
            runtime=runtime,
            plan=text("plan", "starter"),
            region=text("region", "oregon"),
            repo=text("repo", self.repository.path),
            branch=text("branch", self.repository.branch),
            root_dir=root_dir,
            build_command=text("buildCommand"),
            start_command=text("startCommand"),
            pre_deploy_command=text("preDeployCommand"),
            publish_path=text("staticPublishPath"),
            headers=[self.words(value, deeper, "path name value") for value, deeper in self.items(raw, "headers", at)],
            routes=[
                self.words(value, deeper, "type source destination") for value, deeper in self.items(raw, "routes", at)
            ],
            health_check_path=text("healthCheckPath"),
            instances=self.number(raw, "numInstances", at, 1, 10),
            shutdown_seconds=self.number(raw, "maxShutdownDelaySeconds", at, 30, 300),
            schedule=text("schedule"),
            auto_deploy=self.auto_deploy(raw, at),
            build_filter=self.build_filter(raw, at),
        )
        return Entry(spec, list(env.values()))

    def words(self, value: Any, at: Where, keys: str) -> dict[str, str]:
        raw = self.mapping(value, at, keys)
        return {key: self.text(raw, key, at) for key in keys.split()}

    def auto_deploy(self, raw: dict[str, Any], at: Where) -> Any:
        if "autoDeployTrigger" in raw:
            return self.choice(raw["autoDeployTrigger"], (*at, "autoDeployTrigger"), ["off", "commit", "checksPass"])
        automatic = raw.get("autoDeploy", True)
        if not isinstance(automatic, bool):
            self.fail((*at, "autoDeploy"), "must be true or false")
        return "commit" if automatic else "off"

    def build_filter(self, raw: dict[str, Any], at: Where) -> BuildFilter | None:
        if "buildFilter" not in raw:
            return None
        where = (*at, "buildFilter")
        value = self.mapping(raw["buildFilter"], where, "paths ignoredPaths")
        if not value:
            self.fail(where, "needs paths or ignoredPaths")
        paths, ignored = ([str(item) for item, _ in self.items(value, key, where)] for key in ("paths", "ignoredPaths"))
        return BuildFilter(paths=paths, ignored_paths=ignored)

    def variable(self, value: Any, at: Where, groups: dict[str, list[EnvVar]]) -> list[EnvVar]:
        raw = self.mapping(value, at, "key value generateValue sync previewValue fromDatabase fromService fromGroup")
        if "fromGroup" in raw:
            if raw["fromGroup"] not in groups:
                self.fail((*at, "fromGroup"), f"there is no envVarGroup {raw['fromGroup']}")
            return groups[raw["fromGroup"]]
        key = self.text(raw, "key", at)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", key):
            self.fail(at, f"{key!r} is no name of a variable")
        if "fromDatabase" in raw:
            where = (*at, "fromDatabase")
            reference = self.mapping(raw["fromDatabase"], where, "name property")
            wanted = self.choice(reference.get("property"), (*where, "property"), _DATABASE_PROPERTIES)
            return [EnvVar(key=key, database=(self.text(reference, "name", where), wanted))]
        if "fromService" in raw:
            where = (*at, "fromService")
            reference = self.mapping(raw["fromService"], where, "name type property envVarKey")
            name = self.text(reference, "name", where)
            if "envVarKey" in reference:
                return [EnvVar(key=key, service=(name, "envVarKey", self.text(reference, "envVarKey", where)))]
            wanted = self.choice(reference.get("property"), (*where, "property"), _SERVICE_PROPERTIES)
            return [EnvVar(key=key, service=(name, "property", wanted))]
        if "value" in raw:
            return [EnvVar(key=key, value=self.document.written[*at, "value"])]
        return [EnvVar(key=key, generate=bool(raw.get("generateValue")), unset=not raw.get("generateValue"))]

    def references(self, services: list[Entry], databases: list[DatabaseSpec], places: list[Where]) -> None:
        names, stores = {entry.spec.name for entry in services}, {database.name for database in databases}
        for entry, at in zip(services, places, strict=True):
            for variable in entry.env:
                if variable.service and variable.service[0] not in names:
                    self.fail(
                        (*at, "envVars"),
                        f"{variable.key} names the service {variable.service[0]}, which is not in the Blueprint",
                    )
                if variable.database and variable.database[0] not in stores:
                    self.fail(
                        (*at, "envVars"),
                        f"{variable.key} names the database {variable.database[0]}, which is not in the Blueprint",
                    )

    def database(self, item: Any, at: Where, *, any_postgres: bool) -> DatabaseSpec:
        raw = self.mapping(item, at, _DATABASE)
        name = self.text(raw, "name", at)
        if not name:
            self.fail(at, "a database needs a name")
        plain = re.sub(r"[^a-z0-9_]", "_", name.lower())
        major = self.document.written.get((*at, "postgresMajorVersion"), "16")
        if not any_postgres and (missing := runtimes.postgres_problem()):
            self.fail(at, missing.message, missing.remedy, "postgres_missing")
        if major not in runtimes.POSTGRES and not any_postgres:
            self.fail(
                (*at, "postgresMajorVersion"),
                f"Postgres {major} is not at hand here; {' and '.join(runtimes.POSTGRES)} are",
                f"use one of these, or name a server of version {major}: --postgres postgresql://…",
                "unsupported_postgres",
            )
        return DatabaseSpec(
            name=name,
            database=self.text(raw, "databaseName", at, plain),
            user=self.text(raw, "user", at, f"{plain}_user"),
            major=major,
            plan=self.text(raw, "plan", at, "basic-256mb").replace("-", "_").replace(" ", "_"),
            region=self.text(raw, "region", at, "oregon"),
            disk_gb=self.number(raw, "diskSizeGB", at, 1),
        )
