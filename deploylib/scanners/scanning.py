"""All scanners side by side on the files of one commit.

A scanner that cannot look says so: that is not the same as clean.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from deploylib.models.findings import Examined, Scanned
from deploylib.models.units import seconds
from deploylib.scanners.blueprint import scan_blueprint
from deploylib.scanners.credentials import scan_credentials
from deploylib.scanners.dependencies import scan_dependencies
from deploylib.scanners.product import Product, Scanner, Services
from deploylib.scanners.source_code import scan_source_code
from deploylib.scanners.variables import scan_variables
from deploylib.settings import ScanSettings
from deploylib.system import Clock, Deadline, process, threads

__all__ = ["SCANNERS", "scan"]

SCANNERS: tuple[Scanner, ...] = (scan_dependencies, scan_source_code, scan_credentials, scan_variables, scan_blueprint)


def scan(
    folder: Path | str,
    settings: ScanSettings | None = None,
    services: Services | None = None,
    *,
    scanners: Sequence[Scanner] = SCANNERS,
    runner: process.Runner = process.SYSTEM,
    clock: Clock = Clock(),
) -> Scanned:
    """Scan the files of a product; nothing is written to them.

    Args:
        folder: the tree, as `Git.exported` gives it.
        settings: how strict each scanner is, and what is accepted; by default nothing is.
        services: what is known of the product's services; by default nothing is.
        scanners: those to ask; by default all.
    """
    settings, began = settings or ScanSettings(), clock.monotonic()
    deadline = Deadline.after(seconds(settings.within, "scan.within"), clock)
    product = Product(Path(folder), settings, services or Services(), runner=runner, deadline=deadline)

    def judged(scanner: Scanner) -> Examined:
        start = clock.monotonic()
        examined = scanner(product).judge(settings.accepted, clock.now().date())
        return msgspec.structs.replace(examined, seconds=clock.monotonic() - start)

    # A thread that ends with the program: an interrupted scan does not wait for a program that it started.
    running = [threads.start(partial(judged, scanner)) for scanner in scanners]
    return Scanned(examined=tuple(each.result() for each in running), seconds=clock.monotonic() - began)
