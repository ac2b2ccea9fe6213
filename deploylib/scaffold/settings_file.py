"""The settings: environments, and the command that tests the product."""

from __future__ import annotations

import json
import re
import shlex

from deploylib.scaffold.blueprint_file import SUFFIX
from deploylib.scaffold.pending_file import PENDING
from deploylib.scaffold.repository import Member, Proposal, Purpose, Repository, Tree, path_in

__all__ = ["SettingsFile"]

# Longer than the default, while nobody knows yet how a release of this product looks.
FIRST_WEEKS = (
    'bake = "60s" # a release is watched so long once it has proven itself; after the first weeks: 15s, the default'
)
BARE = re.compile(r"[A-Za-z0-9_-]+")


class SettingsFile(Member):
    """Proposes the settings where the library reads them."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:  # noqa: ARG002
        """Propose a file, or tables at the end of ``pyproject.toml``."""
        inside = product.settings_file == "pyproject.toml"
        prefix = "tool.deploylib." if inside else ""
        lines = ["[tool.deploylib]"] if inside else []
        if product.tests:
            lines.append(f"tests = {_text(product.tests)}")
        if product.prisma is not None:
            lines += [*([""] if lines else []), f"[{prefix}migrations]", *_prisma(product.prisma)]
        for name in reversed(product.environments):
            lines += [*([""] if lines else []), f"[{prefix}environments.{name}]"]
            lines += [FIRST_WEEKS] if name == "production" else []
            lines += _staging(product) if name == "staging" and not product.has_staging else []
        purpose = Purpose.SETTINGS if inside else Purpose.FILE
        return (Proposal(product.settings_file, "\n".join(lines) + "\n", purpose),)


def _prisma(folder: str) -> list[str]:
    """Name its command, what is pending, and its files."""
    place = path_in(folder, "prisma/migrations")
    inside = f"cd {shlex.quote(folder)} && " if folder else ""
    command = f"sh -c {shlex.quote(f'{inside}npm ci --silent >&2 && npx prisma migrate deploy')}"
    pending = f"python {PENDING} _prisma_migrations migration_name {shlex.quote(place)} 'finished_at is not null'"
    return [
        f"command = {_text(command)}",
        f"pending = {_text(pending)}",
        f"files = {_text(f'{place}/*/migration.sql')}",
    ]


def _staging(product: Repository) -> list[str]:
    """Name what staging calls otherwise."""
    services = [f"{_key(one.name)} = {_text(one.name + SUFFIX)}" for one in product.blueprint.deployable]
    databases = [one.name + SUFFIX for one in product.blueprint.databases]
    lines = [f"services = {{ {', '.join(services)} }}"]
    return [*lines, f"database = {_text(databases[0])}"] if len(databases) == 1 else lines


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    """Write a string of TOML: JSON's escapes are among its own."""
    return json.dumps(value, ensure_ascii=False)
