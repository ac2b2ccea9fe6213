"""Fitness measures a product's programs on a local Render of their own."""

from __future__ import annotations

import dataclasses
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec

from deploylib import fitness
from deploylib.commands.release import deploy
from deploylib.environment import Environment
from deploylib.errors import Blocked, DeployError, DeployFailed, Interrupted, NotExamined, SettingsError
from deploylib.models import Commit, Kind, Service, StageName, decoding
from deploylib.models.fitness import Fitness, FitVerdict, ServiceFitness
from deploylib.models.progress import Progress
from deploylib.release import preflight
from deploylib.render import Client, blueprints, deploy_and_wait, local
from deploylib.settings import EnvironmentSettings, ServiceSettings
from deploylib.store import open as open_store
from deploylib.system import files, threads

__all__ = ["measure_fitness"]

AT_ONCE = 4
POSTGRES = 5432
DRAIN = 30  # seconds that Render gives a service that says nothing (Blueprint, maxShutdownDelaySeconds)
RUNNING = {Kind.WEB, Kind.PRIVATE, Kind.WORKER}


class _Package(msgspec.Struct, frozen=True):
    scripts: dict[str, str] = {}


def measure_fitness(env: Environment, *, services: Sequence[str] = (), commit: str = "") -> Fitness:
    """Measure the services of a commit, each on instances of its own.

    The running local Render is left alone.

    Args:
        services: the only ones; empty: all that run.
        commit: whose; empty: what is checked out, and then nothing may differ from it.

    Returns:
        What was found; its ``exit_code`` is that of `Blocked` where a service is unfit, and of `NotExamined` where something
        could not be measured.

    Raises:
        SettingsError: no such service, or none that runs here.
        NotExamined: the databases could not be brought to the commit's schema, so that nothing was measured.
        Unreachable: the local Render did not come up, or stopped answering.
    """
    chosen = preflight.release_commit(env.git, commit)
    described = preflight.read_blueprint(env.config, env.git, chosen)
    if described is None:
        raise SettingsError(
            "no Blueprint says which services there are", remedy=f"write {env.config.settings.blueprint}"
        )
    preflight.services(env.config, described, services)
    with _throw_away(env, services) as (apart, status):
        here = local.read_here(apart.config, status)
        running = [one for one in described.deployable if one.kind in RUNNING and one.name not in here.left_out]
        wanted = [one for one in running if one.name in services or not services]
        if not wanted:
            message = (
                "no service of the Blueprint has a program that runs here"
                if not services
                else "it has no program that runs"
            )
            raise SettingsError(
                message, details=here.told, remedy="name one that does: inv local.fitness --service NAME"
            )
        _migrate(apart, chosen, services)
        plans = {
            measured.name: measured.plan
            for measured in described.databases
            if here.databases is None or measured.name in here.databases
        }
        services_measured = _measure(env, apart, chosen, wanted, plans)
    _record(env, services_measured)
    rows = [row.fit for one in services_measured for row in one.rows]
    worst = Blocked if FitVerdict.UNFIT in rows else NotExamined if FitVerdict.UNMEASURED in rows else None
    return Fitness(
        commit=chosen.id,
        outcome=worst.outcome if worst else "succeeded",
        exit_code=worst.exit_code if worst else 0,
        services=services_measured,
        left_out=here.told,
    )


def _record(env: Environment, measured: Sequence[ServiceFitness]) -> None:
    """Keep what was measured for the reminder of `inv check`.

    What cannot be kept was measured all the same.
    """
    try:
        for service in measured:
            fitness.record_fitness(env.store, service)
    except Interrupted:
        raise
    except DeployError as error:
        env.progress.note(f"inv check will not remind of this: {error.message}")


