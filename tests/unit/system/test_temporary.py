"""Folders for a moment: removed after it, by whoever comes next where their owner was killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from deploylib.system import files

KEEPS = """
import sys, tempfile, time
from deploylib.system import files
tempfile.tempdir = sys.argv[1]
with files.temporary_folder() as folder:
    (folder / "file").write_text("of a commit")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_after_its_block(base: Path) -> None:
    """Also where the block fails."""

    def fail() -> None:
        with files.temporary_folder() as folder:
            (folder / "file").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert [*base.iterdir()] == []


def test_what_a_killed_command_left_is_removed_by_the_next(base: Path) -> None:
    """Not while it runs, and not another program's, another user's, or what a name only looks like."""
    (base / "deploylib-files-mine").mkdir()  # no lock: somebody else made it, or makes it at this moment
    (base / "elsewhere").mkdir()
    (base / "elsewhere" / "in-use").touch()
    (base / "deploylib-files-link").symlink_to(base / "elsewhere")
    (base / "deploylib-files-file").touch()
    others = sorted(base.iterdir())
    with subprocess.Popen([sys.executable, "-c", KEEPS, str(base)], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        left = Path(command.stdout.readline().strip())
        with files.temporary_folder():
            assert (left / "file").exists(), "its owner lives"
        command.kill()
        command.wait()
    assert (left / "file").exists()

    with files.temporary_folder() as folder:
        assert sorted(base.iterdir()) == sorted([*others, folder])

    assert sorted(base.iterdir()) == others
    assert (base / "elsewhere" / "in-use").exists()
