"""The gate before a release: what can be seen of a commit without running it, by five examiners side by side.

Dependencies and code are examined by programs of others, secrets by an engine and rules of ours, environment
variables and Blueprint here. Whoever cannot look says so: that is not the same as clean.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from datetime import date
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import msgspec

from deploylib import audit, leaks
from deploylib.blueprint import parse
from deploylib.clock import Clock, Deadline
from deploylib.errors import SettingsError
from deploylib.examined import Examined, Finding, Gap, Scanned, ScanSettings, Variable, judged
from deploylib.process import Runner
from deploylib.units import seconds

__all__ = ["blueprint", "scan", "variables"]

SECRET_LENGTH = 16
BOOLEANS = frozenset({"true", "false", "1", "0", "yes", "no", "on", "off"})
MARKED = re.compile(
    r"^<.*>$|^\[.*\]$|^\{\{.*\}\}$|^\.\.\.$|^…$|^x{3,}$|^\*+$|"
    r"(?:^|[^a-z0-9])(?:change[-_ ]?me|change[-_ ]?this|replace[-_ ]?me|placeholder|todo|fixme|example|x{3,}|"
    r"dummy|insert[-_ ]|your[-_ ])|(?:^|[^a-z])(?:your|my)[-_](?:\w+[-_])?(?:here|key|secret|token|password)",
    re.IGNORECASE,
)
HARMLESS = re.compile(r"\s*|[\d.]+[smhd]?|true|false|yes|no|on|off|/[\w./-]*", re.IGNORECASE)
SOURCES = ({"value"}, {"generateValue"}, {"sync"}, {"fromDatabase"}, {"fromService"}, {"fromGroup"})
EVERYONE = frozenset({"0.0.0.0/0", "::/0"})


def scan(
    files: Path,
    settings: ScanSettings,
    *,
    declared: tuple[Variable, ...] = (),
    values: Mapping[str, Mapping[str, str]] | None = None,
    blueprint_path: str = "render.yaml",
    local: bool = False,
    runner: Runner,
    clock: Clock,
) -> Scanned:
    """Examine the files of a commit.

    Args:
        files: the tree, as `Git.exported` gives it; nothing is written to it.
        declared: the variables that the services need.
        values: service → variable → value, as the platform has them; a service that is missing could not be asked.
        blueprint_path: where the Blueprint is in the tree.
        local: for a platform that nobody pushes to, so that autodeploy is only worth a note.
    """
    began = clock.monotonic()
    deadline = Deadline.after(seconds(settings.within, "scan.within"), clock)
    asked = [
        _aside(lambda: audit.dependencies(files, settings, runner=runner, clock=clock, deadline=deadline)),
        _aside(lambda: audit.code(files, settings, runner=runner, clock=clock, deadline=deadline)),
    ]
    today = clock.now().date()
    here = [
        leaks.examine(files, settings, clock=clock, deadline=deadline),
        _accepting(variables(declared, values or {}), settings, today),
        _accepting(blueprint(files, blueprint_path, local=local), settings, today),
    ]
    examined = (*(one.result() for one in asked), *here)
    return Scanned(examined=examined, seconds=clock.monotonic() - began)


def variables(declared: tuple[Variable, ...], values: Mapping[str, Mapping[str, str]]) -> Examined:
    """Whether every service has the variables it needs, and none of them is only a stand-in.

    Args:
        declared: what the settings say.
        values: see `scan`.
    """
    found, gaps, looked = [], [], 0
    for one in declared:
        if not one.services and not values:
            gaps.append(Gap(one.name, "no service's variables are known", _ask("the services")))
        for service in one.services or tuple(values):
            if service not in values:
                gaps.append(Gap(f"{service}: {one.name}", "the service's variables are not known", _ask(service)))
                continue
            looked += 1
            if wrong := _wrong(one, values[service].get(one.name, "")):
                rule, text = wrong
                where = f"{service}: {one.name}"
                remedy = f"set {one.name} of {service} in the Dashboard (Environment), then scan again"
                found.append(
                    Finding(tool="deploylib", rule=rule, where=where, text=f"{one.name} {text}", remedy=remedy)
                )
    return Examined(name="variables", counted={"variable": looked}, findings=tuple(found), gaps=tuple(gaps))


def blueprint(files: Path, path: str, *, local: bool = False) -> Examined:
    """What the Blueprint allows and a release should not: secrets in plain sight, a second deployer, open doors.

    Args:
        files: the tree.
        path: where the Blueprint is in it.
        local: see `scan`.
    """
    if not (files / path).is_file():
        return Examined(name="blueprint", counted={})
    try:
        described = parse((files / path).read_text(errors="replace"), path)
    except SettingsError:  # its text may quote the file
        says = f"{path} is not a Blueprint that Render would take"
        wrong = Finding(
            tool="blueprint", rule="invalid", where=path, text=says, remedy="inv check says what is wrong", path=path
        )
        return Examined(name="blueprint", counted={"file": 1}, findings=(wrong,))
    found = [
        Finding(
            tool="blueprint", rule=rule, where=f"{path}: {where}", text=text, remedy=remedy, blocks=blocks, path=path
        )
        for rule, where, text, remedy, blocks in _described(msgspec.to_builtins(described), local=local)
    ]
    return Examined(name="blueprint", counted={"file": 1}, findings=tuple(found))


Said = tuple[str, str, str, str, bool]


def _described(whole: dict[str, Any], *, local: bool) -> Iterator[Said]:
    """Rule, where, what, remedy, and whether it blocks."""
    databases = [one for one in _all(whole, "databases") if isinstance(one, dict)]
    services = [one for one in _all(whole, "services") if isinstance(one, dict)]
    known = {one.get("name") for one in databases}
    for service in services:
        yield from _service(service, local=local)
    for one in databases:
        name = f"database {one.get('name')!r}"
        if one.get("plan") == "free":
            yield (
                "free-plan",
                name,
                "a free database expires after 30 days and has no backups",
                "choose a paid plan",
                False,
            )
        if one.get("ipAllowList") is None or _open(one):
            text = "the database accepts connections from every address, with a password"
            yield "open-database", name, text, "ipAllowList: the addresses that need it, [] for none", False
    for owner in _owners(whole):
        for one in owner["envVars"]:
            yield from _variable(str(owner.get("name", "a build source")), one, known)


def _service(service: dict[str, Any], *, local: bool) -> Iterator[Said]:
    name, kind = f"service {service.get('name')!r}", service.get("type")
    if kind in {"keyvalue", "redis"}:
        if service.get("ipAllowList") is None:
            yield (
                "schema",
                name,
                "a Key Value instance needs an ipAllowList",
                "ipAllowList: [] for none from outside",
                True,
            )
        elif _open(service):
            text = "the Key Value instance accepts connections from every address"
            yield "open-keyvalue", name, text, "ipAllowList: the addresses that need it, [] for none", True
    elif kind != "workflow" and service.get("runtime") != "image" and service.get("autoDeployTrigger") != "off":
        text = "a push deploys it, before any check of ours"
        yield "autodeploy", name, text, 'autoDeployTrigger: "off"', not local
    if service.get("plan") == "free":
        text = "on the free plan it sleeps when idle, and has no pre-deploy command"
        yield "free-plan", name, text, "choose a paid plan where that matters", False


def _variable(owner: str, one: Any, databases: set[Any]) -> Iterator[Said]:
    """One entry of ``envVars``; its value is judged and never said."""
    entry = one if isinstance(one, dict) else {}
    key = str(entry.get("key", "")) or "an entry"
    where = f"{owner}: {key}"
    if sum(source <= entry.keys() for source in SOURCES) != 1:
        text = f"{key} has not exactly one of value, generateValue, sync, fromDatabase, fromService, fromGroup"
        yield "schema", where, text, "say where its value comes from, once", True
    source = entry.get("fromDatabase")
    if isinstance(source, dict) and source.get("name") not in databases:
        text = f"{key} is taken from a database that the Blueprint does not have"
        yield "unknown-database", where, text, "correct the name, or add the database", False
    value = entry.get("value")
    if value is not None and leaks.called_secret(key) and not HARMLESS.fullmatch(str(value)):
        text = f"{key} is a secret by its name, and its value stands in the file"
        remedy = "change the secret, then: sync: false (set it in the Dashboard) or generateValue: true"
        yield "plain-secret", where, text, remedy, True


def _all(node: Any, key: str) -> Iterator[Any]:
    """The members of every list under *key*, however deep: projects hold environments, which hold services."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key and isinstance(value, list | tuple):
                yield from value
            yield from _all(value, key)
    elif isinstance(node, list | tuple):
        for one in node:
            yield from _all(one, key)


