"""Behind a pooler neither locks nor limits hold: it is refused before anything."""

from __future__ import annotations

import time

import psycopg
import pytest

from deploylib import postgres
from deploylib.clock import SystemClock
from deploylib.errors import SettingsError
from deploylib.models import Secret
from tests.migrations.pooler import pooled
from tests.migrations.world import World


def test_the_pooler_of_these_tests_is_one(world: World) -> None:
    """Two clients that rest between two transactions share a session, and a lock of one is everybody's."""
    with (
        pooled(world.url.reveal(), 1) as address,
        psycopg.connect(address, autocommit=True) as first,
        psycopg.connect(address, autocommit=True) as second,
    ):
        pids = {one.execute("select pg_backend_pid()").fetchone() for one in (first, second)}

    assert len(pids) == 1


@pytest.mark.parametrize("sessions", [2, 5])
def test_a_pooler_is_refused_before_anything(world: World, sessions: int) -> None:
    """However many sessions it has; the remedy names the other address."""
    with pooled(world.url.reveal(), sessions) as address:
        began = time.monotonic()
        with (
            pytest.raises(SettingsError, match="leads to a pooler") as raised,
            postgres.exclusively(Secret(address), clock=SystemClock(), within=5),
        ):
            pytest.fail("it was taken for a session")

    assert "direct connection string" in raised.value.remedy
    assert time.monotonic() - began < 10
    assert world.query("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


def test_a_pooler_with_one_session_is_not_waited_for(world: World) -> None:
    """It has none left while a transaction is open: that is answer enough."""
    with pooled(world.url.reveal(), 1) as address, pytest.raises(SettingsError, match="leads to a pooler"):
        postgres.require_direct(Secret(address), timeout=1)


def test_a_direct_connection_is_taken(world: World) -> None:
    """It is the same session all the time."""
    postgres.require_direct(world.url)


def test_a_pooler_that_refuses_our_limits_is_named() -> None:
    """As PgBouncer answers without `ignore_startup_parameters`."""
    assert postgres._code("FATAL:  unsupported startup parameter: options") == "pooler"  # noqa: SLF001
