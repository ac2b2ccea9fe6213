"""The course is typed from its first block to its last, as a team does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runbook.lessons import LESSONS, TRAINING
from tests.support.edges import environment
from tests.support.pages import typed_blocks, typed_commands
from tests.support.product import Product

NAMED = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "t"), ("EMAIL", "t@localhost"))
}


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Product]:
    """The guest book, with nothing running."""
    made = Product(tmp_path / "product")
    yield made
    made.clean()


@pytest.mark.load
def test_the_course_can_be_followed(clone: Product) -> None:
    """Each command ends as the page says, and after each block what it is about is so."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(**NAMED, PATH=path)
    for block in typed_blocks(TRAINING):
        if block.excused:
            continue
        print(block.situation)  # the last one that is shown has failed
        for text, right in typed_commands(block.lines):
            done = subprocess.run(
                ["bash", "-c", text],
                cwd=clone.folder,
                env=env,
                check=False,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == right, f"{block.situation}: {text}\n{done.stdout}\n{done.stderr}"
        LESSONS[block.situation](clone)
