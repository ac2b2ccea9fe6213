"""What starting costs, against the release before the rooms: part of ``nox -s bench``; its name is ``starting``.

Both are checked out side by side and started in turn, so that what else the machine does falls on both. It tells ratios.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEFORE = "5b417d8"  # the last commit before the library stood in rooms
TURNS = 15
STARTS = {"import deploylib": ["-c", "import deploylib"], "inv --list": ["-m", "invoke", "--list"]}


def seconds(folder: Path, arguments: list[str]) -> float:
    """How long one start takes in a checkout, whose library is the one that is found."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env | {"PYTHONPATH": str(folder)}, check=True, capture_output=True
    )
    return time.perf_counter() - began


def main() -> None:
    """Measure both, and tell the ratio of the medians."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        before = Path(temporary) / "before"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", before, BEFORE], cwd=ROOT, check=True)
        try:
            for name, arguments in STARTS.items():
                taken: dict[Path, list[float]] = {before: [], ROOT: []}
                for _ in range(TURNS):
                    for folder, measured in taken.items():
                        measured.append(seconds(folder, arguments))
                old, new = (statistics.median(measured[1:]) for measured in taken.values())
                print(f"  {name:<30} {new:.3f} s, before {old:.3f} s, ratio {new / old:.3f}", flush=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", before], cwd=ROOT, check=True)
