"""Virtual environments that are copied and moved: their programs start where they are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from localrender import runtimes

if TYPE_CHECKING:
    from pathlib import Path

DIRECT = "#!{venv}/bin/python3\n"
BY_SHELL = "#!/bin/sh\n'''exec' \"{venv}/bin/python3\" \"$0\" \"$@\"\n' '''\n"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with an artifact, whose environment has two programs."""
    artifact = tmp_path / "shop" / "artifacts" / "srv-1" / "bld-1"
    venv = artifact / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    for name, first in (("direct", DIRECT), ("by-shell", BY_SHELL)):
        (venv / "bin" / name).write_text(first.format(venv=venv) + "import sys\nprint(sys.prefix)\n")
        (venv / "bin" / name).chmod(0o755)
    source = next(venv.glob("lib/python*/site-packages")) / "__editable__.shop.pth"
    source.write_text(f"{artifact}/src\n")
    return tmp_path / "shop"


def check(artifact: Path) -> None:
    """Its programs start, with its interpreter, and what was installed in place is read from there."""
    venv = artifact / "venv"
    for name in ("direct", "by-shell"):
        done = subprocess.run([venv / "bin" / name], check=True, capture_output=True, text=True, timeout=60)
        assert done.stdout == f"{venv}\n"
    assert next(venv.glob("lib/python*/site-packages/*.pth")).read_text() == f"{artifact}/src\n"


@pytest.mark.parametrize("name", ["shop2", "my shop", "s" * 150, "süß"])
def test_programs_of_an_artifact_run_where_it_was_moved(state: Path, name: str) -> None:
    """Whatever the folder is called, also back again."""
    for place in (state.with_name(name), state):
        state = state.rename(place)
        runtimes.settle(state / "artifacts")
        check(state / "artifacts" / "srv-1" / "bld-1")


@pytest.mark.parametrize("name", ["bld-2", "my build"])
def test_a_copy_is_of_the_place_where_it_is_although_the_first_was_moved(state: Path, name: str) -> None:
    """And the first one, whose libraries it shares, stays as it is."""
    state = state.rename(state.with_name("elsewhere"))
    first, second = (state / "artifacts" / "srv-1" / one for one in ("bld-1", name))
    second.mkdir()

    runtimes.copy_environment(first, second)

    check(second)
    assert str(state) not in (first / "venv" / "bin" / "direct").read_text()


def test_what_is_no_environment_of_ours_stays_as_it_is(state: Path) -> None:
    """A build may have made another one in its place, or taken it away."""
    venv = state / "artifacts" / "srv-1" / "bld-1" / "venv"
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.9\n")
    before = (venv / "bin" / "direct").read_text()
    runtimes.settle(state / "artifacts")
    (venv / "pyvenv.cfg").unlink()
    runtimes.settle(state / "artifacts")
    assert (venv / "bin" / "direct").read_text() == before
