"""Find known vulnerabilities, by pip-audit and npm."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

import msgspec

from deploylib.models.extras import install_command
from deploylib.models.findings import Examined, Finding, Gap, join
from deploylib.models.units import count
from deploylib.scanners.package_files import NPM_LOCKS, canonical
from deploylib.scanners.product import Product
from deploylib.scanners.requirements import Pin, may_name_packages, read_packages
from deploylib.scanners.tree import list_files, list_links
from deploylib.system import process

__all__ = ["scan_dependencies"]

NAME = "dependencies"
LEAVE = "leave it out by scan.ignored"
ACCEPT = "or [[scan.accepted]] with rule, reason and until"
NAMED = 3
MILD = frozenset({"info", "low"})
NPM = {"npm_config_fetch_retries": "0", "npm_config_fetch_timeout": "20000", "npm_config_update_notifier": "false"}
Round = dict[str, list[Pin]]
"""Each package in one version, with all the places that name it."""


class _Advisory(msgspec.Struct, frozen=True):
    id: str
    fix_versions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class _Package(msgspec.Struct, frozen=True):
    """pip-audit's answer about one package; with a *skip_reason* it has not looked."""

    name: str
    skip_reason: str = ""
    vulns: tuple[_Advisory, ...] = ()


class _Audit(msgspec.Struct, frozen=True):
    dependencies: tuple[_Package, ...]


class _Via(msgspec.Struct, frozen=True):
    name: str
    severity: str
    source: int = 0
    url: str = ""
    range: str = ""


class _NpmPackage(msgspec.Struct, frozen=True):
    """A package with advisories, of its own or (by name) of others."""

    via: tuple[str | _Via, ...]


class _NpmMetadata(msgspec.Struct, frozen=True):
    dependencies: dict[str, int]


class _NpmAudit(msgspec.Struct, frozen=True):
    """npm's answer.

    Where the registry did not answer it, an error, or nothing of vulnerabilities.
    """

    vulnerabilities: dict[str, _NpmPackage] | None = None
    metadata: _NpmMetadata | None = None
    error: object = None

    def __post_init__(self) -> None:
        if self.error is not None or self.vulnerabilities is None or self.metadata is None:
            raise process.Unanswered("the registry answers no audit")


def scan_dependencies(product: Product) -> Examined:
    """Ask for advisories about every pinned package of the product."""
    files, settings = product.files, product.settings
    links = list_links(files, settings.ignored)
    names = sorted([*list_files(files, settings.ignored), *(name for name, inside in links.items() if inside)])
    packages = read_packages(files, names, settings.requirements, blueprint_path=product.services.blueprint)
    packages.gaps += [
        Gap(name, "it is a link, and what it leads to is not in the tree", "commit the file itself, or " + LEAVE)
        for name, inside in sorted(links.items())
        if not inside and may_name_packages(name)
    ]
    locks = [name for name in names if posixpath.basename(name) in NPM_LOCKS]
    return join(
        Examined(NAME, counted={"package": 0}, findings=tuple(packages.notes), gaps=tuple(packages.gaps)),
        *(_by_pip_audit(asked, product) for asked in _rounds(packages.pins)),
        *(_by_npm(lock, product) for lock in locks),
    )


def _rounds(pins: Iterable[Pin]) -> list[Round]:
    """Split the packages into rounds: pip-audit takes each name once."""
    rounds: list[Round] = []
    for pin in pins:
        fits = next((one for one in rounds if one.get(pin.name, [pin])[0].version == pin.version), None)
        if fits is None:
            rounds.append(fits := {})
        fits.setdefault(pin.name, []).append(pin)
    return rounds


def _by_pip_audit(asked: Round, product: Product) -> Examined:
    """Ask about a round.

    A package may be unknown to the service, and an index may keep no advisories at all.
    """
    settings = product.settings
    service = "osv" if settings.osv_url else settings.service
    args = [*product.program("pip_audit"), "--no-deps", "--disable-pip", "--requirement=/dev/stdin", "--desc=off"]
    args += ["--progress-spinner=off", "--format=json", "--output=-", "--aliases=on", "--timeout=10"]
    args += [f"--vulnerability-service={service}", *([f"--osv-url={settings.osv_url}"] if settings.osv_url else [])]
    lines = "".join(f"{name}=={places[0].version}\n" for name, places in asked.items())
    command = process.Command(args, stdin=lines.encode(), check=False)
    try:
        audit = process.insist(
            command, _Audit, f"the service {service}", runner=product.runner, deadline=product.deadline
        )
    except process.Unanswered as unanswered:
        remedy = (
            install_command("scan") if unanswered.missing else "try again, or name another: scan.service, scan.osv_url"
        )
        return Examined(NAME, gaps=(Gap(count(len(asked), "Python package"), unanswered.reason, remedy),))
    advisories = {canonical(one.name): one.vulns for one in audit.dependencies if not one.skip_reason}
    unknown = [f"{name} {places[0].version}" for name, places in asked.items() if name not in advisories]
    answered = len(asked) - len(unknown)
    gap = Gap(
        ", ".join(unknown[:NAMED]) + (f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""),
        f"the service {service} answered about {answered} of {len(asked)} packages",
        'ask another: scan.service = "osv" (a mirror often keeps no advisories)',
    )
    findings = [
        _vulnerable(pin, advisory)
        for name, pins in asked.items()
        for pin in pins
        for advisory in advisories.get(name, ())
    ]
    return Examined(NAME, counted={"package": answered}, findings=tuple(findings), gaps=(gap,) if unknown else ())


def _vulnerable(pin: Pin, advisory: _Advisory) -> Finding:
    mends = advisory.fix_versions
    cve = next((f", {alias}" for alias in advisory.aliases if alias.startswith("CVE-")), "")
    return Finding(
        tool="pip-audit",
        rule=advisory.id,
        where=f"{pin.name} {pin.version} ({pin.path}:{pin.line})",
        text=f"{pin.name} {pin.version} has a known vulnerability{cve}",
        remedy=f"{f'raise it to {mends[0]} or later' if mends else 'no version mends it: replace it'}; {ACCEPT}",
        path=pin.path,
        also=advisory.aliases,
    )


def _by_npm(lock: str, product: Product) -> Examined:
    args = ["npm", "audit", "--json", "--package-lock-only", "--ignore-scripts", "--include=dev"]
    command = process.Command(args, cwd=(product.files / lock).parent, env=NPM, check=False)
    try:
        audit = process.insist(command, _NpmAudit, "npm", runner=product.runner, deadline=product.deadline)
    except process.Unanswered as unanswered:
        remedy = "npm audit says more; or audit it elsewhere, and leave it out by scan.ignored"
        return Examined(NAME, gaps=(Gap(lock, unanswered.reason, remedy),))
    findings = [
        Finding(
            tool="npm audit",
            rule=via.url.rpartition("/")[2] or str(via.source),
            where=f"{via.name} ({lock})",
            text=f"{via.name} {via.range} has a known vulnerability of severity {via.severity}",
            remedy=f"npm audit fix; {ACCEPT}",
            blocks=via.severity not in MILD,
            path=lock,
        )
        for package in (audit.vulnerabilities or {}).values()
        for via in package.via
        if isinstance(via, _Via)
    ]
    total = audit.metadata.dependencies.get("total", 0) if audit.metadata else 0
    return Examined(NAME, counted={"package": total}, findings=tuple(dict.fromkeys(findings)))
