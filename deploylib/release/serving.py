"""Read what the services serve now, against our records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from deploylib.environment import Environment
from deploylib.errors import Contradiction, SettingsError
from deploylib.models import Deploy, DeployStatus, Live, Target
from deploylib.release import verified_deploys
from deploylib.render import Refused
from deploylib.system import threads

__all__ = ["REQUESTS_AT_ONCE", "last_known", "live", "live_of", "make_live"]

REQUESTS_AT_ONCE = 8  # requests; more of them would only wait for each other


def live(
    env: Environment, targets: Sequence[Target], seen: Mapping[str, Live] = MappingProxyType({}), *, strict: bool = True
) -> dict[str, Live]:
    """Ask what each service serves.

    Those that were *seen* just now are not asked for.

    Args:
        strict: see `live_of`.
    """
    unseen = [target for target in targets if target.name not in seen]
    answers = threads.each(lambda target: live_of(env, target, strict=strict), unseen, REQUESTS_AT_ONCE)
    asked = dict(zip((target.name for target in unseen), answers, strict=True))
    return {target.name: seen.get(target.name) or asked[target.name] for target in targets}


def live_of(env: Environment, target: Target, *, strict: bool = True) -> Live:
    """Ask what one service serves.

    Args:
        strict: do not believe that it is nothing where our own records say otherwise. A rollback does: it has to bring
            the service to something that serves either way.

    Raises:
        Contradiction: nothing, the platform says, and our own records say otherwise.
    """
    deploy = env.render.live(target.service_id)
    if deploy is None and strict:
        _require_nothing(env, target)
    return make_live(target, deploy)


def _require_nothing(env: Environment, target: Target) -> None:
    """See that nothing is live, by a second question.

    What became of the deploy that we know was.
    """
    ours = verified_deploys.last_shipped(env.history.read_runs(env.name, 20), target.name, target.service_id)
    if not ours:
        return
    try:
        status = env.render.deploy(target.service_id, ours).status
    except Refused as error:
        status, why = DeployStatus.LIVE, error.message
    else:
        why = f"it says of {ours} that it is {status}"
    if status is DeployStatus.LIVE:
        raise Contradiction(
            f"{target.name}: the platform says that nothing is live, and {ours} was deployed there ({why})",
            remedy=f"the same command again; if it stays so, see {target.dashboard_url or 'the Render Dashboard'}",
            service=target.name,
        )


def make_live(target: Target, deploy: Deploy | None) -> Live:
    """Describe the live deploy of a service."""
    if deploy is None:
        return Live(service=target.name, url=target.url)
    return Live(
        service=target.name, commit=deploy.commit, deploy_id=deploy.id, since=deploy.finished_at, url=target.url
    )


def last_known(env: Environment) -> dict[str, Live]:
    """Ask what serves of the last services that were found.

    Raises:
        SettingsError: none ever did.
    """
    known = env.history.find_newest(env.name, lambda state: state.has_done("check"))
    if known is None:
        remedy = f"inv deploy --environment {env.name}"
        raise SettingsError(f"nothing was ever deployed to {env.name!r} from here", remedy=remedy)
    return live(env, known.checked.targets)
