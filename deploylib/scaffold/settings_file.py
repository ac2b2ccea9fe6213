"""The settings: environments, and the command that tests the product."""

from __future__ import annotations

import json
import re

from deploylib.scaffold.blueprint_file import SUFFIX
from deploylib.scaffold.repository import Member, Proposal, Purpose, Repository, Tree

__all__ = ["SettingsFile"]

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
        for name in reversed(product.environments):
            lines += [*([""] if lines else []), f"[{prefix}environments.{name}]"]
            lines += _staging(product) if name == "staging" and not product.has_staging else []
        purpose = Purpose.SETTINGS if inside else Purpose.FILE
        return (Proposal(product.settings_file, "\n".join(lines) + "\n", purpose),)


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
