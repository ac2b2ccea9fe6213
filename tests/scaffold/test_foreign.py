"""Ten repositories of others: initialised, and released here as far as this machine has the tools; the session `adopt`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import foreign
from tests.support.edges import environment
from tests.support.product import Product

SCRIPT = (sys.executable, "-c", "from deploylib.cli.script import main; main()")
SERVICES = {
    "express": {"shop"},
    "pnpm": {"api"},
    "static": {"shop"},
    "fastapi": {"shop"},
    "django": {"shop"},
    "flask": {"shop"},
    "monorepo": {"api", "web", "docs-site", "worker"},
    "prisma": {"shop"},
    "cron": {"nightly"},
    "procfile": {"shop", "site"},
}
NEEDS = {"express": "npm", "pnpm": "pnpm", "fastapi": "uv", "flask": "poetry", "prisma": "npm"}
IGNORED = "node_modules\n.venv\n__pycache__\n"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Product]]:
    """Makes a repository as its team has it, with the lock that the team's own tool has made."""
    with ExitStack() as ends:

        def made(name: str) -> Product:
            product = Product(tmp_path / "shop", ())
            ends.callback(product.clean)
            product.commit("One", {**foreign.ALL[name], ".gitignore": IGNORED})
            for command in foreign.LOCKS.get(name, ()) if shutil.which(NEEDS.get(name, "git")) else ():
                subprocess.run(command, cwd=product.folder, env=environment(), check=True, capture_output=True)
            return product

        yield made


def init(product: Product) -> str:
    """``deploylib init --yes``."""
    done = subprocess.run(
        [*SCRIPT, "init", "--yes"], cwd=product.folder, env=environment(), check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """What git would commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    names = [name.decode() for name in listed.stdout.split(b"\0") if name]
    return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}


@pytest.mark.load  # packages are downloaded and built: minutes
@pytest.mark.parametrize("name", foreign.ALL)
def test_a_repository_of_others_is_released_as_far_as_this_machine_can(
    name: str, make: Callable[[str], Product]
) -> None:
    """With what init has written and nothing else; a tool that is not here is named, with what to install."""
    product = make(name)
    init(product)
    before = contents(product.folder)
    assert "as it is proposed" in init(product)
    assert contents(product.folder) == before
    commit = product.commit("Release with deploylib")

    activated = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = product.new("deploy", "--json", timeout=580, PATH=activated)

    needs = NEEDS.get(name, "")
    if needs and not shutil.which(needs):
        assert done.code == 2, done.said
        assert f"it needs {needs}, which is not on PATH" in done.said
        assert f"install {needs}" in done.said
    elif name == "prisma" and done.code == 6:  # its engine comes from another place than its packages
        assert "binaries.prisma.sh" in done.said, done.said
    else:
        assert done.code == 0, done.said
        report = json.loads(done.out)
        assert {one["service"] for one in report["live"]} == SERVICES[name]
        assert {one["commit"] for one in report["live"]} == {commit}


@pytest.mark.load
def test_what_this_machine_lacks_is_left_out_and_the_rest_is_released(make: Callable[[str], Product]) -> None:
    """Of a repository with several services; by name, with what to install."""
    product = make("procfile")
    product.write("jobs/pyproject.toml", "[tool.poetry]\nname = 'jobs'\n")
    product.write("jobs/poetry.lock", "# by poetry\n")
    product.write("jobs/worker.py", foreign.WORKER)
    init(product)
    product.replace("render.yaml", "poetry install", "pdm install")
    product.commit("Release with deploylib")

    report = json.loads(product.ok("deploy", "--json").out)

    assert {one["service"] for one in report["live"]} == {"shop", "site"}
    assert "left out here: jobs" in json.dumps(report) or "jobs" in json.dumps(report["stages"][0]["lines"])
