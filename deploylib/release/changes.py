"""Decide which services a commit changes, compared with what serves.

The base of a service is the commit of its live deploy, not the push before: a failed or put-back run leaves the
service to be deployed. When the base cannot be compared, the service is deployed, and the reason says why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from deploylib.errors import DeployError, Interrupted, SettingsError
from deploylib.models import Change, Changes, Commit, Kind, Live, PathFilter, Target
from deploylib.models.globs import matches, reaches
from deploylib.release import preflight
from deploylib.release.run import Run
from deploylib.render import blueprints
from deploylib.system import Git

__all__ = ["Recorded", "as_good", "decide", "decide_promotion", "detect", "list_touched"]

DEEPEN = "git fetch --unshallow; in GitHub Actions fetch-depth: 0 of actions/checkout"
Recorded = Callable[[str], Collection[str]]


def decide(run: Run, targets: Sequence[Target], live: Mapping[str, Live], wanted: Mapping[str, str]) -> Changes:
    """Decide which of the services this run deploys.

    Args:
        live: what each of them serves.
        wanted: their commits, where a release of another environment is taken over.
    """

    def recorded(commit: str) -> tuple[str, ...]:
        runs = run.env.history.read_runs(run.env.name, 50)
        return next((one.opened.recent[1:] for one in runs if commit == next(iter(one.opened.recent), "")), ())

    git, shared = run.env.git, run.env.config.settings.shared
    if wanted:
        source = run.state.opened.promotes.partition("/")[0]
        return decide_promotion(targets, live, wanted, git=git, source=source, recorded=recorded, shared=shared)
    return detect(
        targets,
        live,
        run.commit,
        git=git,
        blueprint=preflight.read_blueprint(run.env.config, git, run.commit),
        blueprint_path=run.env.config.settings.blueprint,
        shared=shared,
        only=run.services,
        recorded=recorded,
    )


def detect(
    targets: Sequence[Target],
    live: Mapping[str, Live],
    head: Commit,
    *,
    git: Git,
    blueprint: blueprints.Blueprint | None,
    blueprint_path: str,
    shared: tuple[str, ...] = (),
    only: Collection[str] = (),
    recorded: Recorded = lambda _: (),
) -> Changes:
    """Decide for each service whether *head* changes it.

    Args:
        live: what each service serves, by name.
        shared: globs of files that every service is made of.
        only: names of the services that may be deployed; empty: all.
        recorded: those that a commit has in its history, as far as somebody has written that down.

    Raises:
        SettingsError: *head* is older than what is live: that is a rollback and is asked for by its name; or nobody can
            tell, because the clone is shallow.
    """
    decisions = []
    for target in targets:
        now = live[target.name]
        if only and target.name not in only:
            change = Change(service=target.name, deploy=False, reason="not asked for", live=now)
        else:
            if now.commit and now.commit != head.id:
                _require_newer(target.name, now.commit, head.id, git, recorded)
            change = _decide(target, now, head, git, blueprint, blueprint_path, shared)
        decisions.append(change)
    return Changes(services=tuple(decisions))


def _require_newer(service: str, serves: str, wanted: str, git: Git, recorded: Recorded, whose: str = "") -> None:
    """See that a commit is not older than what is live.

    It is not newer because this clone knows too little.

    Raises:
        SettingsError: it is older, or this clone is too shallow to tell.
    """
    known = git.has(serves)
    if git.is_ancestor(wanted, serves) if known else wanted in recorded(serves):
        raise SettingsError(
            f"{service} serves {serves[:7]}, which is newer than {whose}{wanted[:7]}",
            remedy=f"to go back: inv rollback --to {wanted[:7]}; else check out the newer commit"
            + (f", with its history ({DEEPEN})" if git.shallow() else ""),
            service=service,
        )
    if git.shallow() and not (known and git.is_ancestor(serves, wanted)):
        raise SettingsError(
            f"{service} serves {serves[:7]}, and this clone is too shallow to tell whether that is newer than {wanted[:7]}",
            remedy=DEEPEN,
            service=service,
        )


def decide_promotion(
    targets: Sequence[Target],
    live: Mapping[str, Live],
    wanted: Mapping[str, str],
    *,
    git: Git,
    source: str,
    recorded: Recorded = lambda _: (),
    shared: tuple[str, ...] = (),
) -> Changes:
    """Decide which services lack their commit of a verified release.

    Args:
        wanted: full ids, by service.
        source: that environment, for the reasons.
        recorded: see `detect`.

    Raises:
        SettingsError: a service of the release is not here, or one serves something newer.
    """
    if absent := sorted(set(wanted) - {target.name for target in targets}):
        raise SettingsError(
            f"{', '.join(absent)}: part of {source}'s release, and not of this environment",
            remedy="create the service in the Render Dashboard, or map it in the settings",
        )
    decisions = []
    for target in targets:
        now, commit = live[target.name], wanted.get(target.name, "")
        tip = target.kind is Kind.CRON and commit != now.commit and _same(target, commit, now.commit, git, shared)
        if commit and now.commit and commit != now.commit and not tip:
            _require_newer(target.name, now.commit, commit, git, recorded, whose=f"{source}'s ")
        if not commit:
            reason = f"not part of {source}'s release"
        elif commit == now.commit:
            reason = f"serves {commit[:7]} already"
        elif tip:
            reason = f"serves {now.commit[:7]}, the tip of its branch, with the files of {commit[:7]}"
        else:
            reason = f"{now.commit[:7] or 'nothing'} → {commit[:7]}, as verified on {source}"
        decisions.append(
            Change(service=target.name, deploy=not tip and commit not in {"", now.commit}, reason=reason, live=now)
        )
    return Changes(services=tuple(decisions))


def as_good(target: Target, commit: str, *, git: Git, shared: tuple[str, ...] = ()) -> tuple[str, ...]:
    """List tips of branches that build the same as *commit*.

    They have it, and the same files of the service.
    """
    return tuple(tip for tip in git.tips() if tip != commit and _same(target, commit, tip, git, shared))


def _same(target: Target, older: str, newer: str, git: Git, shared: tuple[str, ...]) -> bool:
    if not git.has(older) or not git.has(newer) or not git.is_ancestor(older, newer):
        return False
    chosen = (target.filter, *([PathFilter(paths=shared)] if shared else []))
    return not any(list_touched(one, older, newer, git=git) for one in chosen)


def _decide(
    target: Target,
    live: Live,
    head: Commit,
    git: Git,
    blueprint: blueprints.Blueprint | None,
    blueprint_path: str,
    shared: tuple[str, ...],
) -> Change:
    def deploy(reason: str) -> Change:
        return Change(service=target.name, deploy=True, reason=reason, live=live)

    def leave(reason: str) -> Change:
        return Change(service=target.name, deploy=False, reason=reason, live=live)

    if not live.commit:
        return deploy("first deploy")
    base = live.commit
    if base == head.id:
        return leave(f"serves {head.short} already")
    if not git.has(base):
        return deploy(f"serves {base[:7]}, which this clone does not have")
    if not git.is_ancestor(base, head.id):
        return deploy(f"serves {base[:7]}, which is not in the history of {head.short}")
    what = _what_changed(target, base, head, git, blueprint, blueprint_path, shared)
    return deploy(what) if what else leave(f"nothing of it changed since {base[:7]}")


def _what_changed(
    target: Target,
    base: str,
    head: Commit,
    git: Git,
    blueprint: blueprints.Blueprint | None,
    blueprint_path: str,
    shared: tuple[str, ...],
) -> str:
    """List the service's files that differ, or name its description.

    Empty when none does.
    """
    if mine := list_touched(target.filter, base, head.id, git=git):
        return _files(mine)
    if common := list_touched(PathFilter(paths=shared), base, head.id, git=git) if shared else ():
        return f"{_files(common)} (shared)"
    if blueprint_path in git.files_between(base, head.id) and _described_differently(
        target.name, base, git, blueprint, blueprint_path
    ):
        return f"its settings in {blueprint_path} changed"
    return ""


def list_touched(chosen: PathFilter, base: str, head: str, *, git: Git) -> tuple[str, ...]:
    """List the files that differ and are among the chosen ones.

    A submodule is, where a file in it could be.
    """
    folders = git.submodules_between(base, head)
    differ = git.files_between(base, head)
    return tuple(name for name in differ if matches(name, chosen) or (name in folders and reaches(name, chosen)))


def _files(names: Sequence[str]) -> str:
    return f"{names[0]} changed" if len(names) == 1 else f"{len(names)} files changed, {names[0]} among them"


def _described_differently(name: str, base: str, git: Git, blueprint: blueprints.Blueprint | None, path: str) -> bool:
    """Tell whether the Blueprint describes the service anew since *base*.

    Unreadable then: yes.
    """
    try:
        before = blueprints.parse(git.read(base, path) or "", path).service(name)
    except Interrupted:
        raise
    except DeployError:
        return True
    now = blueprint.service(name) if blueprint is not None else None
    return before is None or now is None or before.effective != now.effective
