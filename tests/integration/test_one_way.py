"""A deploy goes down the rooms, and up again only as values: watched call by call."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.edges import environment
from tests.support.product import ROOT, Product

# Calls from a lower room into a higher one, by what it is that a caller has passed in: caller -> what is called.
CALLBACKS = {
    "view and record, which are told of it while it happens": (
        r".* -> (cli/progress\.py:|release/prove\.py:prove_services\.<locals>\.said$|release/run\.py:Run\.record$)"
    ),
    "work that is done several times at once": r"system/threads\.py:(each|start)",
    "which run of the history is looked for": r"state/history\.py:\w+\.(find_)?newest",
    "bytes that are made while they are written": r"(store|system/process)\b.* -> backups/\w+\.py:_",
    "the rehearsal, while the copy of the database is there": r"backups/restore_test\.py:.* -> release/stages/backup\.py:",
}


@pytest.mark.parametrize("arguments", [("deploy",)], ids=" ".join)
def test_no_lower_room_calls_a_higher_one(deployed: Product, arguments: tuple[str, ...], tmp_path: Path) -> None:
    """But for a handful of callbacks that a caller has passed in."""
    deployed.change_backend()
    deployed.change_frontend()
    command = [sys.executable, str(ROOT / "tests/support/watched.py"), str(tmp_path / "calls"), *arguments]

    done = subprocess.run(
        command, cwd=deployed.folder, env=environment(), check=False, capture_output=True, text=True, timeout=170
    )

    assert done.returncode == 0, done.stderr
    watched = json.loads((tmp_path / "calls").read_text())
    assert watched["calls"] > 10_000
    assert len(CALLBACKS) <= 5
    upward = [f"{caller} -> {callee}" for caller, callee, _ in watched["upward"]]
    odd = [each for each in upward if not any(re.match(known, each) for known in CALLBACKS.values())]
    assert not odd, "\n".join(odd)
    used = {what for what, known in CALLBACKS.items() if any(re.match(known, each) for each in upward)}
    assert used == set(CALLBACKS), "not called any more"
