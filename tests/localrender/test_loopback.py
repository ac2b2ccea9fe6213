"""A program that Render would not reach is not reached here."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from localrender import health, loopback

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="macOS has one loopback address")


def said(where: str) -> str:
    """What the health check says of a program that listens there."""
    with socket.create_server((where, 0), family=socket.AF_INET6 if ":" in where else socket.AF_INET) as program:
        return asyncio.run(health.check(program.getsockname()[1], "", "127.0.0.1"))


@LINUX
@pytest.mark.parametrize("where", ["127.0.0.1", "::1"])
def test_a_program_on_its_own_address_alone_is_not_healthy(where: str) -> None:
    """Bound to 127.0.0.1 or localhost: Render does not reach it either; with what it should listen on."""
    assert said(where) == health.ALONE
    assert "0.0.0.0" in health.ALONE  # noqa: S104 - said, not bound


@LINUX
@pytest.mark.parametrize("where", ["0.0.0.0", loopback.OTHER])  # noqa: S104 - for a moment
def test_a_program_on_every_address_or_on_that_of_host_is_healthy(where: str) -> None:
    """HOST is an address of loopback, so that nobody listens to the world."""
    assert said(where) == ""
    assert loopback.address() == loopback.OTHER


def test_without_another_address_the_difference_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS: 127.0.0.1 is asked, and that it says nothing of Render is a note."""
    monkeypatch.setattr(loopback, "OTHER", "203.0.113.1")
    loopback.address.cache_clear()
    try:
        assert loopback.address() == loopback.PLAIN
        assert said("127.0.0.1") == ""
        assert "not at Render" in loopback.UNSEEN
    finally:
        loopback.address.cache_clear()
