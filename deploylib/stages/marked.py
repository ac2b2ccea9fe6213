"""Whether the environment's own database is half restored, for whoever looks at it outside of a run."""

from __future__ import annotations

from deploylib import check, mark
from deploylib.mark import Mark
from deploylib.models import Secret
from deploylib.stages.context import Context

__all__ = ["half_restored", "own_database"]


def half_restored(ctx: Context) -> Mark | None:
    """The mark of the environment's database, where the store says that a restore has begun and not ended; None: all is well.

    Raises:
        Unreachable: the database does not answer, so that nobody knows.
    """
    if ctx.config.exported or not mark.left_open(ctx.store, ctx.config.name):
        return None
    url = own_database(ctx)
    return mark.read(url) if url is not None else None


def own_database(ctx: Context) -> Secret | None:
    """Where the environment's own database is, outside of a run; None: the product has none."""
    name = check.database(ctx.config, check.read_blueprint(ctx.config, ctx.git, ctx.git.commit("HEAD")))
    url = check.address(ctx.config, ctx.render, name)
    ctx.struck.learn(url)
    return url
