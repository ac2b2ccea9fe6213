"""The interface of all scanners: what each is given, and gives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from deploylib.models.findings import Examined
from deploylib.settings import ScanSettings, Variable
from deploylib.system import Clock, Deadline, process

__all__ = ["Product", "Scanner", "Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """The services of a product, as far as they are known.

    Attributes:
        declared: the variables that they need.
        values: service → variable → value, as the platform has them; a service that is missing could not be asked.
        blueprint: where the Blueprint is in the tree; its commands may bring packages.
        local: they run on a platform that nobody pushes to, so that autodeploy is only worth a note.
    """

    declared: tuple[Variable, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    blueprint: str = "render.yaml"
    local: bool = False


@dataclass(frozen=True, slots=True)
class Product:
    """The product that is scanned, and what scanners look with.

    Attributes:
        files: the tree; nothing is written to it.
        deadline: when each scanner must have ended; what is not reached is a gap.
        python: the interpreter that has bandit and pip-audit.
    """

    files: Path
    settings: ScanSettings = field(default_factory=ScanSettings)
    services: Services = field(default_factory=Services)
    runner: process.Runner = process.SYSTEM
    deadline: Deadline = field(default_factory=lambda: Deadline.after(180, Clock()))
    python: str = sys.executable

    def program(self, module: str) -> tuple[str, ...]:
        """Start a tool of Python's.

        Not from the folder where we are, in which a commit could have its own of that name, or of one that it imports.
        """
        return self.python, "-P", "-m", module


Scanner: TypeAlias = Callable[[Product], Examined]
"""Looks at a product for one kind of weakness, and says what it found and what it could not see."""
