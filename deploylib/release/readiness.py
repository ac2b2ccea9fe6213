"""What only somebody who asks is told.

A release finds it out by itself, one after the other, or goes on with it.
Everything is read. Two requests look like writes and are none: Render's own validation of a Blueprint makes nothing, and
the name of the store's format, an empty object that is there already, is refused by a store that tells two writers apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import metadata

import msgspec

from deploylib.environment import Environment
from deploylib.errors import SettingsError, Unreachable
from deploylib.migrations import discovery
from deploylib.models import Kind, Target
from deploylib.models.extras import is_installed
from deploylib.postgres import connection
from deploylib.release import preflight
from deploylib.release.prerequisites import CheckFinding
from deploylib.release.run import Run
from deploylib.render import Refused, blueprints
from deploylib.store import format_version

__all__ = [
    "Readiness",
    "look_at_commit",
    "look_at_database",
    "look_at_platform",
    "look_at_store",
    "try_store",
    "weigh_sessions",
]

SKEW = 60.0  # seconds: S3 refuses at 900, and what was logged since a moment is asked for by our clock
SCHEMA_ALONE = "Render itself was not asked about"


class Readiness(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        findings: what must be put right.
        notes: what is worth knowing.
    """

    findings: tuple[CheckFinding, ...] = ()
    notes: tuple[str, ...] = ()


def look_at_store(env: Environment) -> Readiness:
    """See that the store tells two deploys apart."""
    if not env.config.store.startswith("s3://"):
        return Readiness()
    try:
        if format_version.is_known_conditional(env.store):
            return Readiness()
    except (SettingsError, Unreachable) as error:
        return Readiness((CheckFinding.of(error),))
    text = f"the store {env.config.store} is empty: whether it takes conditional writes is not known yet"
    return Readiness(notes=(f"{text} (inv check --fix tries it, or the first release does)",))


def try_store(env: Environment) -> None:
    """See that a bucket takes conditional writes; name its format.

    Raises:
        SettingsError: two writers of one key would both win.
        Unreachable: it cannot be written.
    """
    if env.config.store.startswith("s3://"):
        env.store.probe()
        format_version.write_format(env.store)
        env.progress.note("the store takes conditional writes")


def look_at_platform(run: Run, described: blueprints.Blueprint | None, targets: Collection[Target]) -> Readiness:
    """See what the platform says of the Blueprint, and of the time."""
    findings, notes, name = [], [], run.env.config.settings.blueprint
    ahead = run.env.render.clock_ahead[-1] if run.env.render.clock_ahead else None
    if ahead is not None and abs(ahead) > SKEW:
        skew = f"the clock of this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the platform's"
        findings.append(CheckFinding(skew, "set it by the network: sudo timedatectl set-ntp true"))
    owner = next((one.owner_id for one in targets if one.owner_id), "")
    text = run.env.git.read(run.commit.id, name) if described is not None and owner else None
    if text is not None:
        try:
            faults = run.env.render.find_faults(owner, text)
        except (Refused, Unreachable) as error:
            notes.append(f"{SCHEMA_ALONE} {name}: {error.message}")
        else:
            findings += [CheckFinding(f"{name}, says Render: {one}", f"correct {name}") for one in faults]
    if described is not None:
        notes += list(_apart(described, targets))
    return Readiness(tuple(findings), tuple(notes))


def _apart(described: blueprints.Blueprint, targets: Collection[Target]) -> Iterator[str]:
    """Find health paths that the platform does not have.

    The Blueprint was changed, and not synchronised.
    """
    for target in targets:
        wanted = service.health_check_path if (service := described.service(target.name)) is not None else ""
        if target.kind is Kind.WEB and wanted and wanted != target.health_path:
            there = target.health_path or "none"
            yield f"{target.name}: its health path is {wanted} in the Blueprint and {there} at the platform: sync the Blueprint"


def look_at_database(run: Run, name: str) -> Readiness:
    """See that sessions are direct, and have room to double.

    While a deploy switches, each service runs twice.

    Args:
        run: the run.
        name: of the platform's Postgres; empty: the settings name a variable with its address.
    """
    try:
        url = preflight.address(run.env.config, run.env.render, name)
        if url is None:
            return Readiness()
        connection.require_direct(url)
        used, most = connection.count_sessions(url)
    except (Refused, SettingsError, Unreachable) as error:
        return Readiness((CheckFinding.of(error),))
    return weigh_sessions(used, most)


def weigh_sessions(used: int, most: int) -> Readiness:
    """Tell where twice as many sessions have no room."""
    if 2 * used <= most:
        return Readiness()
    text = f"{used} of {most} connections to the database are in use: a release, in which services run twice, may want more"
    return Readiness(notes=(f"{text} (smaller pools, or a larger plan)",))


def look_at_commit(run: Run) -> Readiness:
    """See whether a commit's alembic has a known fault."""
    env, names = run.env, run.env.git.files(run.commit.id)
    texts = {name: env.git.read(run.commit.id, name) or "" for name in discovery.find_lists(names)}
    ours = _migrates(names) and not env.config.settings.migrations.python
    here = metadata.version("alembic") if ours and is_installed("alembic") else ""
    return Readiness(notes=discovery.find_faulty_alembic(texts, here))


def _migrates(names: Collection[str]) -> bool:
    return any(name.endswith("env.py") for name in names)
