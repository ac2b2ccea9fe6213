"""Visitors do not notice a release: a smoke of `nox -s zero_downtime`."""

from __future__ import annotations

import pytest

from tests.support.product import Product
from tests.support.visitors import counted, visiting

CONNECTIONS = 8  # to each of two services


@pytest.mark.load  # each release counts its own visitors; nox -s zero_downtime has ten of them
def test_sixteen_busy_connections_over_a_deploy_and_a_rollback(deployed: Product) -> None:
    """No request fails, no connection is closed, and each run says what it saw of that itself."""
    before = deployed.head
    deployed.change_backend()
    after = deployed.change_frontend()
    urls = deployed.url("backend", "/api/health"), deployed.url("frontend")
    with visiting(*urls, connections=CONNECTIONS, every=0.03) as seen:
        for command in ("deploy", "rollback"):
            probed, failed = counted(deployed.ok(command))
            assert probed > 5
            assert failed == 0
    assert not seen.failures, seen.failures[:5]
    assert seen.requests > 300
    assert seen.opened == 2 * CONNECTIONS
    assert {before, after} <= set(seen.commits)
