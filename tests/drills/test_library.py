"""A drill from a script: one that a program does, which is quick enough to be done with every test run."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.support.documents import examples
from tests.support.edges import environment, processes_of
from tests.support.product import ROOT
from tests.support.repository import Repository


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    """It is passed by the right commands; nothing runs afterwards, lies about, or stands in the history."""
    repository, temporary = Repository(tmp_path / "product"), tmp_path / "t"
    for folder in (repository.root, temporary):
        folder.mkdir()
    repository.run("init", "--quiet", "--initial-branch=main")
    repository.run("-c", "user.name=Ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "--allow-empty", "-mx")
    (script,) = examples(ROOT / "docs" / "library.md", "Drills")

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=repository.root,
        env=environment(TMPDIR=str(temporary)),
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    names, result = done.stdout.splitlines()
    assert ast.literal_eval(names)[-1] == "there-and-back"
    assert result.startswith("True ('inv deploy', 'inv status', ")
    assert processes_of(tmp_path) == []
    assert [path.name for path in temporary.iterdir()] == []
    assert repository.run("status", "--porcelain", "--ignored") == ""
