"""Ten deploys and two rollbacks under sixteen busy keep-alive connections: ``nox -s zero_downtime``.

Loopback only; it ends by itself after half an hour or a million requests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.product import Product
from tests.support.visitors import LONGEST, MOST, counted, visiting

DEPLOYS, ROLLBACKS, CONNECTIONS = 10, 2, 8

pytestmark = [pytest.mark.load, pytest.mark.timeout(2400)]


def tell(what: str, number: int, seen: tuple[int, int]) -> None:
    """One line of the session's result."""
    requests, failed = seen
    print(f"{what} {number}: {requests} requests, {failed} failed", flush=True)
    assert failed == 0


def test_ten_deploys_and_two_rollbacks_without_a_failed_request(tmp_path: Path) -> None:
    """Anything but a complete answer of 2xx counts as failed, and no connection may be closed."""
    with Product(tmp_path / "product") as product:
        product.ok("deploy")
        released = {product.head}
        urls = product.url("backend", "/api/health"), product.url("frontend")
        with visiting(*urls, connections=CONNECTIONS, every=0.01) as seen:
            for number in range(1, DEPLOYS + 1):
                product.change_backend(f"Backend {number}")
                released.add(product.change_frontend(f"Frontend {number}"))
                tell("deploy", number, counted(product.ok("deploy")))
            for number in range(1, ROLLBACKS + 1):
                tell("rollback", number, counted(product.ok("rollback")))
        tell("all", 12, (seen.requests, seen.failed))
        assert not seen.failures, seen.failures[:10]
        assert seen.opened == 2 * CONNECTIONS
        assert seen.seconds < LONGEST, "the visitors left before the last switch"
        assert seen.requests < MOST, "the visitors left before the last switch"
        assert released <= set(seen.commits)
