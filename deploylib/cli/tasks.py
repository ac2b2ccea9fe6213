"""The tasks that an operator types.

``inv --list`` is the table of contents, ``inv deploy --help`` tells the flags.
Each task is one call of the library; what it returns is printed, and its exit code is the program's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.collection import Collection

import deploylib
from deploylib.cli import groups
from deploylib.cli.task import command

if TYPE_CHECKING:
    from deploylib.environment import Environment

__all__ = ["everything"]

RELEASE = ("service", "commit", "dry_run", "verbose")
GATES = ("skip", "reason", "wait")


@command(*RELEASE, *GATES, until="stop after this stage; default: the last one")
def deploy(env: Environment, until: str = "", **options: Any) -> Any:
    """Release a commit, with every stage from check to proof."""
    return deploylib.deploy(env, until=until, **options)


@command(fix="turn autodeploy off where it is on, and try the store by a write")
def check(env: Environment, fix: bool = False) -> Any:
    """Look at everything a release needs; change nothing."""
    return deploylib.check(env, fix=fix)


@command(show="status")
def status(env: Environment) -> Any:
    """Say what is live, since when, and what to do about it."""
    return deploylib.status(env)


@command(
    show="logs",
    run="of this run; default: the last that deployed",
    service="only of this one",
    lines="how many of each",
    since="not older than 10m, 2h, or a moment; default: since the deploy",
    follow="go on with what comes, until Ctrl-C",
)
def logs(
    env: Environment, run: str = "", service: str = "", lines: int = 50, since: str = "", follow: bool = False
) -> Any:
    """Show what a run's builds and programs said."""
    if follow:
        from deploylib import commands

        return commands.status.follow_logs(env, run=run, service=service, since=since)
    return deploylib.logs(env, run=run, service=service, lines=lines, since=since)


@command(
    "dry_run",
    "verbose",
    *GATES,
    to="run, commit or deploy to go back to; default: the last verified release",
    skip="leave this check out in an emergency: schema",
    reason="why; it is recorded, told, and kept with the hold",
    dry_run="only say",
)
def rollback(env: Environment, to: str = "", **options: Any) -> Any:
    """Restore the release before, as one unit, and verify it."""
    return deploylib.rollback(env, to=to, **options)


@command(show="history", run="tell this run; default: the list of runs", limit="how many")
def history(env: Environment, run: str = "", limit: int = 20) -> Any:
    """List the runs and what was done beside them, or tell one."""
    return deploylib.history(env, run=run, limit=limit)


@command(
    "verbose",
    run="this one; default: of this CI run, or the newest that is open",
    database="of one marked restoring: complete (default; in CI only when said), back: what was there, or a backup",
)
def finish(env: Environment, run: str = "", database: str = "") -> Any:
    """Complete an open run or restore, or put back what it changed."""
    return deploylib.finish(env, run=run, database=database)


@command(hand_over="in CI, without a key: the jobs after this one record the result")
def tests(env: Environment, hand_over: bool = False) -> Any:
    """Run the product's own tests, a gate of a release."""
    return deploylib.tests(env, hand_over=hand_over)


@command(
    "commit",
    commit="examine this commit instead of what is checked out",
    hand_over="in CI, without a key: a job after this one looks at the variables, and records it",
)
def scan(env: Environment, hand_over: bool = False, **options: Any) -> Any:
    """Examine a commit: dependencies, code, secrets, variables, Blueprint."""
    return deploylib.scan(env, hand_over=hand_over, **options)


@command(
    *RELEASE, *GATES, status="by a published status.json (address or file) alone: no key is needed, nothing is run"
)
def changes(env: Environment, status: str = "", **options: Any) -> Any:
    """Decide which services and migrations a release is about."""
    return deploylib.changes(env, status=status, **options)


@command(*RELEASE, rehearse="with --dry-run: on a copy of the newest backup; a migration always is, on its own")
def migrate(env: Environment, rehearse: bool = False, **options: Any) -> Any:
    """Bring the schema to what the commit needs, after a backup."""
    return deploylib.migrate(env, rehearse=rehearse, **options)


@command("verbose")
def verify(env: Environment) -> Any:
    """Have what is live prove itself."""
    return deploylib.verify(env)


@command(
    "dry_run",
    "verbose",
    *GATES,
    common=("to", "json", "debug"),
    target="to",
    from_="whose verified release",
    run="of that environment: what this run has left verified; default: what it serves, verified",
)
def promote(env: Environment, from_: str = "staging", run: str = "", **options: Any) -> Any:
    """Bring to one environment exactly what another has verified."""
    return deploylib.promote(env, source=from_, run=run, **options)


@command(
    positional=("text",),
    instead={"text": "test"},
    show="told",
    texts={"text": "what to tell"},
    test="tell a test, and say what each channel answers",
)
def notify(env: Environment, text: str | None = None, test: bool = False) -> Any:
    """Tell every channel a text, or whether they hear."""
    return deploylib.notify(env, text=text or "", test=test)


@command(
    common=("json", "debug"),
    target="",
    show="dashboard",
    environment="only these, with commas; default: all in which something was ever done",
    out="where: a folder, or s3://bucket/prefix",
    public="for everybody: without people, subjects, backups, and what the database is like",
    every="how often it is made; it says that it is old after twice as long",
)
def dashboard(
    env: Environment, environment: str = "", out: str = "site", public: bool = False, every: str = "24h"
) -> Any:
    """Write a page that says what is live."""
    names = environment.replace(",", " ").split()

    return deploylib.write_dashboard(env, out=out, environments=names, public=public, every=every)


@command(
    positional=("name",),
    optional=True,
    show="drills",
    environment="in whose history it is recorded; it is done there only if the list says so",
    texts={"name": "which; default: list them"},
    all_="all of them, unattended, as a test of them",
    within="after how long it is given up",
    unattended="the right commands are typed by a program",
    confirm="the environment's name, for a drill that is done there",
)
def drill(
    env: Environment,
    name: str | None = None,
    all_: bool = False,
    within: str = "30m",
    unattended: bool = False,
    confirm: str = "",
) -> Any:
    """Practise a situation of the runbook, or list them."""
    from deploylib import drills
    from deploylib.cli.session import is_watched

    how: dict[str, Any] = {"within": within, "unattended": unattended, "confirm": confirm}
    return drills.choose_drill(env, name=name or "", every=all_, watched=is_watched(), **how)


def everything() -> Collection:
    """Make the collection of all tasks."""
    collection = Collection(
        deploy,
        check,
        status,
        logs,
        rollback,
        history,
        finish,
        tests,
        scan,
        changes,
        migrate,
        verify,
        promote,
        notify,
        dashboard,
        drill,
    )
    for name, tasks in groups.GROUPS.items():
        collection.add_collection(Collection(name, *tasks))
    return collection
