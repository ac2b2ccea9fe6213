"""Map the product's services to the platform's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import MappingProxyType

from deploylib.errors import Contradiction
from deploylib.models import Kind, PathFilter, Service, Target
from deploylib.models.globs import within
from deploylib.release.preflight import services as name_services
from deploylib.release.prerequisites import CheckFinding
from deploylib.render import blueprints
from deploylib.settings import Config, ServiceSettings
from deploylib.system import Git

__all__ = ["describe_targets", "elsewhere", "health_reminders", "map_services", "push", "require_known"]


def map_services(
    config: Config,
    blueprint: blueprints.Blueprint | None,
    names: Iterable[str],
    services: Sequence[Service],
    git: Git,
    *,
    known: Mapping[str, str] = MappingProxyType({}),
) -> tuple[tuple[Target, ...], list[CheckFinding]]:
    """Map each of our services to exactly one of the platform's.

    Args:
        known: ids of the services that an earlier run has found, by name: what was renamed is not told to be created.

    Returns:
        The services that could be mapped, and what is wrong with the others.
    """
    mapped, findings = [], []
    for name in names:
        wanted = config.environment.services.get(name, name)
        hits = [service for service in services if wanted in (service.id, service.name)]
        if len(hits) != 1:
            count = "has no service" if not hits else f"has {len(hits)} services"
            remedy = (
                f'name it: [environments.{config.name}.services] {name} = "srv-…"'
                if hits
                else f"create it from {config.settings.blueprint}: Render Dashboard → New → Blueprint"
            )
            if not hits and (renamed := [one for one in services if one.id == known.get(name)]):
                count += (
                    f" any more; {renamed[0].id}, which an earlier run has found, is {renamed[0].name!r} now, and none"
                )
                remedy = f'name it: [environments.{config.name}.services] {name} = "{renamed[0].id}"'
            findings.append(CheckFinding(f"{name}: the account {count} called {wanted!r}", remedy))
            continue
        findings += _service_findings(config, name, hits[0], blueprint, git)
        mapped.append(_target(config, name, hits[0], blueprint))
    return tuple(mapped), findings + _doubles(mapped) + _unknown(config, blueprint, mapped) + _circles(mapped)


def describe_targets(
    config: Config, blueprint: blueprints.Blueprint | None, names: Iterable[str]
) -> tuple[Target, ...]:
    """Describe services by what is written of them, without the platform.

    One whose files nobody has written down is made of all of them.
    """
    described = ((name, blueprint.service(name) if blueprint else None) for name in names)
    return tuple(
        Target(
            name=name,
            service_id="",
            kind=(service.kind if service is not None else None) or Kind.WEB,
            filter=_paths(config, name, service.filter if service is not None else PathFilter()),
        )
        for name, service in described
    )


def require_known(config: Config, names: Iterable[str], services: Sequence[Service], known: Mapping[str, str]) -> None:
    """See that services found earlier are there still.

    Nobody is told to create them again.

    Args:
        known: their ids, by name.

    Raises:
        Contradiction: one of them is not; the local Render makes anew what is not there.
    """
    there = {each for service in services for each in (service.id, service.name)}
    gone = [
        f"{name}: the account has no service called {wanted!r}, and an earlier run has found {known[name]} there"
        for name in names
        if not there & {wanted := config.environment.services.get(name, name), known.get(name, wanted)}
        and name in known
    ]
    if gone and not config.is_local:
        raise Contradiction(
            gone[0],
            details=tuple(gone[1:]),
            remedy="the same command again; if it stays so: is it another key? A service that was removed for good goes "
            f"out of {config.settings.blueprint}, too",
        )


def elsewhere(blueprint: blueprints.Blueprint | None, git: Git) -> dict[str, str]:
    """List services that no commit of this repository makes.

    As the Blueprint says, and why: none of ours to release.
    """
    reasons = {}
    for service in blueprint.deployable if blueprint else ():
        repo = service.settings.get("repo", "")
        if service.runtime == "image":
            reasons[service.name] = "it is made from an image, not from a commit (deploy it in the Dashboard)"
        elif repo and not _same_repository(repo, git):
            reasons[service.name] = f"it is built from {repo}, not from this repository (release it from there)"
    return reasons


def health_reminders(targets: Iterable[Target], blueprint: blueprints.Blueprint | None) -> tuple[str, ...]:
    """Remind of web services that nobody can ask whether they are well."""
    folders = {service.name: service.root_dir for service in (blueprint.deployable if blueprint else ())}
    return tuple(
        f"{target.name} has no health path, so that a release proves less of it: "
        f"inv local.health --write {folders.get(target.name) or '.'}, then name its path (healthCheckPath)"
        for target in targets
        if target.kind is Kind.WEB and not (target.health_path or target.identity_path)
    )


def push(git: Git, there: Iterable[Service]) -> str:
    """Say what brings a commit to the platform's remote.

    Whether or not a branch here has an upstream.

    Args:
        there: the services of the platform.
    """
    branched = [service for service in there if service.branch]
    ours = [service for service in branched if service.repo and _same_repository(service.repo, git)] or branched
    here = git.branch()
    chosen = next((service for service in ours if service.branch == here), next(iter(ours), None))
    repo, branch = (chosen.repo, chosen.branch) if chosen is not None else ("", here)
    remote = next((name for address, name in git.remotes().items() if _address(address) == _address(repo)), "origin")
    step = f"git push -u {remote} {branch}".rstrip()
    step = step if here in {"", branch} else f"git switch {branch} && git merge {here} && {step}"
    return f"{step}; or git fetch {remote}, if it is there already"


def _doubles(mapped: Sequence[Target]) -> list[CheckFinding]:
    """Find services that two names would deploy at once."""
    names: dict[str, list[str]] = {}
    for target in mapped:
        names.setdefault(target.service_id, []).append(target.name)
    return [
        CheckFinding(f"{' and '.join(those)} are one service at the platform ({key})", "give each a service of its own")
        for key, those in names.items()
        if len(those) > 1
    ]


def _unknown(config: Config, blueprint: blueprints.Blueprint | None, mapped: Sequence[Target]) -> list[CheckFinding]:
    """Find names in ``after`` that are no service."""
    known = {one.name for one in mapped} | set(name_services(config, blueprint, ()))
    return [
        CheckFinding(f"{target.name} is to come after {name}, which is no service", "correct `after` in the settings")
        for target in mapped
        for name in target.after
        if name not in known
    ]


def _circles(mapped: Sequence[Target]) -> list[CheckFinding]:
    """Find services that wait for each other, and so for ever."""
    try:
        TopologicalSorter({one.name: one.after for one in mapped}).prepare()
    except CycleError as error:
        names = " after ".join(reversed(error.args[1]))
        return [
            CheckFinding(f"services wait for each other: {names}", "take one of them out of `after` in the settings")
        ]
    return []


def _service_findings(
    config: Config, name: str, service: Service, blueprint: blueprints.Blueprint | None, git: Git
) -> list[CheckFinding]:
    where = service.dashboard_url or "the Render Dashboard"
    described = blueprint.service(name) if blueprint else None
    findings = []
    if described is not None and described.kind is not service.kind:
        findings.append(
            CheckFinding(
                f"{name}: {service.kind} at the platform, {described.kind} in the Blueprint",
                "rename one of them: a service cannot change its type",
            )
        )
    if not service.repo:
        findings.append(
            CheckFinding(f"{name}: it is made from an image, not from a commit", "deploy it in the Dashboard")
        )
    elif not _same_repository(service.repo, git):
        findings.append(
            CheckFinding(f"{name}: it is built from {service.repo}, not from this repository", f"see {where}")
        )
    if config.smoke(name) and service.kind not in {Kind.WEB, Kind.STATIC}:
        text = f"{name}: a {service.kind} has no public address that a smoke request could be sent to"
        findings.append(CheckFinding(text, f"take [[services.{name}.smoke]] out of the settings"))
    if service.suspended:
        findings.append(CheckFinding(f"{name}: it is suspended", f"resume it: {where}"))
    if service.auto_deploy and not config.is_local:
        findings.append(
            CheckFinding(
                f"{name}: autodeploy is on, so every push ships before our gates",
                f"inv check --environment {config.name} --fix, and autoDeployTrigger: off in the Blueprint",
            )
        )
    return findings


def _target(config: Config, name: str, service: Service, blueprint: blueprints.Blueprint | None) -> Target:
    settings = config.settings.services.get(name, ServiceSettings())
    described = blueprint.service(name) if blueprint else None
    if described is not None:
        chosen = described.filter
    elif service.build_filter is not None:
        chosen = service.build_filter
    else:
        chosen = within(service.root_dir)
    identity = settings.health or service.health_path
    return Target(
        name=name,
        service_id=service.id,
        kind=service.kind,
        owner_id=service.owner_id,
        url=service.url.rstrip("/"),
        health_path=service.health_path,
        identity_path="/" if service.kind is Kind.STATIC else identity,
        filter=_paths(config, name, chosen),
        after=settings.after,
        dashboard_url=service.dashboard_url,
        plan=service.plan,
        instances=service.instances,
    )


def _paths(config: Config, name: str, usual: PathFilter) -> PathFilter:
    """Read which files make a service, by the settings.

    Args:
        usual: where they do not say; what they only ignore comes on top of it.
    """
    settings = config.settings.services.get(name, ServiceSettings())
    if settings.paths:
        return PathFilter(paths=settings.paths, ignored=settings.ignored)
    return PathFilter(paths=usual.paths, ignored=(*usual.ignored, *settings.ignored))


def _same_repository(repo: str, git: Git) -> bool:
    """Tell whether the platform builds from here.

    One of our remotes, or (the local Render) this folder or its origin.
    """
    if Path(repo).is_absolute():
        remotes = (Path(remote.removeprefix("file://")) for remote in git.remotes())
        return _real(Path(repo)) in {_real(git.top()), *(_real(one) for one in remotes if one.is_absolute())}
    return _address(repo) in {_address(remote) for remote in git.remotes()}


def _real(path: Path) -> Path:
    """Resolve the links of a path, as far as they lead anywhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path


def _address(remote: str) -> str:
    """Write ``git@github.com:o/n.git`` and ``https://github.com/o/n`` alike."""
    plain = re.sub(r"^(?:\w+://)?(?:[^@/]*@)?", "", remote.strip()).replace(":", "/", 1)
    return plain.removesuffix("/").removesuffix(".git").lower()
