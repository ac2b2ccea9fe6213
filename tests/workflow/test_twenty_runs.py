"""Twenty runs of one environment at once: one at a time, none lost, the newest commit live at the end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.product import Product
from tests.workflow.world import World, world

pytestmark = pytest.mark.timeout(3600)
RUNS = 20


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A product in production."""
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


def test_twenty_runs_at_once(production: World, tmp_path: Path) -> None:
    """Each from a clone of its own at a commit of its own, as pushes that follow each other quickly are."""
    product = production.product
    clones = []
    for number in range(RUNS):
        product.change_frontend(f"Push {number}")
        clone = Product.__new__(Product)
        clone.folder, clone.account = tmp_path / f"clone-{number}", None
        product.git("clone", "--quiet", str(product.folder), str(clone.folder))
        clones.append(clone)

    def release(number: int) -> str:
        ci = {"DEPLOYLIB_RUN": f"build-{number}"}
        done = clones[number].inv(
            "deploy", "--environment", "production", "--skip", "scan", "--reason", "not what this is about", "--json",
            timeout=1800, **production.variables, **ci,
        )  # fmt: skip
        assert done.code == 0, done.said
        return str(done.json["outcome"])

    with ThreadPoolExecutor(RUNS) as pool:
        outcomes = list(pool.map(release, range(RUNS)))

    assert set(outcomes) <= {"succeeded", "superseded by a newer release"}
    assert outcomes[-1] == "succeeded"
    assert product.served()["frontend"] == product.head
    assert RUNS == len(production.runs())
    assert "open" not in production.outcomes()
    spans = sorted((one["createdAt"], one["finishedAt"]) for one in product.deploys("frontend"))
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