def _owners(node: Any) -> Iterator[dict[str, Any]]:
    """Everything that has ``envVars``: services, groups, build sources."""
    if isinstance(node, dict):
        if isinstance(node.get("envVars"), list | tuple):
            yield node
        for value in node.values():
            yield from _owners(value)
    elif isinstance(node, list | tuple):
        for one in node:
            yield from _owners(one)


def _open(one: dict[str, Any]) -> bool:
    entries = one.get("ipAllowList") or ()
    return any(isinstance(entry, dict) and entry.get("source") in EVERYONE for entry in entries)


def _wrong(one: Variable, value: str) -> tuple[str, str] | None:
    """Rule and words for what is wrong with a value, without the value; None for nothing."""
    if not value.strip():
        return ("missing", "is not set") if one.required else None
    if MARKED.search(value.strip()):
        return "placeholder", "holds a stand-in, not a value"
    if not _fits(one.kind, value.strip()):
        return "wrong-kind", f"is not a {one.kind}"
    if one.pattern and not re.fullmatch(one.pattern, value):
        return "pattern", "does not match its pattern"
    least = one.minimum_length or (SECRET_LENGTH if one.kind == "secret" else 1)
    if len(value) < least:
        return "too-short", f"is shorter than {least} characters"
    if one.kind == "secret" and max(Counter(value).values()) > len(value) / 2:
        return "placeholder", "repeats one character, as a stand-in does"
    return None


def _fits(kind: str, value: str) -> bool:
    if kind == "integer":
        return re.fullmatch(r"[+-]?\d+", value) is not None
    if kind == "boolean":
        return value.lower() in BOOLEANS
    if kind not in {"url", "postgres-url"}:
        return True
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:  # its text quotes the address
        return False
    if kind == "url":
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    return parts.scheme.partition("+")[0] in {"postgres", "postgresql"} and len(parts.path) > 1


def _accepting(one: Examined, settings: ScanSettings, today: date) -> Examined:
    stand, accepted = judged(one.findings, settings.accepted, today)
    return msgspec.structs.replace(one, findings=tuple(stand), accepted=tuple(accepted))


def _ask(who: str) -> str:
    return f"let the key read the variables of {who}, or take the service out of the declaration"


def _aside(work: Callable[[], Examined]) -> Future[Examined]:
    """Start *work* beside us; a daemon, so that an interrupted scan does not wait for a program that it started."""
    future: Future[Examined] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
