"""The page about `deploylib init` is typed in a repository, and says what is written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support import adopters
from tests.support.edges import environment
from tests.support.recipes import block

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/adopt.md").read_text()
SCRIPT = '#!/bin/sh\nexec {python} -c "from deploylib.cli.script import main; main()" "$@"\n'


def test_its_lines_run_and_its_table_is_what_they_write(tmp_path: Path) -> None:
    """In a repository that has never heard of deploylib."""
    folder = adopters.make_repository(tmp_path / "shop", adopters.EXPRESS)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "deploylib").write_text(SCRIPT.format(python=sys.executable))
    (tools / "deploylib").chmod(0o755)
    (tools / "inv").write_text(f'#!/bin/sh\nexec {sys.executable} -m invoke "$@"\n')
    (tools / "inv").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    lines = block("docs/adopt.md", "adopt")
    seen = environment(PATH=path)
    done = subprocess.run(["sh", "-ec", lines], cwd=folder, env=seen, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "nothing was written: deploylib init --yes" in done.stdout
    assert re.search(r"^  deploy +Release a commit", done.stdout, re.MULTILINE)
    table = PAGE.partition("## What it writes")[2].partition("| flag |")[0]
    named = {
        name for row in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }
    named -= {"[tool.deploylib]", "pyproject.toml"}  # where there is one
    assert {name for name in named if not (folder / name).is_file()} == set()
    listed = subprocess.run(["git", "ls-files", "--others"], cwd=folder, capture_output=True, text=True, check=True)
    written = {name for name in listed.stdout.splitlines() if "__pycache__" not in name} - adopters.EXPRESS.keys()
    assert written == named


def test_every_flag_is_in_its_table() -> None:
    """Beside those that everybody types, and that its text tells."""
    from deploylib.cli.script import FLAGS

    assert [name for name in FLAGS if name not in {"yes", "debug"} and f"| `--{name}` |" not in PAGE] == []
    assert "--yes" in PAGE
