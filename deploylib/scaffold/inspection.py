"""Conclude what a repository holds from the files that say so.

A home-made detection: buildpacks (CNB, nixpacks) answer with an image or a plan of their own and not with Render's keys,
and none says from which file. What nobody can conclude is said, and left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from deploylib.errors import SettingsError
from deploylib.render import blueprints
from deploylib.scaffold.node import describe_node
from deploylib.scaffold.python import describe_python
from deploylib.scaffold.repository import Inference, InitOptions, Repository, Tree
from deploylib.scaffold.services import FolderContent

__all__ = ["describe"]

APART = re.compile(r"(?:^|/)(?:\..*|node_modules|tests?|docs?|examples?|fixtures|vendor)(?:/|$)")
PRISMA = re.compile(r"(?:(?P<folder>.+)/)?prisma/migrations/[^/]+/migration\.sql")
DEEPEST = 2  # folders above one that holds a service: apps/api
MANIFESTS = ("package.json", "requirements.txt", "pyproject.toml", "manage.py", "Procfile")
APART_FROM_A_PROGRAM = re.compile(
    "client|frontend|landing|site|web|website|www"
)  # public, static, templates are a program's
PAGES = ("index.html", "public/index.html", "site/index.html", "dist/index.html")
NONE = "no service was recognised in this repository"


def describe(
    tree: Tree,
    asked: InitOptions,
    *,
    name: str,
    branch: str,
    blueprint: str,
    settings_file: str,
    environments: tuple[str, ...],
) -> Repository:
    """Describe a repository by its Blueprint, or by what its files say.

    Args:
        name: of the repository.
        branch: that is released.
        blueprint: the name of its Blueprint.
        settings_file: where its settings are, or belong.
        environments: where it is released, the first choice first.

    Raises:
        SettingsError: a file cannot be read, or nothing of it says what could be released.
    """
    inspected = _inspect(tree, name)
    first = blueprint not in tree.names
    if first:
        document = _first_blueprint(inspected, name)
        conclusions = inspected.conclusions
    else:
        document = blueprints.load_document(tree.read(blueprint), blueprint)[0].data
        conclusions = []
    text = blueprints.dump_blueprint(document) if first else tree.read(blueprint)
    parsed = blueprints.parse(text, blueprint)
    if not parsed.deployable:
        message = f"{blueprint} has no service that is deployed from a commit"
        raise SettingsError(message, remedy=f"add the services to {blueprint}, then deploylib init")
    if not first:
        conclusions = [Inference(f"services: {', '.join(one.name for one in parsed.deployable)}", blueprint)]
    if inspected.tests:
        conclusions = [*conclusions, Inference(f"tests: {inspected.tests}", inspected.tests_file)]
    migrations = next((found for name in sorted(tree.names) if (found := PRISMA.fullmatch(name))), None)
    if migrations is not None:
        conclusions = [*conclusions, Inference("migrations: Prisma's, by npx prisma migrate deploy", migrations[0])]
    return Repository(
        branch=branch,
        blueprint=parsed,
        blueprint_file=blueprint,
        document=document,
        first=first,
        tests=inspected.tests,
        settings_file=settings_file,
        conclusions=tuple(conclusions),
        environments=environments,
        asked=asked,
        prisma=migrations["folder"] or "" if migrations is not None else None,
    )


@dataclass
class _Inspected:
    services: list[dict[str, Any]] = field(default_factory=list)
    conclusions: list[Inference] = field(default_factory=list)
    database: str = ""  # the file that names a driver
    tests: str = ""
    tests_file: str = ""


def _inspect(tree: Tree, name: str) -> _Inspected:
    inspected = _Inspected()
    for folder in _folders(tree):
        label = _slug(PurePosixPath(folder).name or name)
        for part in _parts(tree, folder, label):
            inspected.services += part.services
            inspected.conclusions += part.conclusions
            inspected.database = inspected.database or part.database
            if part.tests and not inspected.tests and not folder:
                inspected.tests, inspected.tests_file = part.tests, part.tests_file
    return inspected


def _folders(tree: Tree) -> list[str]:
    """List the folders that hold a manifest, the top first."""
    folders = {""}
    for path in tree.names:
        folder, _, file = path.rpartition("/")
        if file in (*MANIFESTS, "index.html") and folder.count("/") < DEEPEST and not APART.search(folder):
            folders.add(folder)
    return sorted(folders, key=lambda folder: (folder.count("/") + bool(folder), folder))


def _parts(tree: Tree, folder: str, label: str) -> Iterator[FolderContent]:
    """Describe what a folder holds, by the manifest of each language."""
    node, python = tree.first(folder, "package.json"), tree.first(folder, *MANIFESTS[1:])
    contents = [describe_python(tree, folder, label)] if python else []
    contents += [describe_node(tree, folder, f"{label}-web" if python else label)] if node else []
    yield from contents
    if not any(each.services for each in contents) and (page := _page_of(tree, folder)):
        site = {"type": "web", "name": label, "runtime": "static", "buildCommand": "true"}
        published = str(PurePosixPath(page).parent.relative_to(folder or "."))
        where = {"rootDir": folder} if folder else {}
        yield FolderContent(
            services=[{**site, **where, "staticPublishPath": published, "autoDeployTrigger": "off"}],
            conclusions=[Inference(f"{label}: a static site as it lies there", page)],
        )


def _page_of(tree: Tree, folder: str) -> str:
    """Describe a page that no program serves.

    Empty where there is none, or one that the program above it may serve.
    """
    parents = PurePosixPath(folder).parents if folder else ()
    above = ["" if str(each) == "." else str(each) for each in parents]
    if any(tree.first(each, *MANIFESTS) for each in above):
        return tree.first(folder, *PAGES) if APART_FROM_A_PROGRAM.fullmatch(PurePosixPath(folder).name) else ""
    published = {tree.first(each, *PAGES) for each in above}
    page = tree.first(folder, *PAGES)
    return "" if page in published else page


def _first_blueprint(inspected: _Inspected, name: str) -> dict[str, Any]:
    if not inspected.services:
        raise SettingsError(
            NONE,
            details=tuple(f"{one.file}: {one.text}" for one in inspected.conclusions),
            remedy="write a render.yaml (https://render.com/docs/blueprint-spec), then deploylib init",
        )
    document: dict[str, Any] = {"services": _named_apart(inspected.services)}
    if inspected.database:
        database = f"{_slug(name)}-db"
        inspected.conclusions.append(Inference(f"{database}: a Postgres, as DATABASE_URL", inspected.database))
        variable = {"key": "DATABASE_URL", "fromDatabase": {"name": database, "property": "connectionString"}}
        for service in document["services"]:
            if service["runtime"] != "static":
                service["envVars"] = [variable]
        document["databases"] = [{"name": database, "plan": "basic-256mb", "postgresMajorVersion": "16"}]
    return document


def _named_apart(services: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each service a name of its own.

    Two folders may be called alike.
    """
    used: set[str] = set()
    for service in services:
        name, number = service["name"], 2
        while service["name"] in used:
            service["name"], number = f"{name}-{number}", number + 1
        used.add(service["name"])
    return services


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "app"
