"""This repository's own files, which another one gets as they are here.

The wheel holds them as ``templates/`` beside this module (`pyproject.toml`, force-include); in a working copy they are
read where they are used, so that nothing can drift.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

__all__ = ["TEMPLATES", "read_template"]

HERE = Path(__file__).parent
TEMPLATES = {
    ".github/workflows/deploy.yml": "deploy.yml",
    ".github/workflows/deploy-parallel.yml": "deploy-parallel.yml",
    ".github/workflows/deploy-staging-first.yml": "deploy-staging-first.yml",
    ".github/workflows/drill.yml": "drill.yml",
    ".github/workflows/preview.yml": "preview.yml",
    ".github/actions/setup/action.yml": "action.yml",
    "docs/runbook.md": "runbook.md",
}


def read_template(path: str) -> str:
    """Read one of our own files, by its path in our repository."""
    packaged = HERE / "templates" / TEMPLATES[path]
    return (packaged if packaged.is_file() else HERE.parents[1] / PurePosixPath(path)).read_text(encoding="utf-8")
