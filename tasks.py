"""What an operator types: ``inv --list`` is the table of contents, ``inv deploy --help`` tells the flags.

Every task is parse → one call of the library → print. Copy this file into a repository of your own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from deploylib.command import command

COMMON = {
    "environment": "where: local (default), or one of your settings",
    "json": "print the result as JSON",
    "debug": "show tracebacks",
}
RELEASE = {
    **COMMON,
    "service": "only this service; may be given several times",
    "commit": "release this commit instead of what is checked out",
    "dry-run": "say what would be done; send no write",
}
GATED = {
    **RELEASE,
    "skip": "leave this gate out in an emergency: tests, scan",
    "reason": "why, with --skip; it is recorded and told",
    "wait": "for another run to end, such as 10m; default: not at all, in CI as long as deadline says",
}


def release(stage: str, until: str, environment: str, json: bool, **options: Any) -> None:
    """Bring a run to *until* and print what came of it."""
    from deploylib import console, flow

    with console.session(environment, asked=stage, **options) as ctx:
        report = flow.run(ctx, until=until)
    console.show(report, json=json)


def mend(environment: str) -> None:
    """Put right what the tool can put right."""
    from deploylib import console, flow

    with console.session(environment) as ctx:
        flow.mend(ctx)


@task(iterable=["service", "skip"], help={**GATED, "until": "stop after this stage"})
@command
def deploy(
    c: Context,
    environment: str = "local",
    service: Sequence[str] | None = None,
    commit: str = "",
    until: str = "verify",
    skip: Sequence[str] | None = None,
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Release a commit, with every stage from check to proof."""
    gates = {"skip": skip, "reason": reason, "wait": wait}
    release("deploy", until, environment, json, only=service, ref=commit, dry=dry_run, **gates)


@task(help={**COMMON, "fix": "turn autodeploy off where it is on"})
@command
def check(c: Context, environment: str = "local", fix: bool = False, json: bool = False, debug: bool = False) -> None:
    """Look at everything a release needs; change nothing."""
    if fix:
        mend(environment)
    release("check", "check", environment, json, dry=True)


@task(help={**COMMON, "commit": "examine this commit instead of what is checked out"})
@command
def scan(c: Context, environment: str = "local", commit: str = "", json: bool = False, debug: bool = False) -> None:
    """Examine a commit: dependencies, code, secrets, variables, Blueprint."""
    from deploylib import console, flow

    with console.session(environment, ref=commit) as ctx:
        found = flow.examine(ctx)
    console.judge(found, json=json)


@task(name="tests", help={**COMMON, "hand-over": "in CI, without a key: the jobs after this one record the result"})
@command
def own_tests(
    c: Context, environment: str = "local", hand_over: bool = False, json: bool = False, debug: bool = False
) -> None:
    """Run the product's own tests, a gate of a release."""
    from deploylib import console, flow

    with console.session(environment, asked="tests") as ctx:
        report = flow.hand_over_tests(ctx) if hand_over else flow.own_tests(ctx)
    console.show(report, json=json, hand_over=hand_over)


