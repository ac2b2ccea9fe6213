"""Render's Blueprint, ``render.yaml``, checked before anything depends on it.

Keys, types and values are those of `deploylib.render.blueprint_schema`, names and references those of `deploylib.render.blueprint_references`. A wrong type,
value or combination is an error; a key that nobody knows, and a reference that leads out of the file, is a note.
"""

from __future__ import annotations

from typing import Any

import msgspec

from deploylib.errors import SettingsError
from deploylib.models import Kind, PathFilter
from deploylib.models.globs import within
from deploylib.render import yaml12
from deploylib.render.blueprint_references import check_references, modernise, scopes
from deploylib.render.blueprint_schema import Remark, check_schema

__all__ = ["Blueprint", "BlueprintDatabase", "BlueprintService", "dump_blueprint", "load_document", "parse", "scopes"]

ANY = Any
# Keys of a service that neither its build nor its program depends on (https://render.com/docs/blueprint-spec): when and for
# whom Render deploys, and where its own proxy lets requests through. Whatever is not here changes the service.
APART = frozenset(
    {
        *("autoDeploy", "autoDeployTrigger", "buildFilter", "initialDeployHook"),
        *("previews", "pullRequestPreviewsEnabled", "previewPlan"),
        *("domain", "domains", "renderSubdomainPolicy", "ipAllowList", "maintenanceMode"),
    }
)


class _Open(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of what is read from the file.

    Only what we use is named.
    """


class BuildFilter(_Open, frozen=True):
    """Paths that make a push deploy the service.

    From the repository's root even where rootDir is set.
    """

    paths: tuple[str, ...] = ()
    ignored_paths: tuple[str, ...] = ()


class BlueprintService(_Open, frozen=True):
    """One service, of any of the shapes.

    Attributes:
        environment: the environment of a project that it stands in; empty where it stands in none.
        settings: all that the file says of it.
    """

    type: str
    name: str
    runtime: str = ""
    root_dir: str = ""
    build_command: str = ""
    start_command: str = ""
    initial_deploy_hook: str = ""
    pre_deploy_command: str = ""
    health_check_path: str = ""
    build_filter: BuildFilter | None = None
    environment: str = ""
    settings: dict[str, ANY] = {}

    @property
    def kind(self) -> Kind | None:
        """Its kind, in the API's word.

        None where it is not deployed from a commit (key value, workflow).
        """
        if self.type == "web":
            return Kind.STATIC if self.runtime == "static" else Kind.WEB
        return {"pserv": Kind.PRIVATE, "worker": Kind.WORKER, "cron": Kind.CRON}.get(self.type)

    @property
    def effective(self) -> dict[str, ANY]:
        """What the file says of its build and its program.

        A change of nothing else deploys it.
        """
        return {key: value for key, value in self.settings.items() if key not in APART} | {"in": self.environment}

    @property
    def filter(self) -> PathFilter:
        """The files it is made of.

        Its filter, else its folder, else everything.
        """
        if self.build_filter is not None and (self.build_filter.paths or self.build_filter.ignored_paths):
            return PathFilter(paths=self.build_filter.paths, ignored=self.build_filter.ignored_paths)
        return within(self.root_dir)


class BlueprintDatabase(_Open, frozen=True):
    """One Postgres database; `environment` as in `BlueprintService`."""

    name: str
    plan: str = ""
    postgres_major_version: str = ""
    environment: str = ""


class Blueprint(_Open, frozen=True):
    """The whole file, with what stands in projects and under ``ungrouped``.

    `notes` are to be told.
    """

    services: tuple[BlueprintService, ...] = ()
    databases: tuple[BlueprintDatabase, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, environment: str) -> Blueprint:
        """Take the part of it that an environment of ours is about.

        Where a project has an environment of that name, what stands in environments of other names is not; a file that
        names none of it is about all of them.
        """
        named = {one.environment.lower() for one in self.services} | {one.environment.lower() for one in self.databases}
        if not environment or environment.lower() not in named:
            return self
        chosen = ("", environment.lower())
        services = tuple(one for one in self.services if one.environment.lower() in chosen)
        databases = tuple(one for one in self.databases if one.environment.lower() in chosen)
        others = [f"{one.name} ({one.environment})" for one in self.services if one not in services]
        note = f"of other environments, so not of this release: {', '.join(others)}"
        notes = (*self.notes, note) if others else self.notes
        return Blueprint(services=services, databases=databases, notes=notes)

    def service(self, name: str) -> BlueprintService | None:
        """Find the service called *name* that is deployed from a commit.

        None: there is none.
        """
        return next((service for service in self.deployable if service.name == name), None)

    @property
    def deployable(self) -> tuple[BlueprintService, ...]:
        """The services that are deployed from a commit."""
        return tuple(service for service in self.services if service.kind is not None)


def parse(text: str, name: str = "render.yaml") -> Blueprint:
    """Read and check a Blueprint.

    Args:
        text: the file's content.
        name: how the file is called in messages.

    Raises:
        SettingsError: see `load_document`.
    """
    document, notes = load_document(text, name)
    every = list(scopes(document))
    services = [
        msgspec.convert({**mapping, "environment": scope.environment, "settings": mapping}, BlueprintService)
        for scope in every
        for mapping, _ in scope.each("services")
    ]
    databases = [
        msgspec.convert({**mapping, "environment": scope.environment}, BlueprintDatabase)
        for scope in every
        for mapping, _ in scope.each("databases")
    ]
    return Blueprint(services=tuple(services), databases=tuple(databases), notes=tuple(notes))


def dump_blueprint(data: dict[str, Any]) -> str:
    """Write a Blueprint; what `parse` reads of it is the same."""
    return yaml12.dump_yaml(data)


def load_document(text: str, name: str = "render.yaml") -> tuple[yaml12.Document, list[str]]:
    """Read the document as it is written, and what deserves a note.

    Raises:
        SettingsError: not YAML, nothing in it, or a type, value or combination that Render would refuse: all of them.
    """
    document = yaml12.load_yaml(text, name)
    remedy = f"correct {name}; Render's reference: https://render.com/docs/blueprint-spec"
    if document.data is None:
        raise SettingsError(f"{name} is empty: it has no services", remedy=remedy)
    older = modernise(document)
    remarks: list[Remark] = sorted([*older, *check_schema(document)])
    if all(one.is_note for one in remarks):
        remarks = sorted([*remarks, *check_references(document)])
    errors = [one.within(name) for one in remarks if not one.is_note]
    notes = [one.within(name) for one in remarks if one.is_note]
    if errors:
        raise SettingsError(errors[0], details=(*errors[1:], *notes), remedy=remedy)
    return document, notes
