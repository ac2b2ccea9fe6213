"""The environment of a build and of an instance (docs page `environment-variables`, API-facts of Render)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from localrender import keyvalue, loopback, processes, runtimes
from localrender.model import ANY, PUBLIC, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localrender.model import Deploy, EnvVar, Service
    from localrender.state import State


def snapshot(service: Service) -> Snapshot:
    """What a deploy keeps of its service's settings, for the instances and for a later rollback to it."""
    spec = service.spec
    return Snapshot(
        env=service.env,
        start_command=spec.start_command,
        health_check_path=spec.health_check_path,
        instances=spec.instances,
        root_dir=spec.root_dir,
        publish_path=spec.publish_path,
        runtime=spec.runtime,
    )


def external_url(service: Service) -> str:
    """The public address of a service; empty for one that has none."""
    return f"http://127.0.0.1:{service.port}" if service.spec.kind in PUBLIC else ""


def resolve(variables: Iterable[EnvVar], state: State) -> dict[str, str]:
    """The values of variables; references are followed now, so that they are right after ports have changed.

    What the Blueprint leaves out, and what leads to something that is not here, has the value that was given for its name.
    """
    given: dict[str, str] = {}
    for kept in ("values_of_file", "values"):
        given |= json.loads(state.setting(kept) or "{}")
    databases = {database.spec.name: database for database in state.databases()}
    services = {service.key: service for service in state.services()}
    found: dict[str, str] = {}
    for variable in variables:
        if variable.key == ANY:
            found = given | found
        elif variable.value is not None:
            found[variable.key] = variable.value
        elif variable.database and variable.database[0] in databases:
            name, wanted = variable.database
            found[variable.key] = databases[name].property(wanted)
        elif variable.service and variable.service[0] in services:
            name, how, wanted = variable.service
            value = _of_service(services[name], how, wanted)
            if value is not None:
                found[variable.key] = value
        elif variable.keyvalue and (there := keyvalue.value(state, *variable.keyvalue)) is not None:
            found[variable.key] = there
        if variable.key not in found and variable.key in given:
            found[variable.key] = given[variable.key]
    return found


def _of_service(service: Service, how: str, wanted: str) -> str | None:
    if how == "envVarKey":
        own = {variable.key: variable.value for variable in service.env}
        return own.get(wanted) or identity(service).get(wanted)
    port = str(service.port or "")
    values = {"host": "127.0.0.1", "port": port, "hostport": f"127.0.0.1:{port}", "slug": service.slug}
    return values.get(wanted, external_url(service))


def identity(service: Service) -> dict[str, str]:
    """What Render tells a process about its service."""
    url = external_url(service)
    return {
        "RENDER": "true",
        "IS_PULL_REQUEST": "false",
        "RENDER_CPU_COUNT": "1",
        "RENDER_DISCOVERY_SERVICE": f"{service.slug}-discovery",
        "RENDER_EXTERNAL_HOSTNAME": "127.0.0.1" if url else "",
        "RENDER_EXTERNAL_URL": url,
        "RENDER_SERVICE_ID": service.id,
        "RENDER_SERVICE_NAME": service.spec.name,
        "RENDER_SERVICE_TYPE": service.spec.kind,
    }


def of_process(
    service: Service, deploy: Deploy, artifact: Path, state: State, *, port: int | None, instance: str
) -> dict[str, str]:
    """All a process sees.

    Args:
        service: Whose process it is.
        deploy: The deploy it belongs to; its snapshot holds the variables.
        artifact: The folder of the artifact.
        state: Where references are looked up.
        port: The port to listen on; None in a build.
        instance: The instance id.
    """
    kept = deploy.snapshot or snapshot(service)
    base = processes.inherited(os.environ)
    path = base.get("PATH", os.defpath)
    if kept.runtime == "python":
        path = f"{path}:{runtimes.beside(Path(sys.executable).parent, state.folder / 'tools')}"
    # As at Render, where the cache is the service's: a build that prunes it must not prune the person's own.
    own = {"UV_CACHE_DIR": str(state.folder / "cache" / "uv")}
    found = own | base | identity(service) | runtimes.variables(kept.runtime, artifact, path, port=port)
    found |= {
        "RENDER_GIT_BRANCH": service.spec.branch,
        "RENDER_GIT_COMMIT": deploy.commit.id,
        "RENDER_GIT_REPO_SLUG": service.spec.repo.rstrip("/").removesuffix(".git").rpartition("/")[2],
        "RENDER_INSTANCE_ID": instance,
        "HOST": loopback.address(),
    }
    if port is None:
        return found | resolve(kept.env, state)
    found |= {"RENDER_WEB_CONCURRENCY": "1", "WEB_CONCURRENCY": "1"}
    return found | resolve(kept.env, state) | {"PORT": str(port)}
