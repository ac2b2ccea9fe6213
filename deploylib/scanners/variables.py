"""Whether every service has the environment variables that it needs, and none of them is only a stand-in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

from deploylib.models.findings import Examined, Finding, Gap
from deploylib.settings import Variable

__all__ = ["examine"]

SECRET_LENGTH = 16
BOOLEANS = frozenset({"true", "false", "1", "0", "yes", "no", "on", "off"})
MARKED = re.compile(
    r"^<.*>$|^\[.*\]$|^\{\{.*\}\}$|^\.\.\.$|^…$|^x{3,}$|^\*+$|"
    r"(?:^|[^a-z0-9])(?:change[-_ ]?me|change[-_ ]?this|replace[-_ ]?me|placeholder|todo|fixme|example|x{3,}|"
    r"dummy|insert[-_ ]|your[-_ ])|(?:^|[^a-z])(?:your|my)[-_](?:\w+[-_])?(?:here|key|secret|token|password)",
    re.IGNORECASE,
)


def examine(declared: tuple[Variable, ...], values: Mapping[str, Mapping[str, str]]) -> Examined:
    """Compare what is declared with what the platform has; no value is ever said.

    Args:
        declared: the variables that the services need.
        values: service → variable → value; a service that is missing could not be asked.
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


def _ask(who: str) -> str:
    return f"let the key read the variables of {who}, or take the service out of the declaration"