@contextmanager
def _throw_away(env: Environment, services: Sequence[str]) -> Iterator[tuple[Environment, dict[str, object]]]:
    """Start a local Render for this command alone.

    It ends with us, however we end; what it says of itself is given as well.
    """
    with files.temporary_folder() as folder:
        ours = EnvironmentSettings(database=env.config.environment.database, backups="none")
        config = msgspec.structs.replace(env.config, environment=ours, thrown_away=folder / "render")
        store = open_store(folder / "store")
        apart = dataclasses.replace(env, config=config, progress=Progress(), kept_in=store)
        env.progress.note("Starting a local Render of its own, which is thrown away afterwards …")
        flags = ("--faults", f"--owner={os.getpid()}", f"--beside={env.config.local_state}")
        try:
            yield apart, local.up(config, runner=env.runner, extra=flags, only=services)
        finally:
            local.reset(config, runner=env.runner)


def _migrate(apart: Environment, commit: Commit, services: Sequence[str]) -> None:
    """Bring the databases to the schema of the commit."""
    report = deploy(apart, commit=commit.id, services=services, until=StageName.MIGRATE)
    if report.exit_code:
        remedy = next(iter(report.next), "inv deploy says more")
        raise NotExamined(f"nothing was measured: {report.error}", details=report.details, remedy=remedy)


def _measure(
    env: Environment,
    apart: Environment,
    commit: Commit,
    wanted: Sequence[blueprints.BlueprintService],
    plans: Mapping[str, str],
) -> tuple[ServiceFitness, ...]:
    """Deploy all of them, then measure one after the other."""
    client = apart.render
    ports = frozenset(urlsplit(client.database_url(name).reveal()).port or POSTGRES for name in plans)
    env.progress.note(f"building {', '.join(one.name for one in wanted)}")
    troubles = threads.each(lambda one: _deploy(client, one.name, commit), wanted, AT_ONCE)
    return fitness.examine_services(
        [_subject(env, commit, client.service(one.name), one, ports) for one in wanted],
        fitness.Instances(client.url, client.secret),
        commit=commit.id,
        plan=next(iter(plans.values()), ""),
        troubles={one.name: trouble for one, trouble in zip(wanted, troubles, strict=True) if trouble},
        clock=env.clock,
        tell=env.progress.note,
    )


def _deploy(client: Client, service: str, commit: Commit) -> str:
    """Deploy a service; why it did not go live, or nothing."""
    try:
        deploy_and_wait(client, service, commit.id)
    except DeployFailed as failed:
        return failed.message
    return ""


def _subject(
    env: Environment, commit: Commit, there: Service, described: blueprints.BlueprintService, ports: frozenset[int]
) -> fitness.ServiceSubject:
    """Say how a service is asked, by the Blueprint and the settings."""
    chosen = env.config.settings.services.get(described.name, ServiceSettings())
    slow = (chosen.slow,) if chosen.slow.startswith("/") else ()
    read = [one.path for one in chosen.smoke if one.method == "GET" and not (one.send or one.send_env)]
    busy = chosen.busy or (*slow, *((chosen.health,) if chosen.health else ()), *read)
    scaling = described.settings.get("scaling") or {}
    return fitness.ServiceSubject(
        name=described.name,
        service_id=there.id,
        kind=there.kind,
        runtime=described.runtime,
        start_command=described.start_command,
        host_name=urlsplit(there.url).netloc,
        health_path=described.health_check_path,
        delay=float(described.settings.get("maxShutdownDelaySeconds") or DRAIN),
        instances=int(scaling.get("maxInstances") or described.settings.get("numInstances") or 1),
        slow=chosen.slow,
        busy=tuple("/" + path.removeprefix("/") for path in busy),
        uses_database=any("fromDatabase" in one for one in described.settings.get("envVars") or ()),
        database_ports=ports,
        scripts=_read_scripts(env, commit, described.root_dir),
    )


def _read_scripts(env: Environment, commit: Commit, folder: str) -> Mapping[str, str]:
    """Read the scripts of a package.json.

    None where there is none that can be read.
    """
    text = env.git.read(commit.id, posixpath.normpath(posixpath.join(folder, "package.json")).lstrip("/"))
    try:
        return decoding.json(text.encode(), _Package).scripts if text is not None else {}
    except decoding.Undecodable:  # it does not start either: npm says why
        return {}
