"""Each safeguard is taken out of a copy of the library, and the test that is about it must fail then: ``nox -s guards``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guards.guards import GUARDS, Guard

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "dist", "build")
FAILED = 1  # pytest's exit code for tests that ran and failed; any other one is no proof

pytestmark = [pytest.mark.load, pytest.mark.timeout(400)]


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, to be changed."""
    folder = tmp_path_factory.mktemp("guards") / "project"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    shutil.copy(ROOT / ".gitignore", folder)
    return folder


def outcome(copy: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Run one test on the copy; the commands that it starts take the library from there as well."""
    options = ["-q", "-x", "-m", "load or not load", "-p", "no:cacheprovider", "-p", "no:randomly"]
    command = [sys.executable, "-m", "pytest", *options, test]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run(command, cwd=copy, env=environment, check=False, capture_output=True, text=True, timeout=360)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.what.replace(" ", "-"))
def test_its_test_fails_without_it(copy: Path, guard: Guard) -> None:
    """And the text to be taken out is there exactly once: a guard that has moved is found here."""
    file = copy / guard.file
    whole = file.read_text()
    assert whole.count(guard.old) == 1, f"{guard.file} has this {whole.count(guard.old)} times: {guard.old!r}"
    file.write_text(whole.replace(guard.old, guard.new))
    try:
        done = outcome(copy, guard.test)
    finally:
        file.write_text(whole)

    assert done.returncode == FAILED, f"{guard.test} passes without it\n{done.stdout[-3000:]}{done.stderr[-2000:]}"
    assert "SyntaxError" not in done.stdout
    assert "NameError" not in done.stdout
