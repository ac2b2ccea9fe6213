"""The boundaries of a command: every place at which a crash leaves something else behind.

They are enumerated from a run that was watched: after each write to the history; before it, where the platform was
asked something since the last one; and when the platform has accepted a deploy.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.support.edges import Completed, environment
from tests.support.product import Product

DYING = Path(__file__).with_name("dying.py")
WITHIN = 600.0


class Boundary(msgspec.Struct, frozen=True):
    """A place in a command: *when* in relation to the *number*-th thing of its kind; *what* that was when watched."""

    when: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.when} {self.number} ({self.what})"


class Did(msgspec.Struct, frozen=True):
    """A line of what a command told while it was watched."""

    did: str
    what: str


def watched(product: Product, *words: str) -> tuple[Completed, list[Boundary]]:
    """Run a command to its end, and give its boundaries in the order in which they come."""
    done, told = _child(product, "never", 0, *words)
    found: list[Boundary] = []
    writes = orders = 0
    asked = False
    for one in told:
        if one.did == "asked":
            asked = True
        elif one.did == "ordered":
            orders += 1
            found.append(Boundary("accepted", orders, one.what))
        elif one.did == "wrote":
            writes += 1
            found += [Boundary("before", writes, one.what)] if asked else []
            found.append(Boundary("after", writes, one.what))
            asked = False
    return done, found


def died(product: Product, boundary: Boundary, *words: str) -> str:
    """Have a command die at a boundary, and say what it had done last.

    Raises:
        AssertionError: it ended in another way.
    """
    done, told = _child(product, boundary.when, boundary.number, *words)
    assert done.code == -signal.SIGKILL, f"it did not get to {boundary}: {done.said}"
    return next((one.what for one in reversed(told) if one.did in {"wrote", "ordered"}), "nothing")


def _child(product: Product, when: str, number: int, *words: str) -> tuple[Completed, list[Did]]:
    log = product.folder.parent / f"{product.folder.name}.did"
    log.unlink(missing_ok=True)
    command = [sys.executable, str(DYING), str(log), when, str(number), "--", *words]
    done = subprocess.run(
        command, cwd=product.folder, env=environment(), check=False, capture_output=True, text=True, timeout=WITHIN
    )
    lines = log.read_text().splitlines() if log.exists() else []
    told = [msgspec.convert(json.loads(line), Did) for line in lines]
    return Completed(done.returncode, done.stdout, done.stderr), told
