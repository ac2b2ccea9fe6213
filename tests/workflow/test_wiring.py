"""Which job of the parallel workflow begins after what: the real file, with a program that only says that it was called.

What the commands themselves do is seen in the stories; here each condition costs seconds.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.product import ROOT
from tests.workflow.actions import Actions

FILE = ".github/workflows/deploy-parallel.yml"
SETUP = """
name: setup
description: puts a program into the place of the tools
inputs:
  tools: {description: which, default: deploy}
  keep: {description: whether, default: "false"}
runs:
  using: composite
  steps:
    - shell: bash
      run: mkdir -p .venv/bin && cp inv.sh .venv/bin/inv && chmod +x .venv/bin/inv
"""
INV = """#!/bin/bash
echo "$*" >> "$OUT/called"
[ "$1" != changes ] || echo "services=$(cat "$OUT/services")" >> "$GITHUB_OUTPUT"
for word in "$@"; do [ "$word" != "$(cat "$OUT/fails")" ] || exit 10; done
"""
BOTH = '["backend", "front door"]'


@pytest.mark.parametrize(
    ("services", "fails", "results", "proven"),
    [
        (BOTH, "", {"deploy (backend)": "success", "deploy (front door)": "success"}, True),
        ("[]", "", {"prepare": "success", "deploy": "skipped"}, True),
        (BOTH, "backend", {"deploy (backend)": "failure", "deploy (front door)": "success"}, False),
        (BOTH, "tests", {"tests": "failure", "prepare": "skipped", "deploy": "skipped"}, False),
        (BOTH, "migrate", {"prepare": "failure", "deploy": "skipped"}, False),
    ],
    ids=["both", "nothing", "one fails", "a gate fails", "the migration fails"],
)
def test_the_last_job_always_ends_the_run(
    services: str, fails: str, results: dict[str, str], *, proven: bool, tmp_path: Path
) -> None:
    """Whatever became of the others; it proves what they did only where all of them came to their end."""
    repository = tmp_path / "repository"
    files = {FILE: (ROOT / FILE).read_text(), ".github/actions/setup/action.yml": SETUP, "inv.sh": INV}
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    (tmp_path / "services").write_text(services)
    (tmp_path / "fails").write_text(fails)
    words = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    for command in (("init", "--quiet", "--initial-branch=main"), ("add", "."), ("commit", "--quiet", "--message=x")):
        subprocess.run(["git", *words, *command], cwd=repository, check=True)

    with Actions(repository, tmp_path, {}, {}, {"OUT": str(tmp_path)}) as actions:
        ended = actions.push(workflow=Path(FILE).name, run_id=7).wait(120)

    assert {**results, "finish": "success"}.items() <= ended.results.items()
    called = (tmp_path / "called").read_text().splitlines()
    assert called[-1] == "finish --environment production"
    assert ("verify --environment production" in called) is proven
