"""Gates: what must be known of a commit before it may be released."""

from __future__ import annotations

from deploylib import check, scan
from deploylib.errors import DeployError
from deploylib.examined import Scanned
from deploylib.stages.context import Context

__all__ = ["examine"]


def examine(ctx: Context) -> Scanned:
    """Scan the files of a commit; reads only, and needs no platform unless variables are declared.

    Raises:
        SettingsError: no repository, or no such commit.
    """
    ctx.git.top()
    ctx.commit = ctx.git.commit(ctx.ref or "HEAD")
    settings = ctx.config.settings
    with ctx.git.exported(ctx.commit.id) as files:
        return scan.scan(
            files,
            settings.scan,
            declared=settings.environment_variables,
            values=_variables(ctx) if settings.environment_variables else {},
            blueprint_path=settings.blueprint,
            local=ctx.config.is_local,
            runner=ctx.runner,
            clock=ctx.clock,
        )


def _variables(ctx: Context) -> dict[str, dict[str, str]]:
    """The variables of each service that could be asked; one that could not is left out, and so not examined."""
    try:
        described = check.read_blueprint(ctx.config, ctx.git, ctx.commit)
        names = check.services(ctx.config, described, ())
        found, _ = check.targets(ctx.config, described, names, list(ctx.render.services()), ctx.git)
        return {target.name: ctx.render.variables(target.service_id) for target in found}
    except DeployError:
        return {}
