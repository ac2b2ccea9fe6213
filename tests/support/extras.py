"""Which packages seem to be installed, whatever the tests run in."""

from __future__ import annotations

from importlib import metadata

import pytest


def install_all(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every package seems to be installed, but those that are put into what is given back."""
    absent = set[str]()

    def version(name: str) -> str:
        if name in absent:
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    return absent
