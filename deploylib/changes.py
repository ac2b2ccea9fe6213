"""Which services a commit changes, compared with what each of them serves now.

The base of a service is the commit of its live deploy, not the push before: a failed or put-back run leaves the
service to be deployed. When the base cannot be compared, the service is deployed, and the reason says why.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from deploylib.blueprint import Blueprint, matches, parse
from deploylib.errors import DeployError, SettingsError
from deploylib.git import Git
from deploylib.models import Change, Changes, Commit, Live, PathFilter, Target

__all__ = ["detect", "promoted"]


def detect(
    targets: Sequence[Target],
    live: Mapping[str, Live],
    head: Commit,
    *,
    git: Git,
    blueprint: Blueprint | None,
    blueprint_path: str,
    shared: tuple[str, ...] = (),
    only: Collection[str] = (),
) -> Changes:
    """Decide for each service whether *head* changes it.

    Args:
        live: what each service serves, by name.
        shared: globs of files that every service is made of.
        only: names of the services that may be deployed; empty: all.

    Raises:
        SettingsError: *head* is older than what is live: that is a rollback and is asked for by its name.
    """
    return Changes(
        services=tuple(
            _decide(target, live[target.name], head, git, blueprint, blueprint_path, shared, only) for target in targets
        )
    )


def promoted(
    targets: Sequence[Target], live: Mapping[str, Live], wanted: Mapping[str, str], *, git: Git, source: str
) -> Changes:
    """Decide for each service whether it serves its commit of a release that another environment has verified.

    Args:
        wanted: full ids, by service.
        source: that environment, for the reasons.

    Raises:
        SettingsError: a service of the release is not here, or one serves something newer.
    """
    if absent := sorted(set(wanted) - {target.name for target in targets}):
        raise SettingsError(
            f"{', '.join(absent)}: part of {source}'s release, and not of this environment",
            remedy="create the service in the Render Dashboard, or map it in the settings",
        )
    found = []
    for target in targets:
        now, commit = live[target.name], wanted.get(target.name, "")
        if (
            commit
            and now.commit
            and commit != now.commit
            and git.has(now.commit)
            and git.is_ancestor(commit, now.commit)
        ):
            raise SettingsError(
                f"{target.name} serves {now.commit[:7]}, which is newer than {source}'s {commit[:7]}",
                remedy="to go back: inv rollback",
                service=target.name,
            )
        if not commit:
            reason = f"not part of {source}'s release"
        elif commit == now.commit:
            reason = f"serves {commit[:7]} already"
        else:
            reason = f"{now.commit[:7] or 'nothing'} → {commit[:7]}, as verified on {source}"
        found.append(Change(service=target.name, deploy=commit not in {"", now.commit}, reason=reason, live=now))
    return Changes(services=tuple(found))


def _decide(
    target: Target,
    live: Live,
    head: Commit,
    git: Git,
    blueprint: Blueprint | None,
    blueprint_path: str,
    shared: tuple[str, ...],
    only: Collection[str],
) -> Change:
    def deploy(reason: str) -> Change:
        return Change(service=target.name, deploy=True, reason=reason, live=live)

    def leave(reason: str) -> Change:
        return Change(service=target.name, deploy=False, reason=reason, live=live)

    if only and target.name not in only:
        return leave("not asked for")
    if not live.commit:
        return deploy("first deploy")
    base = live.commit
    if base == head.id:
        return leave(f"serves {head.short} already")
    if not git.has(base):
        return deploy(f"serves {base[:7]}, which this clone does not have")
    if git.is_ancestor(head.id, base):
        raise SettingsError(
            f"{target.name} serves {base[:7]}, which is newer than {head.short}",
            remedy=f"to go back: inv rollback --to {head.short}; else check out the newer commit",
            service=target.name,
        )
    if not git.is_ancestor(base, head.id):
        return deploy(f"serves {base[:7]}, which is not in the history of {head.short}")
    what = _what_changed(target, base, head, git, blueprint, blueprint_path, shared)
    return deploy(what) if what else leave(f"nothing of it changed since {base[:7]}")


def _what_changed(
    target: Target,
    base: str,
    head: Commit,
    git: Git,
    blueprint: Blueprint | None,
    blueprint_path: str,
    shared: tuple[str, ...],
) -> str:
    """The files of the service that differ, or its description; empty when none does."""
    files = git.files_between(base, head.id)
    if mine := [name for name in files if matches(name, target.filter)]:
        return _files(mine)
    if common := [name for name in files if shared and matches(name, PathFilter(paths=shared))]:
        return f"{_files(common)} (shared)"
    if blueprint_path in files and _described_differently(target.name, base, git, blueprint, blueprint_path):
        return f"its settings in {blueprint_path} changed"
    return ""


def _files(names: Sequence[str]) -> str:
    return f"{names[0]} changed" if len(names) == 1 else f"{len(names)} files changed, {names[0]} among them"


def _described_differently(name: str, base: str, git: Git, blueprint: Blueprint | None, path: str) -> bool:
    """Whether the Blueprint says something else of the service than it did at *base*; unreadable then: yes."""
    try:
        before = parse(git.read(base, path) or "", path).service(name)
    except DeployError:
        return True
    return blueprint is None or before != blueprint.service(name)
