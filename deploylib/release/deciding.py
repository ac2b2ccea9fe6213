"""Which services a run deploys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deploylib.models import Changes as Decided
from deploylib.models import Live, Target
from deploylib.release import changes, preflight
from deploylib.release.run import Run

__all__ = ["decide"]


def decide(run: Run, targets: Sequence[Target], live: Mapping[str, Live], wanted: Mapping[str, str]) -> Decided:
    """Which of the services this run deploys.

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
        return changes.promoted(targets, live, wanted, git=git, source=source, recorded=recorded, shared=shared)
    return changes.detect(
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
