"""Weak places of a Blueprint.

Secrets in plain sight, a second deployer, doors for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from deploylib.errors import SettingsError
from deploylib.models.findings import Examined, Finding, Gap
from deploylib.render import blueprints
from deploylib.scanners import credential_rules
from deploylib.scanners.product import Product

__all__ = ["scan_blueprint"]

HARMLESS = re.compile(r"\s*|[\d.]+[smhd]?|true|false|yes|no|on|off|/[\w./-]*", re.IGNORECASE)
SOURCES = frozenset({"value", "generateValue", "sync", "fromDatabase", "fromService", "fromGroup"})
EVERYONE = frozenset({"0.0.0.0/0", "::/0"})
ALLOWED = "ipAllowList: the addresses that need it, [] for none"


def scan_blueprint(product: Product) -> Examined:
    """Look for what the Blueprint allows and a release should not."""
    path, local = product.services.blueprint, product.services.local
    file = product.files / path
    if not file.is_file():
        return Examined("blueprint")
    try:
        document, _ = blueprints.load_document(file.read_bytes().decode(errors="replace"), path)
    except OSError:
        gap = Gap(path, "it cannot be read", "see who may read it")
        return Examined("blueprint", gaps=(gap,))
    except SettingsError:  # its text may quote the file
        says = f"{path} is not a Blueprint that Render would take"
        findings = [_finding("invalid", "", says, "inv check says what is wrong")]
    else:
        findings = list(_weak_places(document.data, local=local))
    placed = (
        msgspec.structs.replace(finding, where=f"{path}: {finding.where}" if finding.where else path, path=path)
        for finding in findings
    )
    return Examined("blueprint", counted={"file": 1}, findings=tuple(placed))


def _finding(rule: str, where: str, text: str, remedy: str, *, blocks: bool = True) -> Finding:
    return Finding("blueprint", rule, where, text, remedy, blocks)


def _weak_places(whole: dict[str, Any], *, local: bool) -> Iterator[Finding]:
    """Go through the services, databases and variables of a Blueprint."""
    mappings = list(_mappings(whole))
    for service in _listed(mappings, "services"):
        if isinstance(service, dict):
            yield from _service(service, local=local)
    databases = [one for one in _listed(mappings, "databases") if isinstance(one, dict)]
    for database in databases:
        yield from _database(database)
    names = {one.get("name") for one in databases}
    for owner in mappings:
        for entry in _listed([owner], "envVars"):
            yield from _variable(str(owner.get("name", "a build source")), entry, names)


def _service(service: dict[str, Any], *, local: bool) -> Iterator[Finding]:
    name, kind = f"service {service.get('name')!r}", service.get("type")
    if kind in {"keyvalue", "redis"}:
        if _open(service):
            text = "the Key Value instance accepts connections from every address"
            yield _finding("open-keyvalue", name, text, ALLOWED)
    elif kind != "workflow" and service.get("runtime") != "image" and service.get("autoDeployTrigger") != "off":
        text = "a push deploys it, before any check of ours"
        yield _finding("autodeploy", name, text, 'autoDeployTrigger: "off"', blocks=not local)
    if service.get("plan") == "free":
        text = "on the free plan it sleeps when idle, and has no pre-deploy command"
        yield _finding("free-plan", name, text, "choose a paid plan where that matters", blocks=False)


def _database(database: dict[str, Any]) -> Iterator[Finding]:
    name = f"database {database.get('name')!r}"
    if database.get("plan") == "free":
        text = "a free database expires after 30 days and has no backups"
        yield _finding("free-plan", name, text, "choose a paid plan", blocks=False)
    if database.get("ipAllowList") is None or _open(database):
        text = "the database accepts connections from every address, with a password"
        yield _finding("open-database", name, text, ALLOWED, blocks=False)


def _variable(owner: str, entry: Any, databases: set[Any]) -> Iterator[Finding]:
    """Judge one entry of ``envVars``; its value is never told."""
    entry = entry if isinstance(entry, dict) else {}
    key = str(entry.get("key", "")) or "an entry"
    where = f"{owner}: {key}"
    if len(SOURCES & entry.keys()) != 1:
        text = f"{key} has not exactly one of value, generateValue, sync, fromDatabase, fromService, fromGroup"
        yield _finding("schema", where, text, "say where its value comes from, once")
    source, value = entry.get("fromDatabase"), entry.get("value")
    if isinstance(source, dict) and source.get("name") not in databases:
        text = f"{key} is taken from a database that the Blueprint does not have"
        yield _finding("unknown-database", where, text, "correct the name, or add the database", blocks=False)
    if value is not None and credential_rules.kind(key) and not HARMLESS.fullmatch(str(value)):
        text = f"{key} is a secret by its name, and its value stands in the file"
        remedy = "change the secret, then: sync: false (set it in the Dashboard) or generateValue: true"
        yield _finding("plain-secret", where, text, remedy)


def _mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Go through its mappings, however deep: projects hold environments, which hold services."""
    if isinstance(node, dict):
        yield node
        node = tuple(node.values())
    if isinstance(node, list | tuple):
        for member in node:
            yield from _mappings(member)


def _listed(mappings: list[dict[str, Any]], key: str) -> Iterator[Any]:
    """Go through the members of every list under this key."""
    for mapping in mappings:
        if isinstance(mapping.get(key), list | tuple):
            yield from mapping[key]


def _open(rule: dict[str, Any]) -> bool:
    entries = rule.get("ipAllowList") or ()
    return any(isinstance(entry, dict) and entry.get("source") in EVERYONE for entry in entries)
