"""What our own part of a release costs in time and in requests: ``nox -s bench``.

The critical path is the slowest service's own deploy, by the platform's own clock; all else is orchestration. The table
tells ratios, not verdicts: it ends with an error only when a release has failed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.bench import dump, starting
from tests.support import fifty
from tests.support.product import Product


class Measured(msgspec.Struct, frozen=True):
    """One release.

    Attributes:
        wall: seconds of the whole command.
        slowest: seconds of the slowest service's own deploy.
        services: how many were deployed.
        stages: seconds of each stage, by name.
        requests: how many, by stage and method.
        refused: answers of 429.
    """

    name: str
    wall: float
    slowest: float
    services: int
    stages: dict[str, float]
    requests: Counter[tuple[str, str]]
    refused: int

    def lines(self) -> list[str]:
        """The measurement as a table."""
        limit = 1.2 * self.slowest + 2
        calls = sum(self.requests.values())
        rows = [
            ("services", f"{self.services}"),
            ("inv deploy", f"{self.wall:.2f} s"),
            ("slowest service's own deploy", f"{self.slowest:.2f} s"),
            ("ratio", f"{self.wall / self.slowest:.3f}"),
            ("of 1.2 * slowest + 2 s", f"{self.wall / limit:.3f} ({limit:.2f} s)"),
            ("outside of stages", f"{self.wall - sum(self.stages.values()):.2f} s"),
            *((f"stage {name}", f"{seconds:.2f} s") for name, seconds in self.stages.items() if seconds >= 0.005),
            ("requests for each service", f"{calls / self.services:.2f} ({calls})"),
            *((f"{method} in {stage}", f"{count}") for (stage, method), count in self.requests.items()),
            ("answers 429", f"{self.refused}"),
        ]
        return [f"== {self.name}", *(f"  {name:<30} {text}" for name, text in rows)]


def release(product: Product, name: str) -> Measured:
    """Measure one ``inv deploy`` of what is committed.

    Raises:
        SystemExit: it failed.
    """
    before = len(product.requests())
    began = time.monotonic()
    done = product.inv("deploy", "--json", timeout=600)
    wall = time.monotonic() - began
    if done.code:
        raise SystemExit(f"{name}: the release failed\n{done.said}")
    requests = product.requests()[before:]
    counted = fifty.calls(product, before)  # ours of after the release are in the log, too
    report: dict[str, Any] = done.json
    newest = fifty.newest(product)
    return Measured(
        name=name,
        wall=wall,
        slowest=max(fifty.own_seconds(newest[service]) for service in report["deploying"]),
        services=len(report["deploying"]),
        stages={one["stage"]: one.get("seconds", 0.0) for one in report["stages"]},
        requests=counted,
        refused=sum(one["status"] == 429 for one in requests),
    )


def sample(folder: Path) -> list[Measured]:
    """The sample product: a backend, a frontend and a database."""
    with Product(folder) as product:
        found = [release(product, "sample, first release")]
        for number in (2, 3):
            product.change_backend(f"Backend {number}")
            product.change_frontend(f"Frontend {number}")
            found.append(release(product, f"sample, release {number}"))
        return found


def fifty_services(folder: Path) -> list[Measured]:
    """Fifty services, with the platform's limits enforced; all of a release falls into one window, the worst that can be."""
    with fifty.product(folder) as product:
        fifty.until_next_window()
        found = [release(product, "fifty services, first release")]
        fifty.change(product, "again")
        fifty.until_next_window()
        found.append(release(product, "fifty services, release 2"))
        return found


CASES: dict[str, Callable[[Path], list[Measured]]] = {"sample": sample, "fifty": fifty_services}


BACKUP, STARTING = "backup", "starting"


def main(names: list[str]) -> None:
    """Measure the named cases, or all."""
    for name in names or [STARTING, *CASES, BACKUP]:
        if name == BACKUP:
            print("== a backup of 1.5 GB or more", flush=True)
            dump.main()
            continue
        if name == STARTING:
            print(f"== starting, against {starting.BEFORE}", flush=True)
            starting.main()
            continue
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for one in CASES[name](Path(folder) / "product"):
                print("\n".join(one.lines()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
