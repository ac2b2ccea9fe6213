"""A store that the release before has written: this code lists it, ends what is open in it, and goes back in it.

The store, the repository and the platform are in ``recorded_store.json``, which tells how it was made.
"""

from __future__ import annotations

import json
import os
import subprocess
from itertools import count
from pathlib import Path

import pytest

from deploylib.commands import status
from tests.support.fakes import FakeClock, write
from tests.support.in_memory import Platform
from tests.support.in_memory_product import NAMES, Product
from tests.support.repository import Repository

TEXT = (Path(__file__).parent / "recorded_store.json").read_text()
FIRST, SECOND, LEFT = (key[-4:] for key in sorted(json.loads(TEXT)["store"]) if key.startswith("history/"))


@pytest.fixture
def product(repository: Repository, clock: FakeClock) -> Product:
    """The product as its last command has left it, an hour ago."""
    recorded = json.loads(TEXT)
    numbers = count(1 + sum(map(len, recorded["deploys"].values())))
    made = Product(repository, Platform(), clock)
    made.platform = Platform(services=recorded["services"], deploys=recorded["deploys"], _numbers=numbers)
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force"],
        input=recorded["history"].encode(),
        cwd=repository.root,
        check=True,
    )
    repository.run("reset", "--quiet", "--hard", "main")
    write(repository.root / ".deploylib", recorded["store"])
    for path in (repository.root / ".deploylib").rglob("*"):
        os.utime(path, (0, 0))
    clock.seconds = recorded["clock"] + 3600
    return made


def test_it_is_listed(product: Product) -> None:
    """Runs and their ends, what is held, and whose lease it was."""
    listed = [(state.id[-4:], state.report and state.report.outcome) for state in status.history(product.env())]
    told = status.status(product.env())

    assert [(LEFT, None), (SECOND, "succeeded"), (FIRST, "succeeded")] == listed
    assert ["prices are wrong"] == [hold.reason for hold in told.held]
    lease = product.env().leases.read()
    assert lease is not None
    assert ("build-7", "expired", 3) == (lease.holder.host, lease.state, lease.number)


def test_what_is_open_in_it_is_finished(product: Product) -> None:
    """What went live is put back, and what was there before serves."""
    before = product.runs()[1].release

    report = product.finish()

    assert report.run.endswith(LEFT)
    assert [live.commit for live in before] == product.live()
    assert product.runs()[0].report == report
    assert len(product.runs()) == 3


def test_a_release_goes_on_from_it(product: Product) -> None:
    """The next release ends first what was left, and the hold of a commit that it corrects."""
    product.change("4")

    report = product.deploy()

    assert ("succeeded", [report.commit and report.commit.id] * len(NAMES)) == (report.outcome, product.live())
    assert product.runs()[1].report is not None
    assert () == status.status(product.env()).held


@pytest.mark.parametrize("run", [FIRST, SECOND])
def test_an_environment_goes_back_to_it(product: Product, run: str) -> None:
    """To each of the releases in it."""
    there = next(state for state in product.runs() if state.id.endswith(run))
    product.change("4")
    assert product.deploy().outcome == "succeeded"

    report = product.roll_back(to=run)

    assert ("succeeded", there.commit) == (report.outcome, report.commit)
    assert [live.commit for live in there.release] == product.live()
