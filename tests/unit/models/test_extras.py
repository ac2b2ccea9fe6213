"""Remedies that can be typed, however deploylib came here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest

from deploylib.models import extras

ROOT = Path(__file__).resolve().parents[3]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
SOURCES = [path for folder in ("deploylib", "localrender") for path in (ROOT / folder).rglob("*.py")]


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of packages that are not installed, whatever the tests run in."""
    names, real = set[str](), metadata.version

    def version(name: str) -> str:
        if name in names:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    return names


def test_a_remedy_names_the_packages_that_are_lacking(absent: set[str]) -> None:
    """Deploylib itself may be on no index; those are."""
    absent |= {"boto3", "squawk-cli", "alembic"}

    assert extras.install_command("s3") == "pip install 'boto3>=1.40'"
    assert extras.install_command("postgres") == "pip install 'alembic>=1.17' 'squawk-cli>=2.70'"
    assert extras.missing_packages("tasks") == ()


def test_an_extra_that_is_there_and_does_not_work_is_installed_whole(absent: set[str]) -> None:
    """A driver may be there without its library."""
    assert extras.install_command("notify") == "pip install 'slack-sdk>=3.36'"
    assert "'psycopg[binary]>=3.2'" in extras.install_command("postgres")


def test_an_older_python_needs_what_a_newer_one_has(monkeypatch: pytest.MonkeyPatch, absent: set[str]) -> None:
    """Zstd is part of Python from 3.14 on."""
    absent.add("zstandard")
    for version, lacking in (((3, 11), ("zstandard>=0.23",)), ((3, 14), ())):
        monkeypatch.setattr("sys.version_info", version)
        assert extras.missing_packages("postgres") == lacking


def test_without_metadata_nobody_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder on the path that was never installed."""

    def none(name: str) -> Iterable[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", none)

    assert extras.install_command("s3") == "install deploylib with its extra s3, from where it came"
    assert extras.missing_packages("s3") == ()


def test_every_extra_that_is_asked_for_is_one() -> None:
    """And nothing tells anybody to ask an index for deploylib."""
    text = "".join(path.read_text() for path in SOURCES if path.name != "extras.py")
    asked = set(re.findall(r"""\b(?:install|install_command|missing_packages)\(["'](\w+)["']\)""", text))

    assert {"local", "notify", "postgres", "s3", "scan"} <= asked <= set(EXTRAS)
    assert "pip install 'deploylib" not in text
    assert "pip install deploylib" not in text
