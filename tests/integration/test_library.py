"""The library from a script: every command is one call, and nothing is printed but what the script prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import deploylib
from tests.support.documents import examples
from tests.support.edges import Completed, environment
from tests.support.product import ROOT, Product

HANDLE_AND_VERBS = sorted(set(deploylib.__all__) - {"Environment", "signal", "stage"})


def run(product: Product, script: str) -> Completed:
    """Run a script in a product."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=product.folder, env=environment(), check=False, capture_output=True, text=True, timeout=170
    )
    return Completed(done.returncode, done.stdout, done.stderr)


@pytest.mark.load
def test_the_examples_of_every_verb_run(deployed: Product) -> None:
    """One after the other in one script, each verb at least once; nothing but what they print is printed."""
    script = "\n".join(examples(ROOT / "docs" / "library.md", "Environment and verbs"))
    assert [verb for verb in HANDLE_AND_VERBS if f"deploylib.{verb}(" not in script] == []
    deployed.replace("pyproject.toml", 'tests = "nox -s sample"', f'tests = "{sys.executable} -c 0"')
    deployed.change_frontend()

    done = run(deployed, script)

    assert done.code == 0, done.said
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == "planned succeeded 0"
    assert lines[2].startswith(f"frontend {deployed.head[:7]} http")
    assert ["planned", "paused", "done", "done", "nothing to do", "succeeded", "nothing to do"] == [
        line.partition(" [")[0] for line in lines[3:10]
    ], lines
    assert lines[11] == "planned"
    assert re.search(r"^2 environment 'staging': .* → ", lines[12])
    assert re.search(r"^31 .*moving the database until noon", done.out, re.MULTILINE)
    assert re.search(r"^restored \d+ \w+", lines[-1])


def test_the_script_of_the_readme_deploys(deployed: Product) -> None:
    """Three lines."""
    shown = re.search(r"```python\n(.*?)```", Path(ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    assert len([line for line in shown[1].splitlines() if line]) == 3
    deployed.change_frontend()

    done = run(deployed, shown[1])

    assert (done.code, done.out, done.err) == (0, "succeeded 0\n", "")
    assert deployed.served()["frontend"] == deployed.head
