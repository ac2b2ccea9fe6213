"""Environment variables that a service lacks, or that hold only a stand-in."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import urlsplit

from deploylib.models.findings import Examined, Finding, Gap
from deploylib.scanners.product import Product
from deploylib.settings import Variable

__all__ = ["scan_variables"]

SECRET_LENGTH = 16
BOOLEANS = frozenset({"true", "false", "1", "0", "yes", "no", "on", "off"})
MARKED = re.compile(
    r"^<.*>$|^\[.*\]$|^\{\{.*\}\}$|^\.\.\.$|^…$|^x{3,}$|^\*+$|"
    r"(?:^|[^a-z0-9])(?:change[-_ ]?me|change[-_ ]?this|replace[-_ ]?me|placeholder|todo|fixme|example|x{3,}|"
    r"dummy|insert[-_ ]|your[-_ ])|(?:^|[^a-z])(?:your|my)[-_](?:\w+[-_])?(?:here|key|secret|token|password)",
    re.IGNORECASE,
)


def scan_variables(product: Product) -> Examined:
    """Compare declared variables with the platform's; never tell a value."""
    values = product.services.values
    findings, gaps, looked = [], [], 0
    for variable in product.services.declared:
        name = variable.name
        if not variable.services and not values:
            gaps.append(Gap(name, "no service's variables are known", _ask("the services")))
        for service in variable.services or tuple(values):
            where = f"{service}: {name}"
            if service not in values:
                gaps.append(Gap(where, "the service's variables are not known", _ask(service)))
                continue
            looked += 1
            if wrong := _wrong(variable, values[service].get(name, "")):
                rule, text = wrong
                remedy = f"set {name} of {service} in the Dashboard (Environment), then scan again"
                findings.append(Finding("deploylib", rule, where, f"{name} {text}", remedy))
    return Examined(name="variables", counted={"variable": looked}, findings=tuple(findings), gaps=tuple(gaps))


def _wrong(variable: Variable, value: str) -> tuple[str, str] | None:
    """Tell by rule and words what is wrong with a value."""
    if not value.strip():
        return ("missing", "is not set") if variable.required else None
    if MARKED.search(value.strip()):
        return "placeholder", "holds a stand-in, not a value"
    if not _fits(variable.kind, value.strip()):
        return "wrong-kind", f"is not a {variable.kind}"
    if variable.pattern and not re.fullmatch(variable.pattern, value):
        return "pattern", "does not match its pattern"
    least = variable.minimum_length or (SECRET_LENGTH if variable.kind == "secret" else 1)
    if len(value) < least:
        return "too-short", f"is shorter than {least} characters"
    if variable.kind == "secret" and max(Counter(value).values()) > len(value) / 2:
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
