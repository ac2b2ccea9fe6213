"""What is told more in the week after an environment's first release.

Whoever reads it has not gone back yet: where to, and how. It ends by itself, as the history says when it began; how long
a release is watched then is a setting (``bake``), which ``deploylib init`` writes longer at first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from deploylib.errors import DeployError, Interrupted
from deploylib.models import Live
from deploylib.models.results import Report, short
from deploylib.models.units import age
from deploylib.release import rollback
from deploylib.release.run import Run

__all__ = ["tell_first_week"]

WEEK = timedelta(days=7)


def tell_first_week(run: Run, final: Report) -> tuple[str, ...]:
    """Tell what can be gone back to; nothing after a week.

    Nor of a local environment, nor before a release has succeeded. What cannot be read changes no outcome: it is told
    as unknown.
    """
    env, succeeded = run.env, final.outcome == "succeeded"
    if env.config.is_local or run.options.dry_run or not run.releases or not (succeeded or final.exit_code):
        return ()
    try:
        runs, _ = env.history.read_summaries(env.name)
        first = min([each.at for each in runs if each.succeeded] + ([run.state.at] if succeeded else []), default=None)
        if first is None or env.clock.now() - first >= WEEK:
            return ()
        bad = {commit for hold in env.holds.read() for commit in hold.commits}
    except Interrupted:
        raise
    except DeployError as error:
        return (f"whether there is a release to go back to is unknown: {error.message}",)
    until = f"told until {first + WEEK:%Y-%m-%d}"
    live: Mapping[str, Live] = {each.service: each for each in final.live}
    if not live:
        return (f"what is live is unknown, and so what can be gone back to: inv status ({until})",)
    back = next(iter(rollback.find_candidates(runs, live, bad=bad)), None)
    if back is None:
        return (f"nothing can be gone back to yet; from the next release on, to what is live now ({until})",)
    since = age((env.clock.now() - back.ended).total_seconds())
    where = f"{back.commit.short} (run {short(back.id)}), verified {since} ago"
    return (f"inv rollback goes back to {where}; inv rollback --dry-run says what it would do ({until})",)
