"""A Blueprint of two services, settings for it, and services of an account that fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploylib.models import Kind, Service
from deploylib.render import blueprints
from deploylib.settings import Config, EnvironmentSettings, ServiceSettings, Settings

BLUEPRINT = blueprints.parse(
    "services:\n"
    "  - {type: worker, name: api, runtime: go, startCommand: ./api, rootDir: api}\n"
    "  - {type: web, name: web, runtime: static, staticPublishPath: dist, rootDir: web}\n"
)
REPO = "https://github.com/example/product"


def config(
    root: Path,
    name: str = "staging",
    *,
    services: dict[str, str] | None = None,
    named: dict[str, ServiceSettings] | None = None,
) -> Config:
    """Settings without a file: *services* of the environment, *named* as tables of their own."""
    environment = EnvironmentSettings(services=services or {})
    return Config(root=root, name=name, settings=Settings(services=named or {}), environment=environment, environ={})


def service(name: str = "api", **more: Any) -> Service:
    """A service of the account that fits the Blueprint."""
    kind = Kind.STATIC if name == "web" else Kind.WORKER
    return Service(**{"id": f"srv-{name}", "name": name, "kind": kind, "repo": REPO, **more})