@task(iterable=["service", "skip"], help=GATED)
@command
def changes(
    c: Context,
    environment: str = "local",
    service: Sequence[str] | None = None,
    commit: str = "",
    skip: Sequence[str] | None = None,
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Decide which services and migrations a release is about."""
    gates = {"skip": skip, "reason": reason, "wait": wait}
    release("changes", "changes", environment, json, only=service, ref=commit, dry=dry_run, **gates)


@task(
    name="create",
    default=True,
    iterable=["service"],
    help={**RELEASE, "when-due": "only before a migration, or when the last one is old"},
)
@command
def backup_create(
    c: Context,
    environment: str = "local",
    service: Sequence[str] | None = None,
    commit: str = "",
    when_due: bool = False,
    dry_run: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Back the database up, and prove the backup."""
    release("backup", "backup", environment, json, only=service, ref=commit, dry=dry_run, due=when_due)


@task(name="list", help=COMMON)
@command
def backup_list(c: Context, environment: str = "local", json: bool = False, debug: bool = False) -> None:
    """List the backups, and how each was proven."""
    from deploylib import backups, console, report

    with console.session(environment) as ctx:
        found = backups.listed(ctx)
    console.tell(found, report.backups(found, ctx.clock.now(), environment), json=json)


@task(
    name="prove",
    help={
        **COMMON,
        "backup": "its id; default: the newest",
        "accept": "of one that cannot be proven: a release may go on with its like for a day; needs --reason",
        "reason": "why, with --accept; it is recorded and told",
    },
)
@command
def backup_prove(
    c: Context,
    environment: str = "local",
    backup: str = "",
    accept: bool = False,
    reason: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Restore a backup where nobody sees it, and compare."""
    from deploylib import backups, console, report

    with console.session(environment, reason=reason) as ctx:
        found = backups.prove(ctx, backup, accept=accept)
    console.tell(found, report.backups([found], ctx.clock.now()), json=json)


@task(
    name="restore",
    help={
        **COMMON,
        "backup": "its id; default: the newest",
        "into": "beside (default): a new database on the same server; scratch; a variable with a URL; database: its own",
        "force": "empty the database first, once the same restore was done beside",
        "unproven": "without that proof, where the role may not make a database",
        "confirm": "the environment's name, with --into database",
    },
)
@command
def backup_restore(
    c: Context,
    environment: str = "local",
    backup: str = "",
    into: str = "beside",
    force: bool = False,
    unproven: bool = False,
    confirm: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Restore a backup, and compare what is there then."""
    from deploylib import backups, console, report

    with console.session(environment, asked="backup") as ctx:
        done = backups.restored(ctx, backup, into, force=force, unproven=unproven, confirm=confirm)
    console.tell(done, report.restored(done, environment), json=json)


@task(
    iterable=["service"],
    help={**RELEASE, "rehearse": "with --dry-run: on a copy of the newest backup; a migration always is, on its own"},
)
@command
def migrate(
    c: Context,
    environment: str = "local",
    service: Sequence[str] | None = None,
    commit: str = "",
    dry_run: bool = False,
    rehearse: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Bring the schema to what the commit needs, after a backup."""
    release("migrate", "migrate", environment, json, only=service, ref=commit, dry=dry_run, rehearse=rehearse)


@task(help=COMMON)
@command
def verify(c: Context, environment: str = "local", json: bool = False, debug: bool = False) -> None:
    """Have what is live prove itself."""
    from deploylib import console, flow

    with console.session(environment) as ctx:
        report = flow.prove_live(ctx)
    console.show(report, json=json)


@task(
    help={
        **COMMON,
        "run": "this one; default: of this CI run, or the newest that is open",
        "database": "of one marked restoring: complete (default; in CI only when said), back: what was there, or a backup",
    }
)
@command
def finish(
    c: Context, environment: str = "local", run: str = "", database: str = "", json: bool = False, debug: bool = False
) -> None:
    """Complete an open run or restore, or put back what it changed."""
    from deploylib import console, unfinished

    with console.session(environment) as ctx:
        report = unfinished.finish(ctx, run, database)
    console.show(report, json=json)


@task(
    iterable=["skip"],
    help={
        **COMMON,
        "to": "run, commit or deploy to go back to; default: the last verified release",
        "skip": "leave this check out in an emergency: schema",
        "reason": "why; it is recorded, told, and kept with the hold",
        "wait": GATED["wait"],
        "dry-run": "only say",
    },
)
@command
def rollback(
    c: Context,
    environment: str = "local",
    to: str = "",
    skip: Sequence[str] | None = None,
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Restore the release before, as one unit, and verify it."""
    from deploylib import console, flow

    with console.session(environment, to=to, skip=skip, reason=reason, wait=wait, dry=dry_run) as ctx:
        report = flow.roll_back(ctx)
    console.show(report, json=json)


@task(
    iterable=["skip"],
    help={
        **{name: text for name, text in GATED.items() if name not in {"environment", "service", "commit"}},
        "from": "whose verified release",
        "to": "where it is brought",
    },
)
@command
def promote(
    c: Context,
    from_: str = "staging",
    to: str = "production",
    skip: Sequence[str] | None = None,
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Bring to one environment exactly what another has verified."""
    from deploylib import console, flow

    with console.session(to, skip=skip, reason=reason, wait=wait, dry=dry_run) as ctx:
        report = flow.promote(ctx, console.beside(ctx, from_))
    console.show(report, json=json)


@task(help=COMMON)
@command
def status(c: Context, environment: str = "local", json: bool = False, debug: bool = False) -> None:
    """Say what is live, since when, and what can be done about it."""
    from deploylib import console, report, status

    with console.session(environment) as ctx:
        found = status.read(ctx)
    console.tell(found, report.status(found, ctx.clock.now()), json=json, code=found.exit_code)


@task(help={**COMMON, "run": "tell this run; default: the list of runs", "limit": "how many"})
@command
def history(
    c: Context, run: str = "", environment: str = "local", limit: int = 20, json: bool = False, debug: bool = False
) -> None:
    """List the runs and what was done beside them, or tell one of them."""
    from deploylib import console, report, status

    with console.session(environment) as ctx:
        runs = [status.find(ctx, run)] if run else status.history(ctx, limit)
    console.tell(runs, report.events(runs[0]) if run else report.history(runs), json=json)


@task(help={**COMMON, "run": "of this run; default: the last that deployed", "lines": "how many of each"})
@command
def logs(
    c: Context, run: str = "", environment: str = "local", lines: int = 50, json: bool = False, debug: bool = False
) -> None:
    """Show what a run's builds and programs said."""
    from deploylib import console, report, status

    with console.session(environment) as ctx:
        found = status.logs(ctx, run, lines)
    console.tell(found, report.logs(found), json=json)


@task(name="show", default=True, help=COMMON)
@command
def lease_show(c: Context, environment: str = "local", json: bool = False, debug: bool = False) -> None:
    """Say who holds an environment."""
    from deploylib import console, report

    with console.session(environment) as ctx:
        found = ctx.leases.current()
    console.tell(found, report.lease(found, environment), json=json)


@task(name="release", help={**COMMON, "reason": "why; its holder is told"})
@command
def lease_release(
    c: Context, environment: str = "local", reason: str = "", json: bool = False, debug: bool = False
) -> None:
    """Give an environment back in its holder's place."""
    from deploylib import console, override, report

    with console.session(environment, reason=reason) as ctx:
        found = override.release_lease(ctx)
    console.tell(found, report.lease(found, environment), json=json)


@task(
    name="place", default=True, help={**COMMON, "reason": "why", "commit": "only this commit; default: every release"}
)
@command
def hold_place(
    c: Context, environment: str = "local", reason: str = "", commit: str = "", json: bool = False, debug: bool = False
) -> None:
    """Refuse releases from now on, until it is lifted."""
    from deploylib import console, override, report

    with console.session(environment, reason=reason) as ctx:
        found = override.place_hold(ctx, commit)
    console.tell(found, ["held from now on", *report.held([found], ctx.clock.now())], json=json)


@task(
    name="lift",
    help={
        **COMMON,
        "reason": "why, if you like",
        "commit": "the holds of this commit; default: the only hold, or that of every release",
        "hold": "this one, as inv status names it",
    },
)
@command
def hold_lift(
    c: Context,
    environment: str = "local",
    reason: str = "",
    commit: str = "",
    hold: str = "",
    json: bool = False,
    debug: bool = False,
) -> None:
    """Let releases through again."""
    from deploylib import console, override, report

    with console.session(environment, reason=reason) as ctx:
        found = override.lift_hold(ctx, commit, hold)
        left = ctx.holds.current()
    console.tell(found, report.lifted(found, left, ctx.clock.now()), json=json)


@task(
    name="up",
    help={
        "new-ports": "choose free ports anew",
        "postgres": "make the databases on this server: a superuser's URL",
        "faults": "let faults be switched on (inv local.fault)",
        "json": COMMON["json"],
    },
)
@command
def local_up(c: Context, new_ports: bool = False, postgres: str = "", faults: bool = False, json: bool = False) -> None:
    """Start the local Render, or let it read the Blueprint again."""
    from deploylib import console, local, report

    flags = {"--new-ports": new_ports, f"--postgres={postgres}": postgres, "--faults": faults}
    extra = [flag for flag, given in flags.items() if given]
    said = local.up(console.settings("local"), extra=extra)
    console.tell(said, report.local(said), json=json)


@task(
    name="env",
    positional=["name"],
    help={"name": "of the variable; its value is asked for, or read from standard input"},
)
@command
def local_env(c: Context, name: str | None = None) -> None:
    """Give a variable that the Blueprint leaves out its value on the local Render."""
    from deploylib import console, local

    said = local.give(console.settings("local"), name or "", console.secret(name or ""))
    console.tell(said, said.splitlines(), json=False)


@task(name="status", help={"json": COMMON["json"]})
@command
def local_status(c: Context, json: bool = False) -> None:
    """Say what the local Render runs."""
    from deploylib import console, local, report

    said = local.status(console.settings("local"))
    console.tell(said, report.local(said), json=json)


@task(
    name="logs",
    help={"service": "only of this one", "build": "of the builds, not of the programs", "lines": "how many"},
)
@command
def local_logs(c: Context, service: str = "", build: bool = False, lines: int = 50) -> None:
    """Show what the local services said."""
    from deploylib import console, local

    said = local.logs(console.settings("local"), service, "build" if build else "app", lines)
    console.tell(said, said.splitlines(), json=False)


@task(
    name="fault",
    help={
        "name": "which; default: tell all there are, and those that are armed",
        "service": "of this one; default: of every one",
        "next": "for how many deploys or requests; 0: until cleared",
        "value": "seconds, a status, …: as the list says",
        "method": "only requests of this method",
        "path": "only requests whose path this expression is found in",
        "after": "let so many pass first",
        "clear": "switch all of them off",
    },
)
@command
def local_fault(
    c: Context,
    name: str = "",
    service: str = "",
    next_: str = "",
    value: str = "",
    method: str = "",
    path: str = "",
    after: str = "",
    clear: bool = False,
) -> None:
    """Break something on purpose, for a rehearsal or a drill."""
    from deploylib import console, local

    how = {"service": service, "next": next_, "value": value, "method": method, "path": path, "after": after}
    said = local.fault(console.settings("local"), name, how, clear=clear)
    console.tell(said, said.splitlines(), json=False)


@task(name="down")
@command
def local_down(c: Context) -> None:
    """Stop the local Render; what it holds stays."""
    from deploylib import console, local

    said = local.down(console.settings("local"))
    console.tell(said, said.splitlines(), json=False)


@task(name="reset")
@command
def local_reset(c: Context) -> None:
    """Stop the local Render and forget its services and databases."""
    from deploylib import console, local

    said = local.reset(console.settings("local"))
    console.tell(said, said.splitlines(), json=False)


ns = Collection(
    deploy, check, own_tests, scan, changes, migrate, verify, finish, rollback, promote, status, history, logs
)
ns.add_collection(Collection("backup", backup_create, backup_list, backup_prove, backup_restore))
ns.add_collection(Collection("lease", lease_show, lease_release))
ns.add_collection(Collection("hold", hold_place, hold_lift))
ns.add_collection(
    Collection("local", local_up, local_down, local_status, local_logs, local_env, local_fault, local_reset)
)
