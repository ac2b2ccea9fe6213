"""Where a Blueprint is tried."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a Blueprint is, in a clone of ``example/product``."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    remote = ["remote", "add", "origin", "git@github.com:Example/product.git"]
    subprocess.run(["git", "-C", str(tmp_path), *remote], check=True)
    return tmp_path / "render.yaml"
