"""What becomes of a run that nobody works on any more, and of a local Render that was reset under it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.edges import until
from tests.support.trivial import BUILD, Trivial

RESET = "the local Render was reset: nothing is deployed there any more"


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Trivial]:
    """A product that nobody has released yet."""
    with Trivial(tmp_path / "product") as product:
        yield product


@contextmanager
def at_work(product: Trivial) -> Iterator[None]:
    """A release that waits for a build that does not end; it is killed at the end."""
    product.commit("A build without end", {"beta/build.sh": "sleep 300\n" + BUILD})
    with product.start("deploy") as running:
        try:
            until(lambda: _is_under_way(product))
            yield
        finally:
            running.kill()


def _is_under_way(product: Trivial) -> bool:
    kinds = [event["kind"] for event in product.events()] if product.folder.joinpath(".deploylib/runs").exists() else []
    return "triggered" in kinds and "closed" not in kinds


def test_a_local_render_that_was_reset_has_nothing_live_and_every_command_says_so(product: Trivial) -> None:
    """Also one whose folder was deleted by hand, which nobody can have recorded."""
    product.ok("deploy")
    product.ok("local.down")
    shutil.rmtree(product.folder / ".localrender")
    product.ok("local.up")

    status = product.ok("status")
    assert RESET in status.out
    assert "inv deploy" in status.out
    for words in (("verify",), ("logs",), ("monitor",)):
        done = product.inv(*words)
        assert done.code in {2, 40}, done.said
        assert RESET in done.said
        assert "inv deploy" in done.said
        assert "dashboard.render.com" not in done.said
    page = product.ok("dashboard")
    assert "unreachable" not in page.out
    assert RESET in product.read("site/index.html")

    product.ok("deploy")
    assert product.one_commit == product.head


def test_a_run_that_is_at_work_is_not_left(product: Trivial) -> None:
    """A look at what is live waits for it like everybody, and is not sent to end it."""
    product.ok("deploy")

    with at_work(product):
        done = product.inv("verify")
        assert done.code == 30, done.said
        assert "inv finish" not in done.said
        assert product.outcome() == "open"

    done = product.inv("verify")
    assert done.code == 3, done.said
    assert "inv finish" in done.said
    assert product.inv("finish").code == 130


@pytest.mark.load
def test_a_run_under_which_the_local_render_was_reset_is_abandoned_and_holds_nothing(product: Trivial) -> None:
    """There is nothing to put back, so nobody is needed for it."""
    product.ok("deploy")
    with at_work(product):
        pass
    product.ok("local.reset")

    done = product.inv("finish")

    assert (done.code, product.outcome()) == (130, "abandoned"), done.said
    assert RESET in done.said
    assert "held         nothing" in product.inv("status").said
    product.commit("A build that ends", {"beta/build.sh": BUILD})
    product.ok("deploy")
    assert product.one_commit == product.head


@pytest.mark.load
def test_the_same_release_begins_anew_where_the_local_render_was_reset_under_it(product: Trivial) -> None:
    """Gone on with, it would ask for services that there are no more."""
    product.ok("deploy")
    first = product.commit(
        "A build that waits once", {"beta/build.sh": f"test -e {product.folder}/../go || sleep 300\n{BUILD}"}
    )
    with product.start("deploy") as running:
        until(lambda: _is_under_way(product))
        running.kill()
    product.ok("local.reset")
    (product.folder.parent / "go").touch()

    product.ok("deploy")

    assert product.one_commit == first
    assert "abandoned" in product.ok("history").out
