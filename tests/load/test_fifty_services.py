"""A release of fifty services against a platform that enforces its rate limits: ``nox -s zero_downtime``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import fifty

pytestmark = [pytest.mark.load, pytest.mark.timeout(600)]


def test_fifty_services_meet_no_limit(tmp_path: Path) -> None:
    """All go live, each is asked for once, and no answer is a 429 of our own making."""
    with fifty.product(tmp_path / "product") as product:
        done = product.inv("deploy", timeout=400)
        requests = product.requests()

        assert done.code == 0, done.said
        refused = [one for one in requests if one["status"] == 429]
        assert not refused, f"{len(refused)} of {len(requests)}, first {refused[0]}"
        asked = [one["path"] for one in requests if one["method"] == "POST" and one["path"].endswith("/deploys")]
        assert len(asked) == len(set(asked)) == fifty.SERVICES
        assert len(product.writes()) == fifty.SERVICES
        newest = fifty.newest(product)
        assert len(newest) == fifty.SERVICES
        assert {("live", product.head)} == {(one.status, one.commit) for one in newest.values()}
