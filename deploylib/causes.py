"""Why a deploy did not go live: the platform's word, its event, and the last words of the program."""

from __future__ import annotations

from datetime import datetime

from deploylib.errors import (
    BuildFailed,
    Contradiction,
    DeployError,
    DeployStopped,
    ForeignDeploy,
    StartFailed,
    Unhealthy,
)
from deploylib.models import Deploy, DeployStatus, Order
from deploylib.render import Render

__all__ = ["between", "failure", "last_words", "replaced"]

NOTHING = ("(it wrote nothing)",)
LAST_LINES = 20  # a crash of Node shows its cause above a dozen lines of stack


def replaced(order: Order, deploy: Deploy, render: Render) -> DeployError:
    """A deploy that ended canceled or replaced: somebody else's took its place, or it was stopped."""
    newest = next(iter(render.deploys(order.target.service_id, limit=1)), None)
    if newest is None:
        return Contradiction(
            f"{order.target.name}: the platform lists no deploy, and {deploy.id} was {deploy.status}",
            remedy=f"see the service ({order.target.dashboard_url or 'in the Render Dashboard'})",
            service=order.target.name,
        )
    if newest.id != deploy.id:
        return ForeignDeploy(
            f"{order.target.name}: {newest.id} ({newest.commit[:7]}, trigger {newest.trigger}) took the place of our deploy",
            remedy="inv status shows what is live; deploy again when nobody else does",
            service=order.target.name,
            commit=newest.commit,
        )
    return DeployStopped(
        f"{order.target.name}: the deploy was canceled",
        remedy="if you did not cancel it: inv deploy",
        service=order.target.name,
    )


def failure(order: Order, deploy: Deploy, render: Render) -> DeployError:
    """The failed deploy as an error: its kind from the status, the cause from its event, the last words from its log."""
    name = order.target.name
    cause = render.failure(order.target.service_id, deploy.id)
    code = cause.get("nonZeroExit")
    ended = f"exited with code {code}" if code else "ended" if cause.get("earlyExit") else ""
    if deploy.status is DeployStatus.BUILD_FAILED:
        return BuildFailed(
            f"{name}: the build {ended or 'failed'}",
            details=last_words(order, deploy, render, "build"),
            remedy="correct the build, commit, inv deploy",
            service=name,
        )
    details = last_words(order, deploy, render, "app")
    if deploy.status is DeployStatus.PRE_DEPLOY_FAILED:
        if details == NOTHING:  # the documents do not say to which of the two logs its words belong
            details = last_words(order, deploy, render, "build")
        return StartFailed(
            f"{name}: the pre-deploy command {ended or 'failed'}",
            details=details,
            remedy="correct it, commit, inv deploy",
            service=name,
        )
    if ended or "oomKilled" in cause:
        what = "ran out of memory" if "oomKilled" in cause else ended
        lasted = between(deploy.started_at, deploy.finished_at)
        took = f" after {lasted:.1f} s" if lasted is not None else ""
        return StartFailed(
            f"{name}: the program {what}{took}", details=details, remedy="correct it, commit, inv deploy", service=name
        )
    path = order.target.health_path or "its port"
    why = f": {cause['unhealthy']}" if isinstance(cause.get("unhealthy"), str) else ""
    return Unhealthy(
        f"{name}: it runs, but {path} did not answer well{why}",
        details=details,
        remedy=f"make {path} answer 2xx within 5 s, commit, inv deploy",
        service=name,
    )


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds between two moments of the platform; None where it has not told both."""
    return (end - start).total_seconds() if start and end else None


def last_words(order: Order, deploy: Deploy, render: Render, kind: str) -> tuple[str, ...]:
    """What the build or the new program said last, and not what the old one says meanwhile.

    A log that cannot be read must not hide the failure itself.
    """
    target = order.target
    try:
        lines = render.logs(target.owner_id, target.service_id, kind, deploy.created_at, limit=100)
        serving = render.instances(target.service_id) if kind == "app" else set()
    except DeployError as error:
        return (f"(its log cannot be read: {error.message})",)
    said = [line.text.rstrip() for line in lines if line.text.strip() and line.instance not in serving]
    return tuple(said[-LAST_LINES:]) or NOTHING
