"""Every failure mode that is documented has a test, and every safeguard that is proven is one of them."""

from __future__ import annotations

import re
from pathlib import Path

from deploylib import errors
from tests.guards.guards import GUARDS

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(
    r"^\| (?!failure |---)(.+?) \| (.+?) \| `(.+?)::(.+?)` \|$",
    (ROOT / "docs/failure-modes.md").read_text(),
    re.MULTILINE,
)
CODES = re.compile(r"(?:\.code|returncode|exit_code) == (\d+)|\(\"[\w-]+\", (\d+)")


def test_every_row_names_a_test_that_is_there() -> None:
    """By file and function."""
    files = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}

    assert len(ROWS) >= 26
    assert [row for row in ROWS if f"def {row[3]}(" not in files.get(row[2], "")] == []


def test_every_guard_is_about_a_test_that_is_there() -> None:
    """In the file that it names, and but for those of the library's inside in the table."""
    named = {f"{file}::{test}" for _, _, file, test in ROWS}

    for guard in GUARDS:
        file, _, test = guard.test.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(), guard
        assert file.startswith("tests/unit/") or f"{Path(file).name}::{test}" in named, guard


def test_every_guard_takes_out_what_is_there() -> None:
    """Once in its file: where the code has moved on, a guard takes out nothing, and proves nothing."""
    texts = {guard.file: (ROOT / guard.file).read_text() for guard in GUARDS}

    assert [guard.what for guard in GUARDS if texts[guard.file].count(guard.old) != 1] == []


def test_every_row_has_a_guard() -> None:
    """Whatever is promised there, something in the library keeps it, and is taken out to see that."""
    guarded = {guard.test.rpartition("::")[2] for guard in GUARDS}

    assert [row[0] for row in ROWS if row[3] not in guarded] == []


def test_every_exit_code_is_observed_from_a_child_process() -> None:
    """Some test runs the real command and sees it end with that code."""
    folders = [ROOT / "tests" / name for name in ("failures", "integration", "scan")]
    text = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    seen = {int(code) for found in CODES.findall(text) for code in found if code}
    known = {one.exit_code for name in errors.__all__ if hasattr(one := getattr(errors, name), "exit_code")}

    assert known - seen == set()
