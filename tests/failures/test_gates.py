"""The gates of an environment like production: what they stop, and how a person leaves one out in an emergency."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.edges import Completed
from tests.support.trivial import Trivial

SETTINGS = """
tests = "{tests}"
bake = "0s"

[environments.staging]
api_url = "{api}"
api_key_env = "STAGING_KEY"
store = "{store}"
only_this_machine = true

[environments.production]
api_url = "{api}"
api_key_env = "STAGING_KEY"
store = "{store}"
only_this_machine = true
"""


class Staged(Trivial):
    """Released to the running local Render as if it were anybody's account."""

    def settings(self, tests: str) -> str:
        """Commit and push settings with this command for the product's own tests."""
        store = self.folder.parent / "store"
        text = SETTINGS.format(tests=tests, api=self.endpoint["api_url"], store=store)
        self.write("deploylib.toml", text)
        self.change_all()
        self.git("push", "--quiet", "--force", "origin", "main")
        return self.head

    def to_staging(self, *args: str) -> Completed:
        """A command on it."""
        return self.inv(*args, "--environment", "staging", STAGING_KEY=self.endpoint["api_key"])


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    """A product whose remote is a folder beside it."""
    with Staged(tmp_path_factory.mktemp("gates") / "product") as product:
        product.ok("local.up")
        product.git("init", "--bare", "--quiet", str(product.folder.parent / "origin.git"))
        product.git("remote", "add", "origin", str(product.folder.parent / "origin.git"))
        yield product


def test_tests_that_fail_block_a_release(product: Staged) -> None:
    """Exit code 3, with their last words; nothing was asked for."""
    product.settings("sh -c 'echo one of them failed; exit 1'")
    writes = product.writes()

    done = product.to_staging("deploy", "--skip", "scan", "--reason", "its tools are not part of this")

    assert done.code == 3, done.said
    assert "one of them failed" in done.said
    assert product.writes() == writes


def test_tests_that_cannot_be_run_are_not_examined(product: Staged) -> None:
    """Exit code 4: they can only be run on what is checked out, and that is another commit."""
    older = product.settings("true")
    product.settings("true")

    done = product.to_staging("deploy", "--commit", older, "--skip", "scan", "--reason", "no tools")

    assert done.code == 4, done.said
    assert f"that is not {older[:7]}" in done.said


def test_a_gate_that_is_left_out_is_told(product: Staged) -> None:
    """Mode 25: by name, with a reason and an author, in the report and in the history; backup and lease are no gates."""
    product.settings("false")
    without = product.to_staging("deploy", "--skip", "tests")
    assert without.code == 2, without.said
    assert "--skip needs a reason" in without.said
    for name in ("backup", "lease"):
        refused = product.to_staging("deploy", "--skip", name, "--reason", "hurry")
        assert refused.code == 2, refused.said
        assert f"{name} cannot be skipped" in refused.said

    done = product.to_staging("deploy", "--skip", "tests,scan", "--reason", "the login is down")

    assert done.code == 0, done.said
    assert "Waived      tests skipped: by somebody: the login is down" in done.out
    ends = Path(product.folder.parent / "store" / "runs").glob("*/*-closed.json")
    run = max(ends, key=lambda end: end.stat().st_mtime).parent
    assert "the login is down" in "".join(path.read_text() for path in run.glob("*-stage.json"))


def test_a_release_is_promoted_as_it_was_verified(product: Staged) -> None:
    """What staging serves goes on; from an environment that was never deployed to nothing does."""
    product.settings("true")
    assert product.to_staging("deploy", "--skip", "scan", "--reason", "no tools").code == 0
    key = product.endpoint["api_key"]
    without_scan = ("--skip", "scan", "--reason", "no tools")
    backward = product.inv("promote", "--from", "production", "--to", "staging", STAGING_KEY=key)

    assert backward.code == 2, backward.said
    assert "nothing was ever deployed to 'production' from here" in backward.said

    for outcome in ("SUCCEEDED", "NOTHING TO DO"):  # the very services: they prove themselves here as well, once
        same = product.inv("promote", "--from", "staging", "--to", "production", *without_scan, STAGING_KEY=key)
        assert same.code == 0, same.said
        assert outcome in same.out


def test_tests_that_are_asked_for_alone_leave_no_run_open(product: Trivial) -> None:
    """Nothing is recorded of them on a person's machine, and nothing is said to be."""
    with product.configured(tests="true"):
        done = product.ok("tests")
        assert "DONE        nothing was recorded or released" in done.out
        assert "no run is open" in product.ok("finish").out
    product.git("commit", "--quiet", "--all", "--message", "Without tests")
