"""The workflow that a team begins with, as GitHub would run it: the gates on one machine, the release on another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.edges import until
from tests.support.product import GUEST_BOOK
from tests.workflow.world import World, world

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One product, deployed by its first push; the stories below go on from each other."""
    with world(tmp_path_factory.mktemp("world"), "deploy.yml") as made:
        ended = made.go()
        assert ended.exit_code == 0, "\n".join(ended.outputs.values())
        assert {"gates": "success", "release": "success", "rollback": "skipped", "dry-run": "skipped"} == ended.results
        for job in ("gates", "release"):
            print(f"{job}: {ended.spans[job]}")
            print(ended.summaries[job])
        yield made


def test_a_push_is_one_run_and_one_message(production: World) -> None:
    """What the gates have found without a key stands in the history, as what the release did does."""
    (run,) = production.runs()
    assert run["report"]["outcome"] == "succeeded"
    assert production.product.served() == dict.fromkeys(("backend", "frontend"), production.product.head)
    stages = {stage["stage"]: stage["status"] for stage in run["report"]["stages"]}
    assert {"tests": "done", "scan": "done", "deploy": "done", "verify": "done"}.items() <= stages.items()
    assert 1 == len(production.messages)


def test_a_push_that_changes_nothing_succeeds_and_deploys_nothing(production: World) -> None:
    """Every step says so."""
    production.product.commit("Words", {"NOTES.md": "nothing of a service\n"})
    writes = production.product.writes()

    assert production.go().exit_code == 0
    assert production.outcomes()[0] == "nothing to do"
    assert production.product.writes() == writes


def test_a_gate_that_fails_stops_the_release_and_is_told(production: World) -> None:
    """Nothing was asked for; the last step records which gate it was, and why."""
    product, live = production.product, production.served()
    product.commit("Red", {f"{GUEST_BOOK}/red.py": "def broken(:\n"})
    told, writes = len(production.messages), product.writes()

    ended = production.go()

    assert (1, "failure", "failure") == (ended.exit_code, ended.results["gates"], ended.results["release"])
    assert production.outcomes()[0] == "blocked by a gate"
    assert (production.served(), product.writes()) == (live, writes)
    assert len(production.messages) == told + 1
    product.git("revert", "--no-edit", "HEAD")


def test_a_broken_backend_is_put_back_by_the_last_step(production: World) -> None:
    """What was live is live again, and it is told once."""
    product, live = production.product, production.served()
    product.change_frontend("Goes live first")
    product.commit("Broken", {f"{GUEST_BOOK}/app.py": "raise SystemExit('broken on purpose')\n"})
    told = len(production.messages)

    ended = production.go()

    assert (1, "success", "failure") == (ended.exit_code, ended.results["gates"], ended.results["release"])
    assert "failed" in production.outcomes()[0]
    assert production.served() == live
    assert len(production.messages) == told + 1
    product.git("revert", "--no-edit", "HEAD")


def test_a_release_that_is_cancelled_is_put_back_and_its_job_can_be_run_again_alone(production: World) -> None:
    """The job has all of the release in it, and what the gates have found is kept."""
    product, live = production.product, production.served()
    product.change_backend("Cancelled")
    run = production.start()
    until(lambda: [one for one in product.deploys("backend", product.head) if one["status"].endswith("progress")], 200)
    run.cancel()
    assert run.wait(900).results == {
        "gates": "success", "release": "cancelled", "rollback": "skipped", "dry-run": "skipped"
    }  # fmt: skip
    assert production.outcomes()[0] == "abandoned"
    assert production.served() == live

    again = production.actions.rerun_failed(run).wait(900)

    assert again.exit_code == 0, "\n".join(again.outputs.values())
    assert production.served()["backend"] == product.head
    assert production.outcomes()[0] == "succeeded"


def test_one_service_and_a_gate_left_out_for_a_reason(production: World) -> None:
    """By hand; without a reason it is refused, and all of that is told."""
    product, before = production.product, production.served()
    product.change_backend("Later")
    head = product.change_frontend("Urgent")

    refused = production.go(skip="tests")
    assert (1, "failure") == (refused.exit_code, refused.results["release"])
    assert any("--skip needs a reason" in one.message for one in refused.errors)
    assert production.served() == before

    ended = production.go(skip="tests", reason="the login is down", services="frontend")
    assert ended.exit_code == 0, "\n".join(ended.outputs.values())
    assert production.served() == {"frontend": head, "backend": before["backend"]}
    assert "the login is down" in str(production.messages[-1])


def test_a_dry_run_writes_nothing_and_a_rollback_says_why(production: World) -> None:
    """Each is a job of its own, and no gate begins."""
    product = production.product
    product.change_frontend("Only looked at")
    writes, runs = product.writes(), len(production.runs())

    looked = production.go(action="dry run")

    assert (0, "success", "skipped") == (looked.exit_code, looked.results["dry-run"], looked.results["release"])
    assert (writes, runs) == (product.writes(), len(production.runs()))
    before = production.served()

    back = production.go(action="rollback", reason="it loses orders")

    assert (0, "success", "skipped") == (back.exit_code, back.results["rollback"], back.results["gates"])
    assert production.served() != before
    assert production.runs()[0]["opened"]["back"]
    status = product.inv("status", "--environment", "production", **production.variables)
    assert "it loses orders" in status.said
