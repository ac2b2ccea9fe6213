"""Where the environment's own database is, and whether it is whole."""

from __future__ import annotations

from deploylib.backups import restore_mark
from deploylib.environment import Environment
from deploylib.models import Checked, Secret
from deploylib.release import preflight

__all__ = ["database_of", "find_restore_mark", "own_database", "require_whole"]


def database_of(env: Environment, checked: Checked) -> Secret | None:
    """Find the address of the database that a check has found.

    None: there is none, or none that is opened from here.
    """
    if env.config.exported:
        return None
    return env.learn(preflight.address(env.config, env.render, checked.database))


def own_database(env: Environment) -> Secret | None:
    """Find the address of the environment's database outside of a run.

    None: the product has none.
    """
    name = preflight.database(env.config, preflight.read_blueprint(env.config, env.git, env.git.commit("HEAD")))
    return env.learn(preflight.address(env.config, env.render, name))


def find_restore_mark(env: Environment) -> restore_mark.Mark | None:
    """Find the mark of a half restored database.

    None: all is well.

    Only where the store says that one has begun is the database asked.

    Raises:
        Unreachable: the database does not answer, so that nobody knows.
    """
    if env.config.exported or not restore_mark.list_open(env.store, env.name):
        return None
    url = own_database(env)
    return restore_mark.find_mark(url) if url is not None else None


def require_whole(env: Environment) -> None:
    """See that no restore into the environment's database was left half-way.

    Raises:
        Held: one was.
        Unreachable: the database does not answer, so that nobody knows.
    """
    restore_mark.require_no_mark(find_restore_mark(env), env.flag)
