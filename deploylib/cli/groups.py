"""The groups of tasks: backups, lease, holds, the local Render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import deploylib
from deploylib.cli.task import command

if TYPE_CHECKING:
    from deploylib.environment import Environment

__all__ = ["GROUPS"]


@command(
    "service",
    "commit",
    "dry_run",
    name="create",
    default=True,
    when_due="only before a migration, or when the last one is old",
)
def backup(env: Environment, when_due: bool = False, **options: Any) -> Any:
    """Back the database up, and prove the backup."""
    return deploylib.backup(env, when_due=when_due, **options)


@command(name="list", show="backups")
def backup_list(env: Environment) -> Any:
    """List the backups, and how each was proven."""
    return deploylib.list_backups(env)


@command(
    name="prove",
    show="backup",
    backup="its id; default: the newest",
    accept="of one that cannot be proven: a release may go on with its like for a day; needs --reason",
    reason="why, with --accept; it is recorded and told",
)
def backup_prove(env: Environment, backup: str = "", accept: bool = False, reason: str = "") -> Any:
    """Restore a backup where nobody sees it, and compare."""
    return deploylib.test_restore(env, name=backup, accept=accept, reason=reason)


@command(
    name="restore",
    show="restored",
    backup="its id; default: the newest",
    into="beside (default): a new database on the same server; scratch; a variable with a URL; database: its own",
    force="empty the database first, once the same restore was done beside",
    unproven="without that proof, where the role may not make a database",
    confirm="the environment's name, with --into database",
)
def backup_restore(
    env: Environment,
    backup: str = "",
    into: str = "beside",
    force: bool = False,
    unproven: bool = False,
    confirm: str = "",
) -> Any:
    """Restore a backup, and compare what is there then."""
    return deploylib.restore(env, name=backup, into=into, force=force, unproven=unproven, confirm=confirm)


@command(
    name="run",
    default=True,
    rate="arrivals a second; default: the settings' own",
    seconds="that are measured, such as 30s; default: the settings' own",
    write="users that write take part; never against production",
)
def loadtest_run(env: Environment, rate: float = 0.0, seconds: str = "", write: bool = False) -> Any:
    """Send requests at a rate, and compare with the runs before."""
    return deploylib.load_test(env, rate=rate, seconds=seconds, write=write)


@command(name="history", show="trend", limit="how many")
def loadtest_history(env: Environment, limit: int = 40) -> Any:
    """Draw how fast the releases were, and what has crept up."""
    return deploylib.load_test_history(env, limit=limit)


@command(name="show", default=True, show="lease")
def lease_show(env: Environment) -> Any:
    """Say who holds an environment."""
    return deploylib.lease(env)


@command(name="release", show="lease", reason="why; its holder is told")
def lease_release(env: Environment, reason: str = "") -> Any:
    """Give an environment back in its holder's place."""
    return deploylib.release_lease(env, reason=reason)


@command(name="place", default=True, show="held", reason="why", commit="only this commit; default: every release")
def hold_place(env: Environment, reason: str = "", commit: str = "") -> Any:
    """Refuse releases from now on, until it is lifted."""
    return deploylib.hold(env, reason=reason, commit=commit)


@command(
    name="lift",
    show="lifted",
    reason="why, if you like",
    commit="the holds of this commit; default: the only hold, or that of every release",
    hold="this one, as inv status names it",
)
def hold_lift(env: Environment, reason: str = "", commit: str = "", hold: str = "") -> Any:
    """Let releases through again."""
    return deploylib.lift(env, reason=reason, commit=commit, hold=hold)


@command(
    name="round", default=True, show="round", watch="again and again, as [monitor] every says, until it is interrupted"
)
def monitor_round(env: Environment, watch: bool = False) -> Any:
    """Look at everything, and tell what has changed."""
    return deploylib.monitor(env, watch=watch)


@command(
    "service",
    name="silence",
    show="silence",
    reason="why; it is recorded",
    until="how long from now, such as 2h; a week at most",
    signal="only this one: uptime, latency, disk, …; several with commas",
    end="end this one early, as inv status names it; all: every one",
)
def monitor_silence(
    env: Environment, reason: str = "", until: str = "", signal: str = "", end: str = "", **options: Any
) -> Any:
    """Keep alerts from being told for a while."""
    if end:
        return deploylib.end_silences(env, name="" if end == "all" else end)
    return deploylib.silence_alerts(
        env, reason=reason, until=until, signals=signal.replace(",", " ").split(), **options
    )


