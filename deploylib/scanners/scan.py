"""The gate before a release: what can be seen of a commit without running it, by five examiners side by side.

Whoever cannot look says so: that is not the same as clean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from deploylib.models.findings import Examined, Scanned
from deploylib.models.units import seconds
from deploylib.scanners import blueprint, credentials, dependencies, source_code, variables
from deploylib.settings import ScanSettings, Variable
from deploylib.system.clock import Clock, Deadline
from deploylib.system.process import Runner
from deploylib.system.threads import started

__all__ = ["scan"]


def scan(
    files: Path,
    settings: ScanSettings,
    *,
    declared: tuple[Variable, ...] = (),
    values: Mapping[str, Mapping[str, str]] | None = None,
    blueprint_path: str = "render.yaml",
    local: bool = False,
    runner: Runner,
    clock: Clock,
) -> Scanned:
    """Examine the files of a commit.

    Args:
        files: the tree, as `Git.exported` gives it; nothing is written to it.
        declared: the variables that the services need.
        values: service → variable → value, as the platform has them; a service that is missing could not be asked.
        blueprint_path: where the Blueprint is in the tree.
        local: for a platform that nobody pushes to, so that autodeploy is only worth a note.
    """
    began = clock.monotonic()
    deadline = Deadline.after(seconds(settings.within, "scan.within"), clock)

    def judged(look: Callable[[], Examined]) -> Examined:
        start = clock.monotonic()
        said = look().judged(settings.accepted, clock.now().date())
        return msgspec.structs.replace(said, seconds=clock.monotonic() - start)

    asking = (
        partial(dependencies.examine, files, settings, runner=runner, deadline=deadline, blueprint_path=blueprint_path),
        partial(source_code.examine, files, settings, runner=runner, deadline=deadline),
    )
    reading = (
        partial(credentials.examine, files, settings, deadline=deadline),
        partial(variables.examine, declared, values or {}),
        partial(blueprint.examine, files, blueprint_path, local=local),
    )
    # A thread that ends with the program: an interrupted scan does not wait for a program that it started.
    aside = [started(partial(judged, look)) for look in asking]
    here = [judged(look) for look in reading]
    examined = (*(one.result() for one in aside), *here)
    return Scanned(examined=examined, seconds=clock.monotonic() - began)
