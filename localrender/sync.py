"""A Blueprint sync: adds and changes, never deletes; applies only what the Blueprint changed since the last one.

So a setting changed through the API stays until the Blueprint itself says something new about it.
"""

from __future__ import annotations

import base64
import re
import secrets
from typing import TYPE_CHECKING

import msgspec

from localrender import processes, values
from localrender.model import EnvVar, Service, ServiceSpec, new_id, now

if TYPE_CHECKING:
    from localrender.blueprint import Entry
    from localrender.state import State


def apply(state: State, entries: list[Entry], *, new_ports: bool = False) -> None:
    """Store what the Blueprint says of the services."""
    known = {service.key: service for service in state.services()}
    taken = {service.port for service in known.values() if service.port}
    for entry in entries:
        service = known.get(entry.spec.name)
        if service is None:
            service = _new(entry)
        else:
            service.spec = _merged(service.spec, service.synced, entry.spec)
            service.env = _merged_env(service.env, service.synced_env, entry.env)
            service.synced, service.synced_env = entry.spec, entry.env
        needs_port = service.spec.kind in ("web", "static", "pserv")
        if needs_port and (service.port is None or new_ports):
            service.port = processes.free_port(processes.PUBLIC_PORTS, taken)
            taken.add(service.port)
        state.save_service(service)


def unset(state: State) -> list[str]:
    """The variables that have no value here, as `service: KEY`."""
    return [f"{service.key}: {key}" for service in state.services() for key in values.missing(service.env, state)]


def _new(entry: Entry) -> Service:
    spec, moment = entry.spec, now()
    slug = re.sub(r"[^a-z0-9-]+", "-", spec.name.lower())
    return Service(
        id=new_id("crn" if spec.kind == "cron" else "srv"),
        key=spec.name,
        slug=f"{slug}-{secrets.token_hex(2)}",
        spec=spec,
        synced=spec,
        env=[_valued(variable) for variable in entry.env],
        synced_env=entry.env,
        created_at=moment,
        updated_at=moment,
    )


def _valued(variable: EnvVar) -> EnvVar:
    if not variable.generate:
        return variable
    return EnvVar(key=variable.key, value=base64.b64encode(secrets.token_bytes(32)).decode())


def _merged(present: ServiceSpec, before: ServiceSpec, after: ServiceSpec) -> ServiceSpec:
    was, is_now = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return msgspec.structs.replace(present, **{key: value for key, value in is_now.items() if was[key] != value})


def _merged_env(present: list[EnvVar], before: list[EnvVar], after: list[EnvVar]) -> list[EnvVar]:
    was, found = ({variable.key: variable for variable in before}, {variable.key: variable for variable in present})
    for variable in after:
        if was.get(variable.key) == variable:
            continue
        asked = variable.generate or variable.unset
        if not (asked and variable.key in found):
            found[variable.key] = _valued(variable)
    return list(found.values())
