"""What Render documents of a Blueprint beside its schema: names, references, and words of older days.

From https://render.com/docs/blueprint-spec and https://render.com/docs/projects: a service or database is named once in
the file; ``env`` is the older word for ``runtime``; a reference may lead to what the account has and the file has not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from localrender.shape import Remark, remark_on
from localrender.yaml12 import Document, Location

__all__ = ["Scope", "check_references", "modernise", "scopes"]

KEY_VALUE = ("keyvalue", "redis")
OTHERS_BUILD = ("docker", "image", "static")  # runtimes that know how they are started


class Scope(msgspec.Struct, frozen=True):
    """A part of the file that holds services.

    Its top, ``ungrouped``, or an environment of a project.

    Attributes:
        keys: those that it has, with their values.
        place: where it is.
        environment: the name of the project's environment; empty for the others.
    """

    keys: dict[str, Any]
    place: Location
    environment: str = ""

    def each(self, key: str) -> Iterator[tuple[dict[str, Any], Location]]:
        """Go through the mappings of one list, each with its place."""
        for number, mapping in enumerate(_list(self.keys.get(key))):
            if isinstance(mapping, dict):
                yield mapping, (*self.place, key, number)


def scopes(document: Document) -> Iterator[Scope]:
    """Go through every part of the file that may hold services."""
    top = document.data if isinstance(document.data, dict) else {}
    yield Scope(top, ())
    if isinstance(top.get("ungrouped"), dict):
        yield Scope(top["ungrouped"], ("ungrouped",))
    for project, at in Scope(top, ()).each("projects"):
        for environment, place in Scope(project, at).each("environments"):
            yield Scope(environment, place, str(environment.get("name", "")))


def modernise(document: Document) -> list[Remark]:
    """Read ``env`` of a service as ``runtime``.

    Both are fine while they say the same.
    """
    remarks = []
    for service, place in _all(document, "services"):
        if service.get("type") in KEY_VALUE or (*place, "env") not in document.lines:
            continue
        older = service.pop("env", service.get("runtime"))
        document.lines.setdefault((*place, "runtime"), document.lines[*place, "env"])
        text = "env is the older word for runtime, which Render still reads"
        remarks.append(remark_on(document, (*place, "env"), text, is_note=True))
        if service.setdefault("runtime", older) != older:
            remarks.append(
                remark_on(document, (*place, "env"), f"env says {older!r} and runtime {service['runtime']!r}")
            )
    return remarks


def check_references(document: Document) -> list[Remark]:
    """Check names and references of a document that fits the schema."""
    remarks = [*_named_twice(document, "services"), *_named_twice(document, "databases")]
    services = [service for service, _ in _all(document, "services")]
    databases = {database["name"] for database, _ in _all(document, "databases")}
    replicas = {
        replica["name"]
        for database, _ in _all(document, "databases")
        for replica in _list(database.get("readReplicas"))
    }
    groups = {group["name"] for group, _ in _all(document, "envVarGroups")}
    for service, place in _all(document, "services"):
        remarks += _incomplete(document, service, place)
        for number, variable in enumerate(_list(service.get("envVars"))):
            at = (*place, "envVars", number)
            if "fromGroup" in variable and variable["fromGroup"] not in groups:
                remarks.append(_outside(document, at, "group of variables", variable["fromGroup"]))
            elif "fromDatabase" in variable and variable["fromDatabase"]["name"] not in databases | replicas:
                remarks.append(_outside(document, at, "database", variable["fromDatabase"]["name"]))
            elif "fromService" in variable:
                remarks += _reference(document, at, variable["fromService"], services)
    return sorted(remarks)


def _named_twice(document: Document, key: str) -> Iterator[Remark]:
    seen: set[tuple[bool, str]] = set()
    for mapping, place in _all(document, key):
        name = (mapping.get("type") in KEY_VALUE, mapping["name"])
        if name in seen:
            yield remark_on(document, (*place, "name"), f"two {key} are called {mapping['name']!r}")
        seen.add(name)


def _incomplete(document: Document, service: dict[str, Any], place: Location) -> Iterator[Remark]:
    runtime = service.get("runtime", "")
    if runtime == "static" and service["type"] == "web":
        if "staticPublishPath" not in service:
            text = "staticPublishPath is missing, which Render documents as required"
            yield remark_on(document, place, text, is_note=True)
    elif runtime and runtime not in OTHERS_BUILD and not service.get("startCommand"):
        text = f"startCommand is missing, which Render documents as required for {runtime}"
        yield remark_on(document, place, text, is_note=True)


def _reference(
    document: Document, at: Location, wanted: dict[str, Any], services: list[dict[str, Any]]
) -> Iterator[Remark]:
    kinds = [_kinds(one) for one in services if one["name"] == wanted["name"]]
    if any(wanted["type"] in each for each in kinds):
        return
    if kinds:
        text = f"{wanted['name']} is of type {kinds[0][0]} here, not {wanted['type']}"
        yield remark_on(document, (*at, "fromService", "type"), text)
        return
    yield _outside(document, at, "service", wanted["name"])


def _kinds(service: dict[str, Any]) -> tuple[str, ...]:
    if service["type"] in KEY_VALUE:
        return KEY_VALUE
    return ("web", "static") if service.get("runtime") == "static" else (service["type"],)


def _outside(document: Document, at: Location, what: str, name: str) -> Remark:
    text = f"the {what} {name!r} is not in this file, so Render looks for it in the account"
    return remark_on(document, at, text, is_note=True)


def _all(document: Document, key: str) -> Iterator[tuple[dict[str, Any], Location]]:
    for scope in scopes(document):
        yield from scope.each(key)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
