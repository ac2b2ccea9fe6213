"""What a commit would change, by its files and a published page.

No key, no store, no database, and nothing of the commit is run: it may be of somebody whom nobody knows yet. What only
the platform or the database could tell is said to be unknown; a dry run tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from deploylib.dashboard import Panel, Site, page
from deploylib.environment import Environment
from deploylib.errors import DeployError, Interrupted, SettingsError
from deploylib.migrations import Tool, discovery, lint_revisions
from deploylib.models import Commit, Live, PathFilter, Revision, StageName, Value, remedies
from deploylib.models.globs import matches
from deploylib.models.results import PLANNED, Report, StageResult
from deploylib.models.units import age, count
from deploylib.release import changes, preflight, service_mapping
from deploylib.release.run import plan_stage, table
from deploylib.scanners import list_files

__all__ = ["preview_changes"]

MOST = 100  # of anything that somebody whom nobody knows has written many of: a comment has an end
WIDEST = 300  # characters of a row


class _Known(Value, frozen=True):
    """What is live, as far as somebody has published it.

    Attributes:
        released: the commit whose migrations the schema has; empty: unknown.
        line: where that is from, how old it is, or why it is unknown.
    """

    live: dict[str, Live] = {}  # noqa: RUF012 - msgspec copies an empty default
    released: str = ""
    line: str = ""


def preview_changes(env: Environment, name: str, place: str) -> Report:
    """Say which services and migrations a commit would be about.

    Args:
        name: of the commit; empty: what is checked out.
        place: the address, or the file, of a published ``status.json``.

    Raises:
        SettingsError: no such commit, or its Blueprint has an error.
    """
    began = env.clock.monotonic()
    env.git.top()
    commit = env.git.commit(name or "HEAD")
    known = _read_known(env, place)
    stages = (
        _look(env, StageName.CHANGES, lambda: _compare(env, commit, known)),
        _look(env, StageName.MIGRATE, lambda: _read_migrations(env, commit, known)),
    )
    return Report(
        run="",
        environment=env.name,
        outcome=PLANNED,
        exit_code=0,
        commit=commit,
        stages=stages,
        live=tuple(known.live.values()),
        next=("inv deploy --dry-run, where the keys are, tells the rest",),
        seconds=round(env.clock.monotonic() - began, 3),
    )


def _read_known(env: Environment, place: str) -> _Known:
    try:
        site = page.read_published(place)
    except Interrupted:
        raise
    except DeployError as error:
        return _Known(line=f"unknown: {error.message}")
    panel = next((one for one in site.panels if one.name == env.name), None)
    if panel is None or panel.trouble or not panel.serving:
        why = panel.trouble if panel is not None and panel.trouble else f"it says nothing of {env.name}"
        return _Known(line=f"unknown: {place}: {why}")
    live = {
        serving.service: Live(service=serving.service, commit=serving.commit, since=serving.since, url=serving.url)
        for serving in panel.serving
    }
    return _Known(live=live, released=_find_released(panel), line=_tell_age(env, site))


def _find_released(panel: Panel) -> str:
    """Find the commit whose migrations are applied.

    That of the last run forward that succeeded.
    """
    done = next((run for run in panel.runs if run.outcome == "succeeded" and not run.back), None)
    return done.commit.id if done is not None else panel.commit


def _tell_age(env: Environment, site: Site) -> str:
    elapsed = (env.clock.now() - site.built_at).total_seconds()
    old = ", which is old: it may be otherwise by now" if elapsed > 2 * site.every else ""
    return f"as published {age(max(0.0, elapsed))} ago{old}"


def _look(env: Environment, stage: StageName, rows: Callable[[], Iterable[str]]) -> StageResult:
    """Tell what was found.

    What cannot be read of the commit is part of it.
    """
    try:
        return plan_stage(stage, *(row if len(row) <= WIDEST else f"{row[:WIDEST]} …" for row in rows()))
    except Interrupted:
        raise
    except DeployError as error:
        return plan_stage(stage, f"unknown: {error.message} ({remedies.about(env.name, error.remedy)})")


def _compare(env: Environment, commit: Commit, known: _Known) -> Iterator[str]:
    """Decide for each service, compared with what is known to be live."""
    config = env.config
    yield known.line
    blueprint = preflight.read_blueprint(config, env.git, commit)
    targets = service_mapping.describe_targets(config, blueprint, preflight.services(config, blueprint, ()))
    rows = []
    for target in targets[:MOST]:
        if not known.live.get(target.name, Live(service="")).commit:
            rows.append((target.name, "unknown: nobody has published what it serves"))
            continue
        try:
            decided = changes.detect(
                (target,),
                known.live,
                commit,
                git=env.git,
                blueprint=blueprint,
                blueprint_path=config.settings.blueprint,
                shared=config.settings.shared,
            )
        except SettingsError as error:
            rows.append((target.name, f"refused: {error.message}"))
            continue
        (change,) = decided.services
        rows.append((target.name, f"{'deployed' if change.deploy else 'left as it is'}: {change.reason}"))
    yield from table(rows)
    yield from _tell_left(len(targets), "service")


def _read_migrations(env: Environment, commit: Commit, known: _Known) -> Iterator[str]:
    """Read the migrations that what was released has not.

    With what is to be said of them.
    """
    if not known.released:
        yield "unknown: nobody has published what was released last"
        return
    if not env.git.has(known.released):
        yield f"unknown: this clone lacks {known.released[:7]}, which was released last"
        return
    before, differ = set(env.git.files(known.released)), set(env.git.files_between(known.released, commit.id))
    with env.git.export(commit.id, foreign=True) as files:
        tool = Tool(files, env.config, env.runner)
        added = tool.read_files(differ - before) if tool.has_migrations else ()
        edited = tool.read_files(differ & before) if tool.has_migrations else ()
        ours = (tool.folder,) if tool.has_migrations and tool.folder else ()
        described = preflight.read_blueprint(env.config, env.git, commit)
        others = discovery.find_others(files, list_files(files), described, ours=ours)
        lines = [f"{one.id} {one.title}".strip() + f" ({one.path})" for one in added[:MOST]]
        lines += _tell_left(len(added), "new migration")
        lines += [f"{one.id} is edited, and may be applied already ({one.path})" for one in edited[:MOST]]
        lines += _tell_left(len(edited), "edited migration")
        lines += _lint(env, added[:MOST])
    for other in others[:MOST]:
        theirs = [name for name in differ if other.files and matches(name, PathFilter(paths=other.files))]
        if theirs or not other.files:
            lines.append(f"{other.what}: not read from here ({count(len(theirs), 'file')} of it differ)")
    yield from lines or [f"none that are not in {known.released[:7]}"]


def _tell_left(there: int, what: str) -> Iterator[str]:
    """Tell how many more there are than a comment has room for."""
    if there > MOST:
        yield f"not examined: {count(there - MOST, what)} more"


def _lint(env: Environment, added: tuple[Revision, ...]) -> Iterator[str]:
    """Lint SQL that nothing was run for.

    Which tables are large nobody knows.
    """
    if not added:
        return
    small = env.config.settings.migrations.small_table
    examined = lint_revisions(added, None, runner=env.runner, small=small)
    for finding in sorted(examined.findings, key=lambda each: not each.blocks)[:MOST]:
        level = "would be refused" if finding.blocks else finding.level
        yield f"{level}: {finding.where} [{finding.rule}]: {finding.text}" + (
            "" if finding.note else f" → {finding.remedy}"
        )
    yield from _tell_left(len(examined.findings), "finding")
    yield from (f"not examined: {gap.what}: {gap.reason}" for gap in examined.gaps)
    yield from examined.accepted
    yield "how large a table is was not looked at: what hangs on that is a warning here, and the release decides"
