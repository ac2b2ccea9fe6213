"""Every outcome has one exit code and a next step."""

from __future__ import annotations

import re

import pytest

from deploylib import errors
from deploylib.errors import DeployError, Superseded

CLASSES = [getattr(errors, name) for name in errors.__all__]
LEAVES = [one for one in CLASSES if not one.__subclasses__() or "exit_code" in vars(one)]


def test_exit_codes_are_distinct() -> None:
    """One exit code per outcome; 1 is a bug of ours, and nothing but "superseded" is told by an error and is none."""
    codes = [one.exit_code for one in CLASSES if "exit_code" in vars(one)]
    outcomes = [one.outcome for one in CLASSES if "outcome" in vars(one)]

    assert sorted(set(codes)) == sorted(codes)
    assert sorted(set(outcomes)) == sorted(outcomes)
    assert 1 not in codes
    assert [one for one in CLASSES if vars(one).get("exit_code") == 0] == [Superseded]
    assert len(outcomes) == len(codes)


def test_the_docstring_tells_every_class_with_its_code_and_its_parent() -> None:
    """The tree on the first page is the tree in the code."""
    told: dict[str, tuple[str | None, str]] = {}
    inside = ""
    for stem, name, code in re.findall(r"^    ([│├└─ ]*)([A-Z]\w+) +(\d+)?", errors.__doc__ or "", re.MULTILINE):
        told[name] = (code or None, inside if stem.startswith(("│", " ")) and stem.strip("│ ") else "DeployError")
        inside = name if len(stem.rstrip("─ ")) == 1 else inside
    real = {
        one.__name__: (str(one.exit_code) if "exit_code" in vars(one) else None, one.__base__.__name__)
        for one in CLASSES
        if one is not DeployError
    }
    told.pop("DeployError")

    assert told == real


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_an_error_needs_a_remedy(kind: type[DeployError]) -> None:
    """There is no error without a next step."""
    with pytest.raises(TypeError, match="remedy"):
        kind("it went wrong")  # type: ignore[call-arg]
    error = kind("it went wrong", remedy="mend it", details=("line",), service="api")
    assert ("it went wrong", "mend it", ("line",), "api") == (error.message, error.remedy, error.details, error.service)


def test_diagnostics_are_what_evidence_and_next_step() -> None:
    """In that order, a line each."""
    error = errors.BuildFailed("api: the build failed", remedy="correct it", details=("npm ERR!", "code 1"))

    assert error.diagnostics().splitlines() == [
        "error: api: the build failed",
        "  │ npm ERR!",
        "  │ code 1",
        "  next: correct it",
    ]