@command(
    name="up",
    common=("json",),
    show="local",
    new_ports="choose free ports anew",
    postgres="make the databases on this server: a superuser's URL",
    faults="let faults be switched on (inv local.fault)",
)
def local_up(env: Environment, new_ports: bool = False, postgres: str = "", faults: bool = False) -> Any:
    """Start the local Render, or let it read the Blueprint again."""
    from deploylib.render import local

    flags = {"--new-ports": new_ports, f"--postgres={postgres}": postgres, "--faults": faults}

    return local.up(env.config, extra=[flag for flag, given in flags.items() if given])


@command(name="status", common=("json",), show="local")
def local_status(env: Environment) -> Any:
    """Say what the local Render runs."""
    from deploylib.render import local

    return local.read_status(env.config)


@command(
    name="logs", common=(), service="only of this one", build="of the builds, not of the programs", lines="how many"
)
def local_logs(env: Environment, service: str = "", build: bool = False, lines: int = 50) -> Any:
    """Show what the local services said."""
    from deploylib.render import local

    return local.read_logs(env.config, service, "build" if build else "app", lines)


@command(
    name="env",
    common=(),
    positional=["name"],
    texts={"name": "of the variable; its value is asked for, or read from standard input"},
)
def local_env(env: Environment, name: str | None = None) -> Any:
    """Give a variable that the Blueprint leaves out a local value."""
    from deploylib.cli.session import secret
    from deploylib.render import local

    return local.give(env.config, name or "", secret(name or ""))


@command(
    name="fault",
    common=(),
    texts={"name": "which; default: tell all there are, and those that are armed"},
    service="of this one; default: of every one",
    next_="for how many deploys or requests; 0: until cleared",
    value="seconds, a status, …: as the list says",
    method="only requests of this method",
    path="only requests whose path this expression is found in",
    after="let so many pass first",
    clear="switch all of them off",
)
def local_fault(
    env: Environment,
    name: str = "",
    service: str = "",
    next_: str = "",
    value: str = "",
    method: str = "",
    path: str = "",
    after: str = "",
    clear: bool = False,
) -> Any:
    """Break something on purpose, for a rehearsal or a drill."""
    how = {"service": service, "next": next_, "value": value, "method": method, "path": path, "after": after}
    from deploylib.render import local

    return local.fault(env.config, name, how, clear=clear)


@command(
    name="health",
    common=("json",),
    show="copies",
    write="into this folder of a service; default: tell the copies that there are",
    language="python, node, or browser for <deploy-status>; default: by what the folder holds",
    force="also over a file that somebody wrote or edited",
)
def local_health(env: Environment, write: str = "", language: str = "", force: bool = False) -> Any:
    """Copy health answers and a graceful shutdown into a service."""
    from deploylib.commands import health

    return health.take_health(env, write=write, language=language, force=force)


@command("service", "commit", name="fitness", common=("json",), show="fitness", commit="measure this commit")
def local_fitness(env: Environment, **options: Any) -> Any:
    """Measure whether the programs are fit for a release without downtime."""
    from deploylib.commands import fitness

    return fitness.measure_fitness(env, **options)


@command(name="down", common=())
def local_down(env: Environment) -> Any:
    """Stop the local Render; what it holds stays."""
    from deploylib.render import local

    return local.down(env.config)


@command(name="reset", common=())
def local_reset(env: Environment) -> Any:
    """Stop the local Render and forget its services and databases."""
    from deploylib.render import local

    return local.reset(env.config)


GROUPS = {
    "backup": (backup, backup_list, backup_prove, backup_restore),
    "hold": (hold_place, hold_lift),
    "lease": (lease_show, lease_release),
    "loadtest": (loadtest_run, loadtest_history),
    "local": (
        local_up,
        local_status,
        local_logs,
        local_env,
        local_fault,
        local_fitness,
        local_health,
        local_down,
        local_reset,
    ),
    "monitor": (monitor_round, monitor_silence),
}
