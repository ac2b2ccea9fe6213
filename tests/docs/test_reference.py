"""The reference is what the code says."""

from __future__ import annotations

from tests.docs.reference import PAGE, write_reference


def test_the_reference_is_what_the_code_says() -> None:
    """Commands with their flags, settings with type and default, exit codes, alerts, faults, and the faces of the rooms."""
    assert PAGE.read_text() == write_reference(), "python -m tests.docs.reference (nox -s reference) writes it anew"
